#include "train/early_stop.h"

#include <iomanip>

#include "base/stop_signals.h"
#include "comm/agree.h"

namespace lacuna {

namespace {

// Places of the votes.
enum Vote : size_t { signalled, rank_of, number_of, seconds_of, time_over, vote_count };

double seconds_since(EarlyStop::Clock::time_point then) {
  return std::chrono::duration<double>(EarlyStop::Clock::now() - then).count();
}

}  // namespace

double EarlyStop::Why::seconds() const { return seconds_since(when); }

std::string EarlyStop::Why::saved_text() const {
  return concat("what is done was saved ", std::fixed, std::setprecision(2), seconds(), " s after ",
                what);
}

EarlyStop::EarlyStop(const std::vector<std::string>& signals, double max_hours,
                     Clock::time_point started, Communicator& communicator)
    : max_hours_(max_hours), started_(started), communicator_(communicator) {
  note_signals(signals);
}

bool EarlyStop::time_is_over(double ahead) const {
  return max_hours_ > 0 && seconds_since(started_) + ahead > 3600 * max_hours_;
}

std::vector<double> EarlyStop::votes(double ahead) const {
  std::vector<double> votes(vote_count);
  if (const auto signal = noted_signal()) {
    votes[signalled] = 1;
    votes[rank_of] = communicator_.rank();
    votes[number_of] = signal->number;
    votes[seconds_of] = signal->seconds_ago;
  }
  if (communicator_.rank() == 0 && time_is_over(ahead)) votes[time_over] = 1;
  return votes;
}

std::optional<EarlyStop::Why> EarlyStop::decision(std::span<const double> sums) const {
  LACUNA_CHECK(sums.size() == vote_count);
  if (const double ranks = sums[signalled]; ranks > 0) {
    // Ranks that were sent different signals at once are none that a scheduler makes.
    const std::string name = signal_name(static_cast<int>(sums[number_of] / ranks));
    return Why{ranks == 1 ? concat(name, " to rank ", sums[rank_of])
                          : concat(name, " to ", ranks, " ranks"),
               Clock::now() - std::chrono::duration_cast<Clock::duration>(
                                  std::chrono::duration<double>(sums[seconds_of] / ranks))};
  }
  if (sums[time_over] > 0) return Why{concat("--max-hours ", max_hours_), Clock::now()};
  return std::nullopt;
}

std::optional<EarlyStop::Why> EarlyStop::decide(double ahead) const {
  std::vector<double> sums = votes(ahead);
  communicator_.all_reduce_sum(sums.data(), sums.size(), DType::f64).wait();
  return decision(sums);
}

void EarlyStop::end(const Why& why, std::string_view where) {
  throw AgreedError(
      ExitStatus::requeue,
      concat("stopped early ", where, " for ", why.what, ": start the same command again to go on"),
      0);
}

}  // namespace lacuna
