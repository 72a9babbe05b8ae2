// Signals by which a scheduler asks a program to stop early: noted, for the program to look at when
// it can stop.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lacuna {

// Those that a program can be asked to stop by: "USR1", "USR2", "TERM", "INT", "HUP", "XCPU".
const std::vector<std::string>& stop_signal_names();

// The number of one of these; 0 for any other name.
int signal_number(std::string_view name);
// "SIGUSR1".
std::string signal_name(int number);

// From now on these signals are noted and do not end the process; those that an earlier call named,
// and this one does not, end it again. What was noted before stays so.
void note_signals(const std::vector<std::string>& names);

struct NotedSignal {
  int number = 0;
  double seconds_ago = 0;
};
// The first that came.
std::optional<NotedSignal> noted_signal();

}  // namespace lacuna
