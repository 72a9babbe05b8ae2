// Every key does something: a value other than the default changes what a stage computes, sends,
// writes or says, or is refused. The stages run as the program runs them, on 16 small images; what
// they write of their configuration does not count.
#include <fcntl.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "augment/image/options.h"
#include "backend/list.h"
#include "base/log.h"
#include "base/random.h"
#include "comm/communicator.h"
#include "io/write_hdf5.h"
#include "run/checkpoint.h"
#include "run/representations.h"
#include "stages/keys/cases.h"
#include "stages/keys/schema.h"
#include "stages/list.h"
#include "stages/setup/invocation.h"
#include "stages/setup/training.h"
#include "stages/setup/without_effect.h"
#include "support/experiment.h"
#include "support/source_folder.h"
#include "support/temporary_folder.h"

namespace lacuna {
namespace {

namespace fs = std::filesystem;
using keys::Case;
using keys::cases_of_part;
using keys::Exception;
using keys::exceptions;
using keys::finetune_cases;
using keys::finetune_exceptions;
using keys::pretrain_cases;
using keys::Settings;

std::string contents(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

// Images in which the last third of the numbers tells the class a little, the labels, and other
// images.
void write_data(const std::string& path, int64_t count) {
  constexpr hsize_t edge = 8, channels = 3;
  std::vector<uint8_t> images, more;
  std::vector<int64_t> labels, rare, patient;
  std::vector<double> grade;
  for (int64_t i = 0; i < count; ++i) {
    labels.push_back(i % 2);
    rare.push_back(i % 4 == 0);
    patient.push_back(i / 3);
    grade.push_back(0.1 * static_cast<double>(i * i % 7));
    const Draws draws(3, Purpose::test, static_cast<uint64_t>(i));
    for (uint32_t k = 0; k < edge * edge * channels; ++k) {
      images.push_back(
          static_cast<uint8_t>(draws.below(k, 150) + (k > 128 && i % 2 == 1 ? 60 : 0)));
      more.push_back(static_cast<uint8_t>(draws.below(k, 30) + (k < 64 && i % 3 == 1 ? 90 : 0)));
    }
  }
  const auto n = static_cast<hsize_t>(count);
  const written::Style chunks = {.chunk = {2, edge, edge, channels}};
  written::DataFile file(path);
  file.add("images", H5T_NATIVE_UINT8, H5T_NATIVE_UINT8, {n, edge, edge, channels}, images.data(),
           chunks);
  file.add("more", H5T_NATIVE_UINT8, H5T_NATIVE_UINT8, {n, edge, edge, channels}, more.data(),
           chunks);
  std::vector<float> numbers;
  const Draws draws(5, Purpose::test, 0);
  for (uint32_t k = 0; k < static_cast<uint32_t>(count) * 120; ++k)
    numbers.push_back(static_cast<float>(draws.uniform(k)));
  file.add("signals", H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, {n, 3, 40}, numbers.data());
  file.add("series", H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, {n, 3, 20, 2}, numbers.data());
  file.add("flat", H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, {n * 60, 2}, numbers.data());
  std::vector<int64_t> offsets;
  for (int64_t i = 0; i <= static_cast<int64_t>(n); ++i) offsets.push_back(60 * i - i % 7);
  file.add("offsets", H5T_NATIVE_INT64, H5T_NATIVE_INT64, {n + 1}, offsets.data());
  file.add("table", H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, {n, 12}, numbers.data());
  std::vector<float> holes(numbers.begin(), numbers.begin() + 64 * count);
  for (size_t k = 0; k < holes.size(); k += 5) holes[k] = std::numeric_limits<float>::quiet_NaN();
  file.add("holes", H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, {n, edge, edge}, holes.data());
  file.add("valid", H5T_NATIVE_INT64, H5T_NATIVE_INT64, {n}, labels.data());
  file.add("labels", H5T_NATIVE_INT64, H5T_NATIVE_INT64, {n}, labels.data());
  file.add("rare", H5T_NATIVE_INT64, H5T_NATIVE_INT64, {n}, rare.data());
  file.add("patient", H5T_NATIVE_INT64, H5T_NATIVE_INT64, {n}, patient.data());
  file.add("grade", H5T_NATIVE_DOUBLE, H5T_NATIVE_DOUBLE, {n}, grade.data());
}

// Stages on those data, and what they leave.
class Program {
 public:
  Program() {
    write_data(folder_ / "data.h5", 16);
    write_data(folder_ / "other.h5", 20);
    std::ofstream(folder_ / "pretrain.toml") << R"([data]
files = "data.h5"
dataset = "images"
[objective]
name = "simclr"
[encoder]
[train]
)";
    std::ofstream(folder_ / "finetune.toml") << R"([data]
files = "data.h5"
dataset = "images"
label = "labels"
[test]
dataset = "images"
label = "labels"
)";
    Settings settings = base("pretrain");
    settings.insert(settings.end(), {"train.checkpoint_steps=1", "train.keep=9"});
    run({"pretrain", toml("pretrain"), "--run", folder_ / "from"}, settings);
  }

  // `stage`: pretrain, or a task of finetune.
  std::string outcome(const std::string& stage, Settings settings) {
    const bool pretrains = stage == "pretrain";
    Settings all = base(stage);
    for (std::string& setting : settings) {
      // Another name has other keys in its section.
      const size_t name = setting.find(".name=");
      const std::string prefix = name == std::string::npos
                                     ? setting.substr(0, setting.find('=') + 1)
                                     : setting.substr(0, name + 1);
      std::erase_if(all, [&](const std::string& usual) {
        // Another kind of data has other keys of augmentation.
        const bool of_images = setting.starts_with("data.kind=") && usual.starts_with("augment.");
        return usual.starts_with(prefix) || of_images;
      });
      replace(setting, "OTHER", folder_ / "other.h5");
    }
    all.insert(all.end(), settings.begin(), settings.end());
    const std::string run_folder = folder_ / "run";
    fs::remove_all(run_folder);
    std::vector<std::string> words = {pretrains ? "pretrain" : "finetune",
                                      toml(pretrains ? "pretrain" : "finetune"), "--run",
                                      run_folder};
    if (!pretrains) words.insert(words.end(), {"--from", folder_ / "from"});
    const std::string told = run(words, all);
    return told + left_in(run_folder);
  }

 private:
  static void replace(std::string& text, const std::string& what, const std::string& by) {
    if (const size_t at = text.find(what); at != std::string::npos)
      text.replace(at, what.size(), by);
  }
  std::string toml(const std::string& name) const { return folder_ / (name + ".toml"); }

  static Settings base(const std::string& stage) {
    const Settings common = {"train.batch=8", "train.threads=1", "train.device=reference",
                             "augment.greyscale=0.5", "log.interval=1000"};
    Settings all = common;
    if (stage == "pretrain") {
      all.insert(all.end(), {"train.epochs=1", "encoder.width=1", "objective.hidden=4",
                             "objective.projection=2"});
    } else {
      all.push_back("task.name=" + stage);
      if (stage == "classify" || stage == "regress")
        all.insert(all.end(), {"task.steps=3", "task.rates=[0.05]"});
      if (stage == "ridge" || stage == "regress")
        all.insert(all.end(), {"data.label=grade", "test.label=grade"});
    }
    return all;
  }

  // What the stage says or is refused for; the numbers of a clock left out.
  std::string run(std::vector<std::string> words, const Settings& settings) {
    const std::string log_file = folder_ / "log";
    for (const std::string& setting : settings) {
      words.emplace_back("--set");
      words.push_back(setting);
    }
    const int descriptor = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    REQUIRE(descriptor >= 0);
    std::string refused;
    try {
      Log log(descriptor, true, false, 1000);
      const auto communicator = self_communicator();
      StageContext context{*communicator, log, nullptr, std::chrono::steady_clock::now()};
      const Invocation asked = interpret(stages_, words);
      asked.stage->run(asked.arguments, context);
    } catch (const Error& error) {
      refused = concat("refused: ", error.what(), "\n");
    }
    ::close(descriptor);
    return without_times(contents(log_file)) + refused;
  }

  static std::string without_times(const std::string& log) {
    static const std::regex times("[0-9.]+ (samples/s|s |s$|ms|MB/s)");
    std::istringstream lines(log);
    std::string all;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("  ") || line.starts_with("where the time went")) continue;
      all += std::regex_replace(line, times, "") + "\n";
    }
    return all;
  }

  // Names, State of the checkpoints, metrics, results.
  static std::string left_in(const fs::path& run) {
    std::string all;
    if (!fs::exists(run)) return all;
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(run)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) {
      all += fs::relative(file, run).string() + "\n";
      if (file.filename() == "checkpoint.h5") {
        const Checkpoint checkpoint = read_checkpoint(file.parent_path());
        for (const StoredTensor& tensor : checkpoint.tensors())
          all += concat(tensor.name, " ", tensor.shape, " ", tensor.crc32, "\n");
        for (const auto& column : checkpoint.info.metrics.columns) {
          if (column.name == "samples_per_s") continue;
          for (const double value : column.value) all += concat(column.name, " ", value, "\n");
        }
      }
      if (file.filename() == "result.json") all += contents(file);
      if (file.filename().string().starts_with("epoch-"))
        all += concat("z ", read_representations(file).z.shape(), "\n");
    }
    return all;
  }

  TemporaryFolder folder_;
  const std::vector<Stage> stages_ = stages();
};

// The names of the keys that no case and no exception names.
std::vector<std::string> untested(const Schema& schema, const std::vector<Case>& cases,
                                  const std::vector<Exception>& without_case) {
  std::set<std::string> names;
  for (const Key& key : schema.keys()) names.insert(key.name);
  for (const Case& each : cases) names.erase(each.key);
  for (const Exception& each : without_case) names.erase(each.key);
  return {names.begin(), names.end()};
}

// A configuration as the stage has it, which reads no files.
Configuration configured(const std::string& stage, const Settings& settings) {
  Settings all = {"data.files=x", "data.dataset=x"};
  if (stage == "pretrain")
    all.insert(all.end(), {"objective.name=rotation", "encoder.width=1"});
  else
    all.insert(all.end(), {"test.dataset=x", "test.label=x", "task.name=" + stage});
  for (const std::string& each : settings)
    if (!each.starts_with("data.files=") && !each.starts_with("test.files=")) all.push_back(each);
  return Configuration::from_text("", schema_of(stage == "pretrain" ? stage : "finetune"),
                                  "keys.toml", all);
}

// Whether a task of finetune warns of the key, which one of the tests below sees in its log.
bool is_said_to_do_nothing(const std::string& stage, const Settings& settings,
                           const std::string& key) {
  if (stage == "pretrain" || key == "task.name") return false;
  for (const std::string& sentence : without_effect(configured(stage, settings))) {
    const std::string keys = sentence.substr(0, sentence.find(" no effect here: "));
    if (keys.find(key) != std::string::npos) return true;
  }
  return false;
}

// What a step of a small network sends where the stage's configuration makes the trainer, on the
// first of two ranks.
std::string messages_of_a_step(const std::string& stage, const Settings& settings) {
  const Configuration network = configured("pretrain", {});
  Traffic traffic;
  const auto ranks = absent_ranks(2, &traffic);
  const auto device = make_device("reference", 1);
  const ImageModality modality = testing::images({8, 8, 1}, augment_options(network));
  Model model(network, {{"", &modality}}, *device);
  Trainer trainer = make_trainer(configured(stage, settings), DType::f64, false,
                                 trainable(model, {}), *device, *ranks);
  const testing::SmallBatch batch(*model.objective().recipe(), modality.sample(), 0, 4, 1,
                                  DType::f64, 1);
  trainer.prepare(batch.fields(), {4, 4});
  traffic = {};
  trainer.step(batch.fields(), {4, 4}, 0, 0.1, 0);
  return concat(traffic.messages, " messages of ", traffic.bytes, " bytes");
}

// Runs every case of a stage; what changed nothing.
std::vector<std::string> idle_keys(Program& program, const std::string& stage,
                                   const std::vector<Case>& cases) {
  const auto outcome = [&](const Settings& settings, int ranks) {
    return ranks == 1 ? program.outcome(stage, settings) : messages_of_a_step(stage, settings);
  };
  std::map<std::pair<Settings, int>, std::string> usual;
  std::vector<std::string> idle;
  for (const Case& each : cases) {
    Settings changed = each.with;
    std::erase_if(changed, [&](const std::string& s) { return s.starts_with(each.key + "="); });
    changed.push_back(each.key + "=" + each.value);
    if (is_said_to_do_nothing(stage, changed, each.key)) continue;
    const std::string found = outcome(changed, each.ranks);
    std::string& base = usual[{each.with, each.ranks}];
    if (base.empty()) base = outcome(each.with, each.ranks);
    if (found == base) idle.push_back(concat(each.key, " = ", each.value));
  }
  return idle;
}

}  // namespace

TEST_CASE("keys: every one of pretrain changes what it does or is refused") {
  Program program;
  std::vector<Case> cases = pretrain_cases();
  for (Case& each : cases_of_part("part.paired")) cases.push_back(std::move(each));
  CHECK(untested(schema_of("pretrain"), cases, exceptions()) == std::vector<std::string>{});
  CHECK(idle_keys(program, "pretrain", cases) == std::vector<std::string>{});
}

TEST_CASE("keys: every one of finetune changes what it does or is refused") {
  Program program;
  std::vector<Exception> without_case = exceptions();
  without_case.insert(without_case.end(), finetune_exceptions().begin(),
                      finetune_exceptions().end());
  std::vector<Case> all;
  for (const char* task : {"linear", "knn", "classify"}) {
    CAPTURE(task);
    const std::vector<Case> cases = finetune_cases(task);
    all.insert(all.end(), cases.begin(), cases.end());
    CHECK(idle_keys(program, task, cases) == std::vector<std::string>{});
  }
  // Of their keys most are the ones of the tasks above, read by the same code.
  CHECK(idle_keys(program, "ridge", {{"task.l2", "[10]"}, {"task.held_out", "time"}}) ==
        std::vector<std::string>{});
  CHECK(idle_keys(program, "regress", {{"task.rates", "[0.3]"}, {"task.layer_decay", "0.1"}}) ==
        std::vector<std::string>{});
  CHECK(untested(schema_of("finetune"), all, without_case) == std::vector<std::string>{});
}

TEST_CASE("keys: what a task does not use is said") {
  Program program;
  CHECK_THAT(program.outcome("knn", {"train.epochs=2", "data.lanes=2"}),
             Catch::Contains("train.epochs have no effect here: this task") &&
                 Catch::Contains("warning: data.lanes has no effect here: samples are read"));
  CHECK_THAT(program.outcome("knn", {}), !Catch::Contains("train.epochs"));
  CHECK_THAT(program.outcome("pretrain", {"augment.mask=0.5"}),
             Catch::Contains("warning: augment.mask has no effect here: this objective hides"));
  CHECK_THAT(program.outcome("pretrain", {"objective.name=inpaint", "augment.mask=0.5"}),
             !Catch::Contains("no effect here"));
}

TEST_CASE("keys: what changes nothing that is seen here is tested where it is said to be") {
  std::vector<Exception> all = exceptions();
  all.insert(all.end(), finetune_exceptions().begin(), finetune_exceptions().end());
  for (const Exception& each : all) {
    CAPTURE(each.key, each.why, each.tested);
    const std::string name = each.key.substr(each.key.find('.') + 1);
    CHECK(contents(testing::source_folder() / each.tested).find(name) != std::string::npos);
  }
}

}  // namespace lacuna
