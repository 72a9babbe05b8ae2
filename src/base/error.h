// Errors: exceptions of one family, each carrying one sentence for the user — what, where, and what
// to do — and the exit status that the process ends with (docs/exit-status.md).
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/text.h"

namespace lacuna {

enum class ExitStatus : int {
  finished = 0,
  failed = 1,  // a defect of Lacuna or of a library below it
  bad_input =
      2,  // configuration, command line, data set, checkpoint, or output that cannot be used
  bad_values = 3,   // NaN or Inf in the data or in the loss
  no_space = 4,     // the file system is full, or refuses to be written
  lost_rank = 5,    // another rank failed, or did not answer within the deadline
  collapsed = 6,    // representations collapsed and the run was asked to stop then
  no_progress = 7,  // a job was started again and again and came no further
  requeue = 75,     // stopped early with a checkpoint: start the same command again
};

class Error : public std::runtime_error {
 public:
  Error(ExitStatus status, const std::string& sentence)
      : std::runtime_error(sentence), status_(status) {}
  ExitStatus status() const { return status_; }

 private:
  ExitStatus status_;
};

// For what the standard library throws where it cannot look at a path: bad_input.
Error error_of(const std::filesystem::filesystem_error& error);

// The message of an error that ends the process, as it appears on stderr: each line of `sentences`
// begins with "lacuna: " and ends with a newline.
std::string error_message(std::string_view sentences);

// Throws an Error of status bad_input with the concatenated pieces as its sentence.
template <typename... Pieces>
[[noreturn]] void bad_input(const Pieces&... pieces) {
  throw Error(ExitStatus::bad_input, concat(pieces...));
}

// Ends the process: a rule of our own code was broken at this place.
[[noreturn]] void broken_rule(const char* rule, const char* file, int line,
                              const std::string& detail);

}  // namespace lacuna

// A check of our own logic, not of the user's input; kept in release builds.
// A macro only because of the place and the text of the condition.
#define LACUNA_CHECK(condition, ...)                                                        \
  do {                                                                                      \
    if (!(condition))                                                                       \
      ::lacuna::broken_rule(#condition, __FILE__, __LINE__, ::lacuna::concat(__VA_ARGS__)); \
  } while (false)
