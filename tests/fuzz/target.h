// Targets: the files that the program reads, each with seeds made by the program's own writers and
// with the program's own reader. docs/testing.md says how they are run.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace lacuna::fuzz {

struct File {
  std::string name;  // in the folder of the input
  std::string content;
  bool fixed = false;  // what is read beside, and never mutated
};
using Input = std::vector<File>;

enum class Form { text, hdf5 };

struct Target {
  std::string_view name;
  std::string_view what;
  Form form;
  // Where a seed needs a folder to be made in, this one, which is empty.
  std::vector<Input> (*seeds)(const std::filesystem::path& folder);
  // Reads what lies in the folder as the program does: returns, or throws an Error.
  void (*read)(const std::filesystem::path& folder);
  // Makes the checksums of what a mutation made of the seed right, so that what stands behind them
  // is reached. Null: there are none.
  void (*seal)(const Input& seed, Input& mutated) = nullptr;
  // Whether the Error is one that such a file may give.
  bool (*may_end_so)(ExitStatus status) = [](ExitStatus status) {
    return status == ExitStatus::bad_input;
  };
};

// All of them, and "planted", which does everything that a reader must not do.
std::span<const Target> targets();
// Null: none of that name.
const Target* find_target(std::string_view name);

// ---- For the targets' files

Target configuration_target();
Target grid_target();
Target data_target();
Target checkpoint_target();
Target representations_target();
Target trials_target();
Target progress_target();
Target attempts_target();
Target lease_target();
Target metrics_target();
Target plans_target();
Target planted_target();

// One file, as it is.
Input one_file(std::string name, std::string content);
std::string content_of(const std::filesystem::path& file);
// A tiny experiment in TOML that reads "data.h5" beside it.
std::string small_experiment();

// Runs a stage by its command line, as main does, on one rank; what it prints is returned.
std::string run_stage(const std::vector<std::string>& words);

// Runs all, whichever of them refuse, then throws the first Error.
template <typename... Actions>
void each_of(const Actions&... actions);

class FirstError {
 public:
  template <typename Action>
  void run(const Action& action) {
    try {
      action();
    } catch (const Error& error) {
      if (!error_) error_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::exception_ptr error_;
};

template <typename... Actions>
void each_of(const Actions&... actions) {
  FirstError first;
  (first.run(actions), ...);
  first.rethrow();
}

}  // namespace lacuna::fuzz
