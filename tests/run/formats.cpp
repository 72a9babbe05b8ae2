// docs/formats.md against the files that the program writes: its Python is run on them, and its
// tables of datasets and attributes are compared with what is there.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "base/log.h"
#include "comm/communicator.h"
#include "io/hdf5.h"
#include "run/checkpoint.h"
#include "run/metrics.h"
#include "run/representations.h"
#include "stages/finetune/trials.h"
#include "support/source_folder.h"
#include "support/temporary_folder.h"
#include "tasks/task.h"

using namespace lacuna;
namespace fs = std::filesystem;

namespace {

std::string page() { return content_of(testing::source_folder() / "docs/formats.md"); }

// The Python blocks of the page, one behind the other.
std::string python_of(const std::string& text) {
  const std::string begin = "```python\n", end = "```";
  std::string all;
  for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at)) {
    at += begin.size();
    const size_t stop = text.find(end, at);
    all += text.substr(at, stop - at);
    at = stop;
  }
  return all;
}

std::vector<Score> accuracy(double value) {
  return {{"accuracy", Direction::higher, value, {value - 0.125, value + 0.125}}};
}

// A run of three steps and its representations, under the names that the page uses.
void write_files(const fs::path& folder) {
  const fs::path run = folder / "runs/fashion-simclr";
  fs::create_directories(run);
  Metrics metrics(run / "metrics.jsonl");
  for (int64_t step = 11998; step <= 12000; ++step)
    metrics.append(step, {{"loss", 5.0 / static_cast<double>(step)}, {"lr", 0.1}});
  CheckpointInfo info;
  info.step = 12000;
  info.batches = BatchTable::constant({256});
  info.position = info.batches.position(info.step);
  info.score = 1.5;
  info.configuration = "[train]\nepochs = 100\n";
  info.data = {{"train", "/images", {{"/data/a.h5", 10, 6}}, 6, {{DType::u8, {8, 8, 3}}}, "3f2a"}};
  info.metrics = metrics.table();
  const std::vector<float> weights(27, 0.25f);
  const std::vector<uint16_t> halves(4, 0x3f80);  // 1 as bfloat16
  const std::vector<NamedTensor> tensors{
      {"encoder.conv1.weight",
       DType::f32,
       {1, 3, 3, 3},
       weights.data(),
       "out_channel, in_channel, row, column"},
      {"objective.queue", DType::bf16, {4}, halves.data()},
  };
  CheckpointWriter writer(run, {});
  writer.start(info, tensors);
  writer.wait();

  RepresentationsLayout layout;
  layout.samples = 6;
  layout.z = {4};
  layout.files = {"/data/a.h5"};
  layout.columns = {{"label", DType::i64, {}}};
  RepresentationsWriter representations(folder / "z.h5", layout,
                                        {.run = "runs/fashion-simclr",
                                         .step = 12000,
                                         .checkpoint = "5ac1",
                                         .weights = "student",
                                         .layer = "encoder",
                                         .dataset = "/images",
                                         .data_hash = "3f2a",
                                         .code_version = "0.1.0",
                                         .configuration = "[train]\n"});
  const std::vector<int64_t> zeros(24);
  for (const std::string name : {"z", "file", "row", "label"})
    representations.write(name, 0, 6, zeros.data());
  representations.finish();

  RepresentationsLayout of_task{
      .samples = 6, .files = {"/data/a.h5"}, .columns = {}, .add_texts = {}};
  for (const PredictionColumn& column : class_columns(2))
    of_task.columns.push_back(
        {column.name, column.dtype, column.row, column.axes, column.description});
  for (const PredictionColumn& column : value_columns(1))
    of_task.columns.push_back(
        {column.name, column.dtype, column.row, column.axes, column.description});
  RepresentationsWriter predictions(folder / "p.h5", of_task,
                                    {.run = "runs/fashion-1pct",
                                     .step = 12000,
                                     .checkpoint = "5ac1",
                                     .task = "classify",
                                     .dataset = "/images",
                                     .data_hash = "3f2a",
                                     .code_version = "0.1.0",
                                     .configuration = "[task]\n"});
  for (const std::string name : {"class", "probability", "value", "file", "row"})
    predictions.write(name, 0, 6, zeros.data());
  predictions.finish();

  const auto alone = self_communicator();
  Log silent(1, false, false, 10);
  StageContext context{*alone, silent, nullptr};
  const EarlyStop go_on({}, 0, {}, *alone);
  fs::create_directories(folder / "runs/fashion-1pct");
  Trials trials(folder / "runs/fashion-1pct",
                {"runs/fashion-simclr", 12000, "1f", "3f2a", "3f2b", "2 ranks"}, go_on, context);
  trials.once("draw 1, rate 0.003",
              [](const auto&) { return TrialResult{.held_out = accuracy(0.5)}; });
  trials.once("draw 1", [](const auto&) {
    return TrialResult{accuracy(0.75), accuracy(0.5), 0.003};
  });
}

int run_python(const fs::path& folder, const std::string& script) {
  overwrite(folder / "script.py", script);
  const char* python = std::getenv("LACUNA_PYTHON");  // ctest sets it
  const std::string command = "cd '" + folder.string() + "' && '" +
                              (python ? python : "/usr/bin/python3") +
                              "' -B script.py > output.txt 2>&1";
  return std::system(command.c_str());
}

}  // namespace

TEST_CASE("formats: the Python of the page reads what the program writes") {
  const TemporaryFolder folder;
  write_files(folder.path());
  const std::string script = python_of(page()) + R"(
assert [row["step"] for row in rows] == [11998, 11999, 12000]
assert loss == [5.0 / step for step in (11998, 11999, 12000)]
assert f["metrics/loss"][:].tolist() == loss
assert list(encoder) == ["conv1.weight"] and encoder["conv1.weight"].shape == (1, 3, 3, 3)
assert (encoder["conv1.weight"] == 0.25).all() and encoder["conv1.weight"].dtype == "float32"
assert (state["objective.queue"] == 1).all()
assert f["state/encoder/conv1/weight"].attrs["axes"] == "out_channel, in_channel, row, column"
assert f["metrics/loss"].attrs["axes"] == "step" and "axes" not in f["state/objective/queue"].attrs
assert best == {"draw 1": 0.75}
assert list(trials.attrs["scores"]) == ["accuracy"]
assert trials["test/accuracy"].attrs["better"] == "higher"
assert trials["test_low/accuracy"][1] == 0.625 and trials["test_high/accuracy"][1] == 0.875
assert says == {(0, 0): 0} and p["probability"].shape == (6, 2)
assert "z" not in p and p["probability"].attrs["axes"] == "sample, class"
assert x.shape == (6, 4) and where[0] == ("/data/a.h5", 0)
)";
  const int status = run_python(folder.path(), script);
  INFO(content_of(folder / "output.txt"));
  CHECK(status == 0);
  // The checksums of the page are noticed to be wrong when they are.
  const fs::path part = checkpoint_folder(folder / "runs/fashion-simclr", 12000) / "part-000.h5";
  std::string bytes = content_of(part);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  overwrite(part, bytes);
  CHECK(run_python(folder.path(), script) != 0);
}

TEST_CASE("formats: every dataset and attribute that is written stands on the page") {
  const TemporaryFolder folder;
  write_files(folder.path());
  const std::string text = page();
  const fs::path checkpoint = checkpoint_folder(folder / "runs/fashion-simclr", 12000);
  for (const fs::path& path :
       {checkpoint / "checkpoint.h5", checkpoint / "part-000.h5", folder / "z.h5", folder / "p.h5",
        folder / "runs/fashion-1pct/trials.h5"}) {
    const auto file = hdf5::File::open(path.string());
    const auto named = [&](const std::string& name) {
      INFO(path << ": " << name);
      CHECK(text.find("`" + name + "`") != std::string::npos);
    };
    for (const std::string& attribute : file.attributes()) named(attribute);
    for (const std::string& dataset : file.datasets()) {
      if (dataset.starts_with("/state/")) continue;
      if (dataset.starts_with("/metrics/") && dataset != "/metrics/step") continue;
      const bool of_data = dataset.starts_with("/data/train/");
      const bool of_score = dataset.ends_with("/accuracy");
      named(of_data    ? "/data/<name>/" + dataset.substr(12)
            : of_score ? dataset.substr(0, dataset.rfind('/')) + "/<score>"
                       : dataset);
      for (const std::string& attribute : file.dataset(dataset).attributes()) named(attribute);
    }
  }
  CHECK(text.find("`/metrics/absent`") == std::string::npos);
}
