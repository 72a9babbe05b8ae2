#include "stages/setup/invocation.h"

#include <algorithm>

#include "base/text.h"

namespace lacuna {
namespace {

using Words = std::vector<std::string>;

const Stage* find_stage(const std::vector<Stage>& stages, const std::string& name) {
  const auto found = std::find_if(stages.begin(), stages.end(),
                                  [&](const Stage& stage) { return stage.syntax.stage == name; });
  return found == stages.end() ? nullptr : &*found;
}

Words names_of(const std::vector<Stage>& stages) {
  Words names;
  for (const Stage& stage : stages) names.push_back(stage.syntax.stage);
  return names;
}

bool asks_help(const std::string& word) {
  return word == "--help" || word == "-h" || word == "help";
}

std::string help_text(const std::vector<Stage>& stages) {
  size_t width = 0;
  for (const Stage& stage : stages) width = std::max(width, stage.syntax.stage.size());
  std::string text =
      "lacuna STAGE ...: self-supervised pretraining of encoders on HDF5 data sets.\n\nStages\n";
  for (const Stage& stage : stages) {
    const std::string& name = stage.syntax.stage;
    text +=
        concat("  ", name, std::string(width + 2 - name.size(), ' '), stage.syntax.summary, "\n");
  }
  return text +
         "\nlacuna STAGE --help shows the options of a stage, lacuna --version what the program "
         "was "
         "built with.\nKeys of the TOML files: docs/configuration.md. Exit statuses: "
         "docs/exit-status.md.\n";
}

[[noreturn]] void refuse_stage(const std::vector<Stage>& stages, const std::string& word) {
  Words known = names_of(stages);
  const bool option = word.rfind('-', 0) == 0;
  if (option) known = {"--help", "--version"};
  const std::string near = nearest(word, known);
  bad_input(
      option ? "there is no option " : "there is no stage ", word,
      near.empty() ? concat("; give ", join(known, " or ")) : concat("; did you mean ", near, "?"));
}

}  // namespace

Invocation interpret(const std::vector<Stage>& stages, const Words& words) {
  Invocation asked;
  if (words.empty()) {
    bad_input("no stage is given; give ", join(names_of(stages), " or "), ", or see lacuna --help");
  }
  if (asks_help(words.front())) {
    asked.text = help_text(stages);
  } else if (words.front() == "--version") {
    asked.text = version_text();
  } else if (const Stage* stage = find_stage(stages, words.front())) {
    asked.arguments = parse_arguments(stage->syntax, Words(words.begin() + 1, words.end()));
    if (asked.arguments.help()) {
      asked.text = lacuna::help_text(stage->syntax);
    } else {
      asked.stage = stage;
    }
  } else {
    refuse_stage(stages, words.front());
  }
  return asked;
}

bool runs_alone(const std::vector<Stage>& stages, const Words& words) {
  if (words.empty()) return false;
  if (const Stage* stage = find_stage(stages, words.front()); stage && !stage->uses_ranks)
    return true;
  try {
    return interpret(stages, words).stage == nullptr;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace lacuna
