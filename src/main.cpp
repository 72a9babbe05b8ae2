#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/stop_signals.h"
#include "base/waiting.h"
#include "comm/agree.h"
#include "comm/communicator.h"
#include "comm/mpi.h"
#include "stages/list.h"
#include "stages/setup/invocation.h"

namespace lacuna {
namespace {

ExitStatus run(const std::vector<std::string>& words, std::optional<MpiSession>& session) {
  const auto started = std::chrono::steady_clock::now();
  const std::vector<Stage> known = stages();
  const bool alone = runs_alone(known, words);
  if (!alone) {
    note_signals({"USR1", "TERM"});  // until the stage has read train.stop_signals
    session.emplace();
  }
  const auto communicator = alone ? self_communicator() : mpi_communicator(*session);
  const Invocation asked = agreed(*communicator, [&] { return interpret(known, words); });
  if (asked.stage == nullptr) {
    std::fputs(asked.text.c_str(), stdout);
    return ExitStatus::finished;
  }
  Log log(1, communicator->rank() == 0, watched_on_terminal(1), 10);
  StageContext context{*communicator, log, alone ? nullptr : &*session, started};
  return asked.stage->run(asked.arguments, context);
}

}  // namespace
}  // namespace lacuna

int main(int argc, char** argv) {
  lacuna::keep_waits_short(argv);
  std::optional<lacuna::MpiSession> session;
  try {
    return static_cast<int>(lacuna::run({argv + 1, argv + argc}, session));
  } catch (...) {
    return lacuna::end_after(std::current_exception(), session);
  }
}
