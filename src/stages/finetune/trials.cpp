#include "stages/finetune/trials.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/log.h"
#include "base/text.h"
#include "comm/agree.h"
#include "io/hdf5_image.h"
#include "io/sealed_file.h"
#include "run/checkpoint.h"

namespace lacuna {
namespace fs = std::filesystem;

namespace {

constexpr int64_t format_version = 3;  // 2 knew accuracies alone, and is read
constexpr const char* format = "lacuna trials";
constexpr const char* title = "Trials of a run of Lacuna";

fs::path file_in(const fs::path& folder) { return folder / "trials.h5"; }

// Earlier versions had no checksum of their own for classes, of which then nothing is known.
bool knows_targets(const std::string& hash) {
  return std::count(hash.begin(), hash.end(), '-') > 1;
}
bool may_be_same_data(const std::string& then, const std::string& now) {
  return same_data(then, now) || (knows_targets(now) && !knows_targets(then));
}

void require_same(const fs::path& folder, const TrialsOrigin& there, const TrialsOrigin& here) {
  if (there.step != here.step || there.checkpoint != here.checkpoint) {
    bad_input("run folder ", folder.string(), " is of step ", there.step, " of ", there.run,
              ", and this start is of step ", here.step, " of ", here.run,
              there.step == here.step ? " with other weights" : "",
              ": give another folder with --run, choose the step with task.checkpoint, or move it "
              "aside with --force");
  }
  if (!may_be_same_data(there.train_data, here.train_data) ||
      !may_be_same_data(there.test_data, here.test_data)) {
    bad_input("run folder ", folder.string(), " is of other data (training ", there.train_data,
              " there, ", here.train_data, " here; test ", there.test_data, " there, ",
              here.test_data,
              " here): restore the files, give another folder with --run, or move it aside with "
              "--force");
  }
}

// Earlier versions wrote "1 ranks of 1 threads".
std::string environment_in(const hdf5::Group& root) {
  std::string text = root.text("environment");
  for (const auto& [then, now] :
       {std::pair("1 ranks of ", "1 rank of "), {" 1 threads,", " 1 thread,"}}) {
    const size_t at = text.find(then);
    if (at == 0 || (at != std::string::npos && *then == ' '))
      text.replace(at, std::strlen(then), now);
  }
  return text;
}

// Columns of a file of trials, of one length each.
struct Columns {
  const hdf5::Group& root;
  const fs::path& file;
  size_t trials;

  std::vector<double> values(const std::string& path) const {
    std::vector<double> all = root.dataset(path).values<double>();
    if (all.size() != trials)
      bad_input(file.string(), " is damaged: its columns have different lengths; give another ",
                "folder with --run");
    return all;
  }
  // Those of one name, with intervals where there are columns of them.
  std::vector<Score> scores(const std::string& group, const std::string& name) const {
    const std::string path = concat(group, "/", name);
    const std::vector<double> value = values(path);
    const Direction better =
        root.dataset(path).text("better") == "lower" ? Direction::lower : Direction::higher;
    std::vector<Score> all;
    for (const double each : value) all.push_back({name, better, each});
    if (!root.has(concat(group, "_low/", name))) return all;
    const std::vector<double> low = values(concat(group, "_low/", name)),
                              high = values(concat(group, "_high/", name));
    for (size_t i = 0; i < all.size(); ++i) all[i].interval = {low[i], high[i]};
    return all;
  }
};

// Their names, in the order in which they come; the main score is the first.
template <typename Trials>
std::vector<Score> scores_of(const Trials& trials) {
  std::vector<Score> all;
  for (const auto& trial : trials) {
    for (const auto* scores : {&trial.result.test, &trial.result.held_out}) {
      for (const Score& score : *scores) {
        const auto same = [&](const Score& other) { return other.name == score.name; };
        if (std::none_of(all.begin(), all.end(), same)) all.push_back({score.name, score.better});
      }
    }
  }
  return all;
}

}  // namespace

Trials::Stored Trials::read(const fs::path& file) {
  const std::optional<std::string> bytes = read_sealed(file, title);
  if (!bytes)
    bad_input(file.string(), " is damaged: it does not agree with the size and checksum in its ",
              "front; give another folder with --run, or move this one aside with --force");
  const auto root = hdf5::ImageReader::open(file.string(), std::as_bytes(std::span(*bytes)));
  const int64_t version = root.integer("format_version");
  if (root.text("format") != format || version < 2 || version > format_version) {
    bad_input(file.string(), " has format ", root.text("format"), " ", version,
              " and this program reads ", format, " 2 and ", format_version,
              ": give another folder with --run");
  }
  Stored stored{{.run = root.text("run"),
                 .step = root.integer("step"),
                 .checkpoint = root.text("checkpoint"),
                 .train_data = root.text("train_data_hash"),
                 .test_data = root.text("test_data_hash"),
                 .environment = environment_in(root)},
                {}};
  for (const std::string& name : root.dataset("/trial").texts())
    stored.trials.push_back({name, {}});
  const Columns columns{root, file, stored.trials.size()};
  const std::vector<double> chosen = columns.values("/chosen");
  for (size_t i = 0; i < chosen.size(); ++i) stored.trials[i].result.chosen = chosen[i];
  if (version == 2) {
    const auto add = [&](const char* path, std::vector<Score> TrialResult::*scores) {
      const std::vector<double> values = columns.values(path);
      for (size_t i = 0; i < values.size(); ++i)
        if (!std::isnan(values[i]))
          (stored.trials[i].result.*scores).push_back({"accuracy", Direction::higher, values[i]});
    };
    add("/test_accuracy", &TrialResult::test);
    add("/held_out_accuracy", &TrialResult::held_out);
    return stored;
  }
  if (!root.has_attribute("scores")) return stored;  // no trial has ended
  for (const std::string& name : root.texts("scores")) {
    const std::vector<Score> test = columns.scores("/test", name),
                             held_out = columns.scores("/held_out", name);
    for (size_t i = 0; i < stored.trials.size(); ++i) {
      TrialResult& result = stored.trials[i].result;
      if (!std::isnan(test[i].value)) result.test.push_back(test[i]);
      if (!std::isnan(held_out[i].value)) result.held_out.push_back(held_out[i]);
    }
  }
  return stored;
}

void Trials::write() const {
  const fs::path file = file_in(folder_);
  hdf5::NewImage image = new_sealed_image(file, size_t{16} << 10);
  image.set("format", format);
  image.set("format_version", format_version);
  image.set("run", origin_.run);
  image.set("step", origin_.step);
  image.set("checkpoint", origin_.checkpoint);
  image.set("train_data_hash", origin_.train_data);
  image.set("test_data_hash", origin_.test_data);
  image.set("environment", origin_.environment);
  std::vector<std::string> names;
  for (const Trial& each : trials_) names.push_back(each.name);
  image.create_texts("/trial", names);
  const auto column = [&](const std::string& path, const Score* of, const auto& value) {
    std::vector<double> values;
    for (const Trial& each : trials_) values.push_back(value(each.result));
    hdf5::Dataset dataset =
        image.create_dataset(path, DType::f64, {static_cast<int64_t>(values.size())});
    dataset.write(values.data(), DType::f64);
    if (of != nullptr) dataset.set("better", name_of(of->better));
  };
  column("/chosen", nullptr, [](const TrialResult& result) { return result.chosen; });
  std::vector<std::string> score_names;
  for (const Score& score : scores_of(trials_)) {
    score_names.push_back(score.name);
    const auto found = [&score](const std::vector<Score>& scores) {
      for (const Score& each : scores)
        if (each.name == score.name) return each;
      return Score{};
    };
    column("/held_out/" + score.name, &score,
           [&](const TrialResult& result) { return found(result.held_out).value; });
    column("/test/" + score.name, &score,
           [&](const TrialResult& result) { return found(result.test).value; });
    column("/test_low/" + score.name, nullptr,
           [&](const TrialResult& result) { return found(result.test).interval.low; });
    column("/test_high/" + score.name, nullptr,
           [&](const TrialResult& result) { return found(result.test).interval.high; });
  }
  if (!score_names.empty()) image.set("scores", std::span<const std::string>(score_names));
  write_sealed(file, title, image);
}

Trials::Trials(const fs::path& folder, const TrialsOrigin& origin, const EarlyStop& early_stop,
               StageContext& context)
    : folder_(folder), origin_(origin), early_stop_(early_stop), context_(context) {
  const bool is_new = asked_of_rank_0(context.communicator, [&] {
    if (fs::exists(file_in(folder))) return false;
    write();
    return true;
  });
  if (is_new) return;
  agreed(context.communicator, [&] {
    Stored stored = read(file_in(folder));
    require_same(folder, stored.origin, origin);
    trials_ = std::move(stored.trials);
    if (trials_.empty() && !fs::exists(folder / "trials")) return;
    context.log.line("continuing ", folder.string(), " after ", trials_.size(), " trials");
    if (!same_data(stored.origin.train_data, origin.train_data))
      context.log.warning(folder.string(),
                          " was begun by an earlier version, of which it cannot be told whether "
                          "it had the same data: see that samples and labels are as they were");
    if (stored.origin.environment != origin.environment) {
      context.log.warning(concat("the rest will be equal within rounding to what an uninterrupted ",
                                 "run gives, for it was begun with ", stored.origin.environment,
                                 " and goes on with ", origin.environment));
    }
  });
}

void Trials::check(const fs::path& folder, const TrialsOrigin& origin, StageContext& context) {
  agreed(context.communicator, [&] {
    if (context.communicator.rank() != 0 || !fs::exists(file_in(folder))) return;
    require_same(folder, read(file_in(folder)).origin, origin);
  });
}

// "RUN/trials/draw-1-rate-0.003"
fs::path Trials::folder_of(const std::string& name) const {
  std::string plain;
  for (const char c : name) {
    if (c != ',') plain += c == ' ' ? '-' : c;
  }
  return folder_ / "trials" / plain;
}

void Trials::remove_folder(const std::string& name) const {
  std::error_code ignored;  // what stays is not read again
  fs::remove_all(folder_of(name), ignored);
  fs::remove(folder_ / "trials", ignored);  // if nothing is in it
}

std::string Trials::how_far() const {
  std::string text = concat(trials_.size(), " trials");
  std::error_code none;
  for (const auto& trial : fs::directory_iterator(folder_ / "trials", none))
    text += concat(", ", newest_checkpoint_text(trial.path()), " of the next");
  return text;
}

TrialResult Trials::once(const std::string& name, const Run& run) {
  const bool keeps = context_.communicator.rank() == 0;
  const auto found = std::find_if(trials_.begin(), trials_.end(),
                                  [&](const Trial& trial) { return trial.name == name; });
  if (found != trials_.end()) {
    if (keeps) remove_folder(name);  // of a process that was killed here
    return found->result;
  }
  if (const auto why = early_stop_.decide()) {
    context_.log.line(why->saved_text());
    EarlyStop::end(*why, concat("after ", trials_.size(), " trials"));
  }
  const TrialResult result = run(folder_of(name));
  trials_.push_back({name, result});
  agreed(context_.communicator, [&] {
    if (!keeps) return;
    write();
    remove_folder(name);
  });
  return result;
}

}  // namespace lacuna
