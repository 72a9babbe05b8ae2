// sweep: the runs of a grid of settings: how many, how each is started, and how they stand, as a
// table.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/text.h"
#include "config/toml_library.h"
#include "io/durable_file.h"
#include "run/run.h"
#include "stages/keys/schema.h"
#include "stages/setup/stage.h"
#include "stages/status/run_facts.h"
#include "stages/sweep/stage.h"
#include "tasks/list.h"

namespace lacuna {
namespace fs = std::filesystem;

namespace {

constexpr size_t most_runs = 100000;  // beyond what SLURM lets an array have

struct Axis {
  std::string key;                  // "optimizer.lr"
  std::vector<std::string> values;  // as TOML
};

struct Grid {
  std::string file;
  fs::path pretrain, finetune;  // configurations; finetune may be empty
  std::vector<Axis> axes;

  size_t count() const {
    size_t runs = 1;
    for (const Axis& axis : axes) runs *= axis.values.size();
    return runs;
  }
  // The values of a run, one of each axis; the last axis changes fastest.
  std::vector<std::string> values(size_t run) const {
    std::vector<std::string> chosen(axes.size());
    for (size_t i = axes.size(); i-- > 0;) {
      chosen[i] = axes[i].values[run % axes[i].values.size()];
      run /= axes[i].values.size();
    }
    return chosen;
  }
  std::vector<std::string> settings(size_t run) const {
    std::vector<std::string> words = values(run);
    for (size_t i = 0; i < axes.size(); ++i) words[i] = concat(axes[i].key, "=", words[i]);
    return words;
  }
  fs::path folder() const { return fs::path("runs") / fs::path(file).stem(); }
  fs::path run_folder(size_t run) const { return folder() / std::to_string(run); }
  fs::path finetuned_folder(size_t run) const { return folder() / concat(run, "-finetuned"); }
};

std::string text_of(const toml::node& value) {
  const auto* number = value.as_floating_point();
  if (number && std::isfinite(number->get())) return json_text(number->get());
  std::ostringstream text;
  value.visit([&](const auto& each) { text << each; });
  return text.str();
}

// "[grid] optimizer.lr = [...]" is a table in a table.
void add_axes(const toml::table& table, const std::string& prefix, Grid& grid) {
  for (const auto& [key, value] : table) {
    const std::string name = prefix + std::string(key.str());
    if (const toml::table* inner = value.as_table()) {
      add_axes(*inner, name + ".", grid);
      continue;
    }
    const toml::array* list = value.as_array();
    if (list == nullptr || list->empty())
      bad_input(grid.file, ", line ", value.source().begin.line, ": ", name,
                " must be a list of the values to try");
    Axis axis{name, {}};
    for (const toml::node& each : *list) {
      axis.values.push_back(text_of(each));
      if (axis.values.back().find('\n') != std::string::npos)  // scripts read words, one a line
        bad_input(grid.file, ", line ", each.source().begin.line, ": a value of ", name,
                  " takes several lines: give values of one line each");
    }
    grid.axes.push_back(std::move(axis));
  }
}

Grid read_grid(const std::string& file) {
  Grid grid{.file = file, .pretrain = {}, .finetune = {}, .axes = {}};
  try {
    const toml::table root = parse_toml(Configuration::read(file));
    for (const auto& [key, value] : root)
      if (key != "pretrain" && key != "finetune" && key != "grid")
        bad_input(file, ", line ", value.source().begin.line, ": there is no key ",
                  std::string(key.str()), "; a sweep has pretrain, finetune and [grid]");
    const auto path = [&](const char* key) {
      const std::string text = root[key].value_or(std::string());
      return text.empty() ? fs::path() : fs::path(file).parent_path() / text;
    };
    grid.pretrain = path("pretrain");
    grid.finetune = path("finetune");
    if (const toml::table* axes = root["grid"].as_table()) add_axes(*axes, "", grid);
  } catch (const TomlError& error) {
    bad_input(file, ", line ", error.line(), ": ", error.what());
  }
  if (grid.pretrain.empty() || grid.axes.empty())
    bad_input(
        file,
        " is no sweep: it must have pretrain = \"CONFIG.toml\" and [grid] with lists of values");
  size_t runs = 1;
  for (const Axis& axis : grid.axes) {
    if (axis.values.size() > most_runs / runs)
      bad_input(file, " has more than ", most_runs, " runs: give fewer values in [grid]");
    runs *= axis.values.size();
  }
  return grid;
}

// The configurations of a grid's runs.
class Configurations {
 public:
  explicit Configurations(const Grid& grid)
      : grid_(grid), text_(Configuration::read(grid.pretrain.string())) {}
  Configuration of(size_t run) const {
    return Configuration::from_text(text_, schema_, grid_.pretrain.string(), grid_.settings(run));
  }
  // Whether what lies in the run's folder is that run; after a change of the grid it may be
  // another.
  bool is_there(size_t run) const {
    const fs::path folder = grid_.run_folder(run);
    if (!run_exists(folder)) return false;
    const Configuration configuration = of(run);
    try {
      check_run(folder, configuration, schema_);
      return true;
    } catch (const Error&) {
      std::cerr << "warning: " << folder.string()
                << " holds a run of other settings: move it aside, or give the grid another name\n";
      return false;
    }
  }

 private:
  const Grid& grid_;
  std::string text_;
  Schema schema_ = schema_of("pretrain");
};

// Every run's configuration, before any is queued.
void check_all(const Grid& grid) {
  const Configurations configurations(grid);
  for (size_t run = 0; run < grid.count(); ++run) configurations.of(run);
  if (!grid.finetune.empty())
    Configuration::from_text(Configuration::read(grid.finetune.string()), schema_of("finetune"),
                             grid.finetune.string());
}

size_t run_number(const std::string& text, const Grid& grid) {
  const auto run = as_number<size_t>(text);
  if (!run || *run >= grid.count())
    bad_input("--task is ", text, "; ", grid.file, " has the runs 0 to ", grid.count() - 1);
  return *run;
}

// The words behind `lacuna pretrain` or `lacuna finetune`, one a line.
void print_words(const Grid& grid, size_t run, bool finetune) {
  std::vector<std::string> words;
  if (!finetune) {
    words = {grid.pretrain.string(), "--run", grid.run_folder(run).string()};
    for (const std::string& setting : grid.settings(run)) {
      words.emplace_back("--set");
      words.push_back(setting);
    }
  } else if (!grid.finetune.empty()) {
    words = {grid.finetune.string(), "--from", grid.run_folder(run).string(), "--run",
             grid.finetuned_folder(run).string()};
  }
  for (const std::string& word : words) std::cout << word << "\n";
}

// What finetune has found of a run; "" while it has not finished.
std::string result_of(const Grid& grid, size_t run) {
  const fs::path result = grid.finetuned_folder(run) / "result.json";
  return fs::exists(result) ? read_text(result) : "";
}

// The main score of the task that the runs will be fine-tuned to.
std::string main_score_of(const fs::path& finetune) {
  const Configuration configuration = Configuration::from_text(
      Configuration::read(finetune.string()), schema_of("finetune"), finetune.string());
  const bool classes = task_of(configuration).targets == TargetType::classes;
  return (classes ? class_scorer(1) : value_scorer(1))->scores()[0].name;
}

// The names of the scores that the runs' tasks have, the main one first: as the first run that has
// finished tells them. One of an earlier version told an accuracy.
std::vector<std::string> score_names(const Grid& grid, const std::vector<std::string>& results) {
  bool finished = false;
  for (const std::string& result : results) {
    std::vector<std::string> names;
    for (const ScoreFact& score : scores_in(result)) names.push_back(score.name);
    if (!names.empty()) return names;
    finished = finished || !result.empty();
  }
  if (finished || grid.finetune.empty()) return {"accuracy"};
  return {main_score_of(grid.finetune)};
}

std::string cell(std::optional<double> value) {
  return value && !std::isnan(*value) ? concat(*value) : "-";
}

// Main score, which direction of it is better, other scores.
void print_scores(const std::string& result, const std::vector<std::string>& names) {
  const std::vector<ScoreFact> scores = scores_in(result);
  for (const std::string& name : names) {
    const auto found = std::find_if(scores.begin(), scores.end(),
                                    [&](const ScoreFact& score) { return score.name == name; });
    const bool is_there = found != scores.end();
    std::cout << "\t" << cell(is_there ? found->value : number_in(result, name));
    if (name == names.front()) std::cout << "\t" << (is_there ? found->better : "-");
  }
}

void print_table(const Grid& grid) {
  std::cout << "run";
  for (const Axis& axis : grid.axes) std::cout << "\t" << axis.key;
  std::cout << "\tstep\tloss";
  const Configurations configurations(grid);
  std::vector<bool> is_there;
  std::vector<std::string> results;
  for (size_t run = 0; run < grid.count(); ++run) {
    is_there.push_back(configurations.is_there(run));
    if (!grid.finetune.empty()) results.push_back(is_there[run] ? result_of(grid, run) : "");
  }
  const std::vector<std::string> names = score_names(grid, results);
  if (!grid.finetune.empty()) {
    for (const std::string& name : names)
      std::cout << "\t" << name << (name == names.front() ? "\tbetter" : "");
  }
  std::cout << "\n";
  for (size_t run = 0; run < grid.count(); ++run) {
    std::cout << run;
    for (const std::string& value : grid.values(run)) std::cout << "\t" << value;
    const std::string line = is_there[run] ? last_metrics(grid.run_folder(run)) : "";
    const auto step = number_in(line, "step");
    std::cout << "\t" << (step ? concat(static_cast<int64_t>(*step) + 1) : "-") << "\t"
              << cell(number_in(line, "loss"));
    if (!grid.finetune.empty()) print_scores(results[run], names);
    std::cout << "\n";
  }
}

}  // namespace

namespace {

Syntax sweep_syntax() {
  return {
      .stage = "sweep",
      .argument = "GRID.toml",
      .argument_doc =
          "Configurations, and lists of values for some of their keys (docs/clusters.md).",
      .summary = "Tells the runs of a grid of settings, and how they stand, as a table.",
      .options = {
          {.name = "count", .argument = "", .doc = "How many there are, after a look at each."},
          {.name = "task", .argument = "K", .doc = "The arguments of run K, from 0, one a line."},
          {.name = "stage",
           .argument = "pretrain|finetune",
           .doc = "Which arguments.",
           .default_value = "pretrain",
           .choices = {"pretrain", "finetune"}}}};
}

ExitStatus sweep(const Arguments& arguments, StageContext&) {
  const Grid grid = read_grid(arguments.argument());
  if (arguments.given("count") && arguments.given("task"))
    bad_input("--count and --task ask different things: give one of them");
  if (arguments.given("count")) {
    check_all(grid);
    std::cout << grid.count() << "\n";
  } else if (arguments.given("task")) {
    print_words(grid, run_number(arguments.value("task"), grid),
                arguments.value("stage") == "finetune");
  } else {
    print_table(grid);
  }
  std::cout << std::flush;
  return ExitStatus::finished;
}

}  // namespace

Stage sweep_stage() { return {sweep_syntax(), false, sweep}; }

}  // namespace lacuna
