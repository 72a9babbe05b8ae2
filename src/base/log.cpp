#include "base/log.h"

#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

namespace lacuna {
namespace {

constexpr const char* clear_line = "\r\x1b[K";
constexpr double terminal_interval = 0.1;

// What the parent's descriptor leads to, "" where the system does not say.
std::string parent_target(int descriptor) {
  const std::string link = concat("/proc/", getppid(), "/fd/", descriptor);
  char target[PATH_MAX];
  const ssize_t length = readlink(link.c_str(), target, sizeof target);
  return length < 0 ? "" : std::string(target, static_cast<size_t>(length));
}

}  // namespace

bool watched_on_terminal(int descriptor) {
  const char* kind = std::getenv("TERM");
  if (kind == nullptr || std::strcmp(kind, "dumb") == 0 || isatty(descriptor) == 0) return false;
  const std::string parent = parent_target(descriptor);
  return parent.empty() || parent.rfind("/dev/pts/", 0) == 0 || parent.rfind("/dev/tty", 0) == 0 ||
         parent == "/dev/console";
}

Log::Log(int descriptor, bool speaks, bool terminal, double interval)
    : descriptor_(descriptor), speaks_(speaks), terminal_(terminal), interval_(interval) {}

Log Log::standard(bool speaks, double interval) {
  return Log(STDOUT_FILENO, speaks, watched_on_terminal(STDOUT_FILENO), interval);
}

Log::~Log() {
  if (progress_shown_) write_all("\n");
}

void Log::set_interval(double seconds) {
  const std::lock_guard lock(mutex_);
  interval_ = seconds;
}

bool Log::due(Clock::time_point now) const {
  if (!had_progress_) return true;
  const double waited = std::chrono::duration<double>(now - last_progress_).count();
  return waited >= (terminal_ ? terminal_interval : interval_);
}

bool Log::progress_due() const {
  const std::lock_guard lock(mutex_);
  return speaks_ && due(Clock::now());
}

void Log::progress(const std::string& text) {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  if (!speaks_ || !due(now)) return;
  had_progress_ = true;
  last_progress_ = now;
  if (terminal_) {
    write_all(clear_line + text);
    progress_ = text;
    progress_shown_ = true;
  } else {
    write_all(text + "\n");
  }
}

void Log::finish_progress(const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (!speaks_) return;
  write_all((progress_shown_ ? clear_line : "") + text + "\n");
  progress_shown_ = false;
  had_progress_ = false;
}

void Log::write_line(const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (progress_shown_) {
    write_all(clear_line + text + "\n" + progress_);
  } else {
    write_all(text + "\n");
  }
}

// Output that nobody can read any more (a full disk, a closed pipe) does not end a run.
void Log::write_all(const std::string& text) const {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = write(descriptor_, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    done += static_cast<size_t>(count);
  }
}

}  // namespace lacuna
