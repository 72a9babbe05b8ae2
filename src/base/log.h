// Log: what a run tells its user while it works, on standard output. One rank speaks, for all. Each
// event is one plain line, written whole, so that lines of several processes do not interleave.
// Errors that end the process are not its business (base/error.h).
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "base/text.h"

namespace lacuna {

// Whether a person watches this process on a terminal. A launcher may give its ranks a terminal of
// their own while its output goes to a file (Open MPI does), so the parent process must have one
// too.
bool watched_on_terminal(int descriptor);

// May be used by several threads.
class Log {
 public:
  // descriptor: written to, not owned. speaks: true on one rank. interval: seconds between two
  // lines of progress, where it is not a terminal.
  Log(int descriptor, bool speaks, bool terminal, double interval);
  // On standard output.
  static Log standard(bool speaks, double interval = 10);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  bool speaks() const { return speaks_; }
  bool terminal() const { return terminal_; }
  void set_interval(double seconds);

  // One event, one line.
  template <typename... Pieces>
  void line(const Pieces&... pieces) {
    if (speaks_) write_line(concat(pieces...));
  }
  // A line that begins "warning: ".
  template <typename... Pieces>
  void warning(const Pieces&... pieces) {
    if (speaks_) write_line(concat("warning: ", pieces...));
  }

  // Whether progress(...) would show something now: ask before making its text.
  bool progress_due() const;
  // How far the work is, in one line without its end. On a terminal it replaces the progress shown
  // before, at most ten times a second; elsewhere it is a plain line, at most one per interval.
  void progress(const std::string& text);
  // The last progress, shown in any case; on a terminal its line then stays.
  void finish_progress(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;
  bool due(Clock::time_point now) const;
  void write_line(const std::string& text);
  void write_all(const std::string& text) const;

  mutable std::mutex mutex_;
  const int descriptor_;
  const bool speaks_, terminal_;
  double interval_;
  bool progress_shown_ = false;  // on the terminal, in an unfinished line
  std::string progress_;         // what is shown there
  Clock::time_point last_progress_{};
  bool had_progress_ = false;
};

}  // namespace lacuna
