#include "run/lease.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/stop_signals.h"
#include "config/toml_library.h"
#include "io/durable_file.h"
#include "run/leftovers.h"

namespace lacuna {
namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

bool same(const Runner& a, const Runner& b) {
  return a.job == b.job && a.restart == b.restart && a.host == b.host && a.process == b.process;
}

fs::path outermost_missing(fs::path folder) {
  fs::path missing;
  while (!folder.empty() && !fs::exists(folder)) {
    missing = folder;
    folder = folder.parent_path();
  }
  return missing;
}

}  // namespace

fs::path lease_file(const fs::path& what) {
  std::error_code error;
  fs::path place = fs::weakly_canonical(what, error);
  if (error)
    place = fs::absolute(what, error).lexically_normal();  // what is wrong there shows soon
  if (!place.has_filename()) place = place.parent_path();  // "runs/x/"
  return place.string() + ".lease";
}

std::optional<LeaseHolder> read_lease(const fs::path& what) {
  std::ostringstream text;
  text << std::ifstream(lease_file(what)).rdbuf();
  try {
    const toml::table table = parse_toml(text.str());
    if (!table.contains("host")) return std::nullopt;
    return LeaseHolder{{.job = table["job"].value_or(std::string()),
                        .restart = table["restart"].value_or(int64_t{0}),
                        .host = table["host"].value_or(std::string()),
                        .process = table["process"].value_or(int64_t{0})},
                       table["beats"].value_or(int64_t{0})};
  } catch (const TomlError&) {
    return std::nullopt;
  }
}

// SLURM starts a job again when its processes have ended; those of a host that lost its network end
// there.
bool Lease::is_gone(const Runner& holder, const Runner& here) {
  if (!holder.job.empty() && holder.job == here.job) return holder.restart != here.restart;
  return holder.host == here.host && !is_alive(holder.process);
}

Lease::Lease(fs::path what, bool make_folders, const Say& say,
             std::function<void(const std::string&)> lost, LeaseTimes times)
    : what_(std::move(what)),
      file_(lease_file(what_)),
      lost_(std::move(lost)),
      times_(times),
      runner_(this_runner()) {
  if (make_folders && file_.has_parent_path()) {
    made_ = outermost_missing(file_.parent_path());
    lacuna::make_folders(file_.parent_path());
  }
  take(say);
  remove_leftovers(beats_prefix());
  thread_ = std::thread([this] { beat(); });
}

Lease::~Lease() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
  std::error_code ignored;
  if (is_mine()) fs::remove(file_, ignored);
  // What was made for the lease goes if nothing else came into it.
  if (!made_.empty())
    for (fs::path folder = file_.parent_path(); fs::remove(folder, ignored) && folder != made_;)
      folder = folder.parent_path();
}

void Lease::take(const Say& say) {
  while (!create()) {
    const std::optional<LeaseHolder> holder = read_lease(what_);
    if (holder && !is_gone(holder->runner, runner_) && !watch(*holder, say)) continue;
    if (!holder) {  // being made, or by a process that was killed at it
      std::this_thread::sleep_for(Seconds(times_.beat));
      if (read_lease(what_)) continue;
    }
    if (!overwrite())
      throw_file_error(concat("take over the lease of ", what_.string(), ","), file_, errno);
    // Two that take over at once: the later one has it.
    std::this_thread::sleep_for(Seconds(0.04 * times_.beat));
    if (is_mine()) return;
  }
}

// Whether the holder does not live any more; false when it has let go, or another has it.
bool Lease::watch(const LeaseHolder& holder, const Say& say) const {
  say(concat(what_.string(), " is in use by ", text_of(holder.runner), ": waiting up to ",
             times_.expiry, " s for a sign of life"));
  const auto begun = Clock::now();
  while (Seconds(Clock::now() - begun).count() < times_.expiry) {
    std::this_thread::sleep_for(Seconds(times_.beat / 10));
    if (const auto signal = noted_signal())
      throw Error(ExitStatus::requeue,
                  concat("stopped early by ", signal_name(signal->number), " while waiting for ",
                         what_.string(), ": start the same command again to go on"));
    const std::optional<LeaseHolder> now = read_lease(what_);
    if (!now || !same(now->runner, holder.runner)) return false;
    if (now->beats != holder.beats)
      bad_input(what_.string(), " is in use by ", text_of(holder.runner),
                ", which is alive: let it end, or stop it (",
                holder.runner.job.empty() ? "kill" : concat("scancel ", holder.runner.job),
                "), then start the same command again");
  }
  say(concat("no sign of life of ", text_of(holder.runner), ": taking ", what_.string(), " over"));
  return true;
}

bool Lease::create() const {
  const int descriptor = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    if (errno == EEXIST) return false;
    throw_file_error(concat("make the lease of ", what_.string(), ","), file_, errno);
  }
  const std::string content = text();
  const ssize_t n = ::write(descriptor, content.data(), content.size());
  const int error = errno;
  ::fsync(descriptor);  // a torn one, after a power cut, would have to be waited for
  ::close(descriptor);
  if (n == static_cast<ssize_t>(content.size())) return true;
  ::unlink(file_.c_str());
  throw_file_error(concat("make the lease of ", what_.string(), ","), file_,
                   n < 0 ? error : ENOSPC);
}

// Readers see the old text or the new one. Not flushed: after a power cut nobody holds it.
// False, with errno, where the file system takes nothing.
bool Lease::overwrite() const {
  const fs::path temporary = own_name(beats_prefix());
  errno = 0;
  std::ofstream out(temporary);
  out << text();
  out.close();
  if (out && ::rename(temporary.c_str(), file_.c_str()) == 0) return true;
  const int error = errno == 0 ? EIO : errno;
  ::unlink(temporary.c_str());
  errno = error;
  return false;
}

fs::path Lease::beats_prefix() const { return file_.string() + "."; }

bool Lease::is_mine() const {
  const std::optional<LeaseHolder> holder = read_lease(what_);
  return holder && same(holder->runner, runner_);
}

void Lease::beat() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, Seconds(times_.beat), [&] { return stop_; })) {
    if (const auto holder = read_lease(what_); holder && !same(holder->runner, runner_)) {
      lost_(concat(what_.string(), " was taken over by ", text_of(holder->runner),
                   ", for this program gave no sign of life for ", times_.expiry,
                   " s or more: nothing is written any more"));
      return;
    }
    ++beats_;
    overwrite();  // a full disk: beats are missed, which a reader takes for a death
  }
}

std::string Lease::text() const {
  toml::table table{{"host", runner_.host}, {"process", runner_.process}, {"beats", beats_}};
  if (!runner_.job.empty()) {
    table.insert("job", runner_.job);
    table.insert("restart", runner_.restart);
  }
  std::ostringstream out;
  out << table << "\n";
  return out.str();
}

}  // namespace lacuna
