#include "stages/setup/plan_file.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "comm/agree.h"
#include "io/durable_file.h"
#include "stages/setup/load_configuration.h"

namespace lacuna {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view first_words = "# Lacuna: plans of cuDNN";

std::map<std::string, std::string> engines_of(const std::string& text, const std::string& file) {
  if (!text.starts_with(first_words)) {
    bad_input(file, ", which train.plans names, is no file of plans: make one with ",
              "lacuna check CONFIG.toml --device cuda --time-plans FILE");
  }
  std::map<std::string, std::string> engines;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty() || line.front() == '#') continue;
    const size_t tab = line.find('\t');
    if (tab == std::string::npos || tab == 0 || tab + 1 == line.size()) {
      bad_input(file, ", line ", number, ": a problem, a tab and an engine are wanted: make the ",
                "file anew with lacuna check --time-plans");
    }
    engines[line.substr(0, tab)] = line.substr(tab + 1);
  }
  return engines;
}

}  // namespace

std::map<std::string, std::string> read_plan_file(const std::string& file,
                                                  Communicator& communicator) {
  if (file.empty()) return {};
  agreed(communicator, [&] {
    if (communicator.rank() == 0 &&
        (!fs::is_regular_file(file) || ::access(file.c_str(), R_OK) != 0))
      bad_input("train.plans names ", file, ", which is no file that can be read: make one with ",
                "lacuna check CONFIG.toml --device cuda --time-plans FILE");
  });
  const std::string text = text_on_all_ranks(file, communicator);
  return agreed(communicator, [&] { return engines_of(text, file); });
}

std::string plans_taken(const std::map<std::string, std::string>& engines,
                        const std::vector<LibraryPlan>& plans) {
  const auto taken = std::count_if(plans.begin(), plans.end(), [&](const LibraryPlan& plan) {
    return engines.contains(plan.problem);
  });
  const std::string counts = concat(taken, " of ", plans.size(), " problems");
  return taken > 0 ? counts
                   : concat(counts,
                            ": they were timed for another precision, or for another number "
                            "of samples a rank");
}

void write_plan_file(const std::string& file, const std::string& where,
                     const std::vector<LibraryPlan>& plans) {
  std::string text = concat(first_words, " (", where, "): problem, engine and knobs\n");
  for (const LibraryPlan& plan : plans) {
    if (!plan.engine.empty()) text += concat(plan.problem, "\t", plan.engine, "\n");
  }
  write_durably(file, text);
}

}  // namespace lacuna
