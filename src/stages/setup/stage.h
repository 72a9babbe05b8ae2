// A stage: what one run of the program does. src/stages/list.cpp lists them all.
#pragma once

#include <chrono>
#include <string>

#include "base/error.h"
#include "config/command_line.h"

namespace lacuna {

class Communicator;
class Log;
class MpiSession;

// What main gives to a stage.
struct StageContext {
  Communicator& communicator;  // over all ranks; a stage without ranks gets one of a single rank
  Log& log;                    // speaks on rank 0
  MpiSession* session;         // null for a stage without ranks
  std::chrono::steady_clock::time_point started = {};  // when the program did
};

struct Stage {
  Syntax syntax;
  bool uses_ranks;  // runs under MPI, on every rank
  // Throws Error; one that every rank must see goes through agreed() (comm/agree.h).
  ExitStatus (*run)(const Arguments& arguments, StageContext& context);
};

}  // namespace lacuna
