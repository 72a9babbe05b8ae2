// EarlyStop: when a run is to end before its work is done, keeping what it needs to go on: a signal
// came to any rank, or its time is over.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "comm/communicator.h"

namespace lacuna {

class EarlyStop {
 public:
  using Clock = std::chrono::steady_clock;
  // signals: as note_signals() takes them; they are noted from now on. max_hours: since `started`,
  // 0 for no limit.
  EarlyStop(const std::vector<std::string>& signals, double max_hours, Clock::time_point started,
            Communicator& communicator);

  // What this rank says at a point where the program could stop; to be summed over the ranks, with
  // what else is. `ahead`: seconds until it could stop next and has kept what it needs then. The
  // clock of rank 0 counts.
  std::vector<double> votes(double ahead) const;

  // From the sums, and so the same on every rank: why to stop, or nothing.
  struct Why {
    std::string what;  // "SIGUSR1 to rank 2"
    Clock::time_point when;
    double seconds() const;  // since then
    // "what is done was saved 0.06 s after SIGUSR1 to rank 2", once it is.
    std::string saved_text() const;
  };
  std::optional<Why> decision(std::span<const double> sums) const;

  // Both, where nothing else is summed. Collective.
  std::optional<Why> decide(double ahead = 0) const;

  // Throws what ends the program on every rank: status requeue. `where`: "after step 12".
  [[noreturn]] static void end(const Why& why, std::string_view where);

 private:
  bool time_is_over(double ahead) const;

  double max_hours_;
  Clock::time_point started_;
  Communicator& communicator_;
};

}  // namespace lacuna
