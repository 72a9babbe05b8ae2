// The plans that the real library makes on each board for a list of networks, those of some inputs
// and ResNet-50 and ViT-B on images of 224x224: engines, knobs and workspaces stand in
// cuda/plans-<board>.tsv, which is compared where the library's version is the table's.
// LACUNA_WRITE_PAGES=1 writes it anew.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "backend/boards.h"
#include "backend/cuda/cuda_dry_run_device.h"
#include "kernels/cuda/support/cudnn.h"
#include "modalities/image.h"
#include "stages/check/rehearsal.h"
#include "stages/keys/schema.h"
#include "support/source_folder.h"

namespace {

using namespace lacuna;
namespace fs = std::filesystem;

struct Training {
  std::string name;
  Configuration configuration;
  Shape sample;
};

std::vector<Training> trainings() {
  std::vector<Training> all;
  // Networks that differ in their problems, and not every input that there is.
  for (const char* name : {"fashion-byol", "fashion-inpaint", "fashion-rotation",
                           "fashion-simclr-long", "fashion-simclr-vit", "fashion-simclr"}) {
    const fs::path file = testing::source_folder() / "inputs/images" / concat(name, ".toml");
    all.push_back(
        {name, Configuration::load(file.string(), schema_of("pretrain")), Shape{28, 28, 1}});
  }
  for (const std::string encoder : {"resnet50", "vit_base"}) {
    const std::string stem = encoder == "resnet50" ? "stem = \"imagenet\"\n" : "";
    const std::string text = concat(
        "[objective]\nname = \"simclr\"\n[data]\nfiles = \"none.h5\"\ndataset = \"images\"\n",
        "[encoder]\nname = \"", encoder, "\"\n", stem, "[train]\nbatch = 256\n");
    all.push_back({concat(encoder, "-224"), Configuration::from_text(text, schema_of("pretrain")),
                   Shape{224, 224, 3}});
  }
  return all;
}

ImageModality modality_of(const Training& training) {
  const Field field{.name = "sample", .path = "/x", .dtype = DType::u8, .shape = training.sample};
  const auto channels = static_cast<size_t>(training.sample[-1]);
  return {ArrayValues(Interpretation(field, Channels::last, 0, 255),
                      std::vector<double>(channels, 0.5), std::vector<double>(channels, 0.25)),
          augment_options(training.configuration)};
}

// Lines of the table of one board.
std::vector<std::string> lines_of(const Board& board) {
  std::vector<std::string> lines;
  std::map<std::string, LibraryPlan> plans;
  for (const Training& training : trainings()) {
    CudaDryRunDevice device({.board = std::string(board.properties)});
    const ImageModality modality = modality_of(training);
    Rehearsal(training.configuration, {{"", &modality}}, DType::bf16, 1, device).step();
    lines.push_back(
        concat(board.name, "\t", training.name, "\tmemory\t", device.most_bytes(), "\t"));
    for (const LibraryPlan& plan : device.library_plans()) {
      INFO(plan.problem);
      CHECK(!plan.engine.empty());  // whatever the library's version
      plans[plan.problem] = plan;
    }
  }
  for (const auto& [problem, plan] : plans) {
    lines.push_back(concat(board.name, "\t", problem, "\t", plan.engine, "\t", plan.workspace, "\t",
                           plan.candidates));
  }
  return lines;
}

fs::path table_file(const Board& board) {
  return testing::source_folder() / "tests/cuda" / concat("plans-", board.name, ".tsv");
}

std::string first_line() {
  return concat("# cuDNN ", Cudnn::version(),
                ": board, problem, engine and knobs, workspace, candidates");
}

void check_board(const Board& board) {
  std::vector<std::string> lines = {first_line()};
  for (std::string& line : lines_of(board)) lines.push_back(std::move(line));
  if (const char* write = std::getenv("LACUNA_WRITE_PAGES"); write != nullptr && *write == '1') {
    std::ofstream file(table_file(board));
    for (const std::string& line : lines) file << line << "\n";
  }
  std::ifstream file(table_file(board));
  std::string listed;
  REQUIRE(std::getline(file, listed));
  // Another version has other engines; which it has is reported, and only a refusal of what was
  // taken fails.
  const bool same_library = listed == first_line();
  if (!same_library) WARN("the table is of another library: " << listed);
  for (size_t i = 1; i < lines.size(); ++i) {
    REQUIRE(std::getline(file, listed));
    if (same_library) CHECK(lines[i] == listed);
  }
  CHECK(!std::getline(file, listed));
}

}  // namespace

TEST_CASE("cudnn: plans for an A100 are those of the table") { check_board(*find_board("a100")); }
TEST_CASE("cudnn: plans for an H100 are those of the table") { check_board(*find_board("h100")); }
TEST_CASE("cudnn: plans for a B200 are those of the table") { check_board(*find_board("b200")); }
