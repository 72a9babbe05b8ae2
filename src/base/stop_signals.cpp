#include "base/stop_signals.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>

#include "base/text.h"

namespace lacuna {

namespace {

struct Named {
  const char* name;
  int number;
};
constexpr std::array<Named, 6> known = {{{"USR1", SIGUSR1},
                                         {"USR2", SIGUSR2},
                                         {"TERM", SIGTERM},
                                         {"INT", SIGINT},
                                         {"HUP", SIGHUP},
                                         {"XCPU", SIGXCPU}}};

int64_t nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// What a handler may touch is global by nature.
std::atomic<int64_t> noted_at = 0;
std::atomic<int> noted_number = 0;
static_assert(std::atomic<int64_t>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void note(int number) {
  int none = 0;
  if (noted_at == 0) noted_at = nanoseconds();
  noted_number.compare_exchange_strong(none, number);
}

void handle(int number, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;  // no call of a library below may fail for it
  sigfillset(&action.sa_mask);
  sigaction(number, &action, nullptr);
}

bool is_noted_here(int number) {
  struct sigaction action = {};
  sigaction(number, nullptr, &action);
  return action.sa_handler == note;
}

}  // namespace

const std::vector<std::string>& stop_signal_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Named& each : known) all.emplace_back(each.name);
    return all;
  }();
  return names;
}

int signal_number(std::string_view name) {
  for (const Named& each : known)
    if (name == each.name) return each.number;
  return 0;
}

std::string signal_name(int number) {
  for (const Named& each : known)
    if (number == each.number) return concat("SIG", each.name);
  return concat("signal ", number);
}

void note_signals(const std::vector<std::string>& names) {
  for (const Named& each : known) {
    if (std::find(names.begin(), names.end(), each.name) != names.end())
      handle(each.number, note);
    else if (is_noted_here(each.number))
      handle(each.number, SIG_DFL);
  }
}

std::optional<NotedSignal> noted_signal() {
  const int number = noted_number;
  if (number == 0) return std::nullopt;
  return NotedSignal{number, 1e-9 * static_cast<double>(nanoseconds() - noted_at)};
}

}  // namespace lacuna
