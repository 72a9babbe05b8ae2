#include "fuzz/contain.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <thread>

#include "fuzz/mutate.h"

namespace lacuna::fuzz {
namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

constexpr uint64_t batch_size = 200;  // inputs of one child: HDF5 leaks what it cannot close
constexpr uint64_t most_memory = uint64_t{3} << 30;
constexpr double most_seconds_in_hdf5 = 0.3;
constexpr int status_of_hang = 97;

// ---- Hangs, by the processor time of one input, which other programs do not change

double most_seconds = 10;
double seconds_of_input = 0;

// Whose the code is that a signal has interrupted, sanitizer and C library left out.
bool interrupted_in_hdf5() {
  void* calls[64];
  const int count = ::backtrace(calls, 64);
  bool behind_handler = false;  // the C library calls it
  for (int i = 0; i < count; ++i) {
    Dl_info info;
    if (::dladdr(calls[i], &info) == 0 || info.dli_fname == nullptr) continue;
    behind_handler |= std::strstr(info.dli_fname, "libc.so") != nullptr;
    if (!behind_handler) continue;
    if (std::strstr(info.dli_fname, "libhdf5") != nullptr) return true;
    if (std::strstr(info.dli_fname, "lacuna-fuzz") != nullptr) return false;
  }
  return false;
}

void look_at_clock(int) {
  if (__asan_report_present() != 0) return;  // it dies of something else
  seconds_of_input += most_seconds_in_hdf5;
  if (!interrupted_in_hdf5() && seconds_of_input < most_seconds) return;
  std::fputs("Sanitizer: hang \n", stderr);
  __sanitizer_print_stack_trace();
  ::_exit(status_of_hang);
}

void start_clock() {
  seconds_of_input = 0;
  constexpr auto microseconds = static_cast<suseconds_t>(1e6 * most_seconds_in_hdf5);
  const itimerval every{{0, microseconds}, {0, microseconds}};
  ::setitimer(ITIMER_PROF, &every, nullptr);
}

struct Range {
  uint64_t first, end;
};

// Shared with a child.
struct Progress {
  std::atomic<uint64_t> next{0}, read{0}, refused{0};
};

class SharedProgress {
 public:
  SharedProgress() {
    void* memory = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    LACUNA_CHECK(memory != MAP_FAILED);
    progress_ = new (memory) Progress;
  }
  ~SharedProgress() { ::munmap(progress_, sizeof(Progress)); }
  SharedProgress(const SharedProgress&) = delete;
  SharedProgress& operator=(const SharedProgress&) = delete;
  Progress* operator->() const { return progress_; }

 private:
  Progress* progress_;
};

// A reader that takes the word of a file for the size of something shall not get it. The
// sanitizer's own reservations are there already; it limits what is asked of it by
// max_allocation_size_mb.
void limit_resources() {
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t bytes = pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) + most_memory;
  const rlimit memory{bytes, bytes}, no_core{0, 0};
  ::setrlimit(RLIMIT_AS, &memory);
  ::setrlimit(RLIMIT_CORE, &no_core);
}

// One child after the other, on one range of inputs after the other.
class Worker {
 public:
  Worker(const Target& target, const std::vector<Input>& seeds, const Options& options,
         const fs::path& scratch)
      : target_(target), seeds_(seeds), options_(options), folder_(scratch), log_(scratch) {
    folder_ /= "input";
    log_ /= "log";
    fs::create_directories(folder_);
  }

  bool busy() const { return child_ > 0; }
  void start(Range range) {
    range_ = range;
    progress_->next = range.first;
    std::fflush(nullptr);
    child_ = ::fork();
    LACUNA_CHECK(child_ >= 0);
    if (child_ == 0) work();
    seen_ = range.first;
    moved_ = Clock::now();
  }

  // Looks at the child; what is left to do, if it has ended before its time.
  std::optional<Range> look(Tally& tally) {
    const uint64_t next = progress_->next;
    if (next != seen_) moved_ = Clock::now();
    seen_ = next;
    const bool sleeps = since(moved_) > 10 * options_.most_seconds;  // or gets no processor
    if (sleeps) stop();
    int status = 0;
    if (::waitpid(child_, &status, sleeps ? 0 : WNOHANG) == 0) return std::nullopt;
    child_ = 0;
    tally.read += progress_->read.exchange(0);
    tally.refused += progress_->refused.exchange(0);
    const bool hung = sleeps || (WIFEXITED(status) && WEXITSTATUS(status) == status_of_hang);
    if (!hung && WIFEXITED(status) && WEXITSTATUS(status) == 0) return std::nullopt;
    const uint64_t input = progress_->next;
    note(tally, input, hung, status);
    return Range{input + 1, range_.end};
  }

 private:
  [[noreturn]] void work() {
    const int log = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0666);
    ::dup2(log, STDERR_FILENO);
    limit_resources();
    most_seconds = options_.most_seconds;
    std::signal(SIGPROF, look_at_clock);
    for (uint64_t number = range_.first; number < range_.end; ++number) {
      start_clock();
      const Input input = mutated(target_, seeds_, options_.seed, number);
      const bool read = read_one(target_, input, folder_).empty();
      ++(read ? progress_->read : progress_->refused);
      progress_->next = number + 1;
    }
    ::_exit(0);
  }

  // With a signal that makes it say where it is.
  void stop() const {
    ::kill(child_, SIGABRT);
    for (int i = 0; i < 100; ++i) {
      siginfo_t ended{};
      if (::waitid(P_PID, static_cast<id_t>(child_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
          ended.si_pid != 0)
        return;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    ::kill(child_, SIGKILL);
  }

  void note(Tally& tally, uint64_t input, bool hung, int status) const {
    const std::string log = content_of(log_);
    Blame blame = blame_of(log);
    if (blame.where.empty())
      blame.where = WIFSIGNALED(status) ? concat("signal ", WTERMSIG(status))
                                        : concat("status ", WEXITSTATUS(status));
    auto& all = hung ? (blame.hdf5 ? tally.hangs_of_hdf5 : tally.hangs)
                     : (blame.hdf5 ? tally.crashes_of_hdf5 : tally.crashes);
    Occurrence& occurrence = all.emplace(blame.where, Occurrence{0, input}).first->second;
    ++occurrence.count;
    occurrence.first = std::min(occurrence.first, input);
    if (!blame.hdf5 && tally.first_log.empty()) tally.first_log = log;
  }

  const Target& target_;
  const std::vector<Input>& seeds_;
  const Options& options_;
  fs::path folder_, log_;
  SharedProgress progress_;
  pid_t child_ = 0;
  Range range_{};
  uint64_t seen_ = 0;
  Clock::time_point moved_;
};

}  // namespace

uint64_t count_of(const std::map<std::string, Occurrence>& occurrences) {
  uint64_t count = 0;
  for (const auto& [where, occurrence] : occurrences) count += occurrence.count;
  return count;
}

void write_input(const Input& input, const fs::path& folder) {
  for (const File& file : input) {
    const fs::path path = folder / file.name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary | std::ios::trunc) << file.content;
  }
}

// Other exceptions than Error end the process where they are thrown, so that the sanitizer's stack
// is theirs.
std::string read_one(const Target& target, const Input& input, const fs::path& folder) {
  write_input(input, folder);
  try {
    target.read(folder);
    return "";
  } catch (const Error& error) {
    const std::string sentence = error.what();
    LACUNA_CHECK(!sentence.empty() && target.may_end_so(error.status()), "status ",
                 static_cast<int>(error.status()), ": ", sentence);
    return sentence;
  }
}

Tally read_all(const Target& target, const std::vector<Input>& seeds, const Options& options) {
  const auto begun = Clock::now();
  const ScratchFolder scratch;
  std::deque<Range> to_do;
  const uint64_t end = options.first + options.inputs;
  for (uint64_t first = options.first; first < end; first += batch_size)
    to_do.push_back({first, std::min(first + batch_size, end)});
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < options.jobs; ++i)
    workers.push_back(
        std::make_unique<Worker>(target, seeds, options, scratch.path() / std::to_string(i)));
  Tally tally;
  auto told = begun;
  for (bool busy = true; busy;) {
    busy = false;
    if (since(told) > 60) {
      told = Clock::now();
      const uint64_t left = to_do.empty() ? end : to_do.front().first;
      std::fprintf(stderr, "%s: at input %llu after %.0f s\n", target.name.data(),
                   static_cast<unsigned long long>(left), since(begun));
    }
    for (const auto& worker : workers) {
      if (worker->busy()) {
        const std::optional<Range> left = worker->look(tally);
        if (left && left->first < left->end) to_do.push_front(*left);
      }
      if (!worker->busy() && !to_do.empty()) {
        worker->start(to_do.front());
        to_do.pop_front();
      }
      busy |= worker->busy();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  tally.seconds = since(begun);
  return tally;
}

namespace {

// Where a module was loaded; it is loaded here as in the child.
uint64_t base_of(const std::string& module) {
  std::pair<const std::string&, uint64_t> search{module, 0};
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto& [name, base] = *static_cast<std::pair<const std::string&, uint64_t>*>(data);
        const bool program = info->dlpi_name[0] == '\0' && name.ends_with("/lacuna-fuzz");
        if (program || fs::path(info->dlpi_name).filename() == fs::path(name).filename())
          base = info->dlpi_addr;
        return 0;
      },
      &search);
  return search.second;
}

// The name without arguments; "" where it has none.
std::string function_at(const std::string& module, uint64_t offset) {
  // Behind a call that does not return another function may begin.
  void* address = reinterpret_cast<void*>(base_of(module) + offset - 1);
  Dl_info info;
  if (::dladdr(address, &info) == 0 || info.dli_sname == nullptr) return "";
  int status = 0;
  char* plain = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
  std::string name = status == 0 ? plain : info.dli_sname;
  std::free(plain);
  constexpr std::string_view unnamed = "(anonymous namespace)::";
  for (size_t at = name.find(unnamed); at != std::string::npos; at = name.find(unnamed))
    name.erase(at, unnamed.size());
  name.resize(std::min(name.find('('), name.size()));
  return name;
}

struct Frame {
  std::string function;
  bool ours, hdf5;
};

// A call of a stack: "    #3 0x55d0c5e05d9c  (/lib/x86_64-linux-gnu/libhdf5.so.103+0x8d9fc)".
std::optional<Frame> frame_of(const std::string& line) {
  const size_t open = line.find("(/"), plus = line.find("+0x", open);
  if (line.find(" #") == std::string::npos || plus == std::string::npos) return std::nullopt;
  const std::string module = line.substr(open + 1, plus - open - 1);
  Frame frame{"", module.ends_with("/lacuna-fuzz"), module.find("libhdf5") != std::string::npos};
  if (frame.ours || frame.hdf5)
    frame.function = function_at(module, std::stoull(line.substr(plus + 3), nullptr, 16));
  return frame;
}

// The sanitizer's and the C library's own calls say nothing. Whose the innermost of the others is
// counts; told is the first of his that has a name; templates of the C++ library are in the
// program, and say nothing either.
Blame blame_of_stack(std::istream& lines, const std::string& what) {
  std::optional<Blame> blame;
  for (std::string line; std::getline(lines, line);) {
    const std::optional<Frame> frame = frame_of(line);
    if (!frame || !(frame->ours || frame->hdf5)) continue;
    if (!blame) blame = Blame{what, frame->hdf5};
    if (frame->hdf5 != blame->hdf5) break;
    if (!frame->function.empty() && !frame->function.starts_with("std::"))
      return {concat(what, " in ", frame->function), frame->hdf5};
  }
  return blame.value_or(Blame{what, false});
}

}  // namespace

Blame blame_of(const std::string& log) {
  constexpr std::string_view rule = "lacuna: this is a defect of Lacuna, please report it: ",
                             undefined = "runtime error: ", sanitizer = "Sanitizer: ";
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(rule)) return {line.substr(rule.size()), false};
    if (const size_t at = line.find(undefined); at != std::string::npos)
      return blame_of_stack(lines, line.substr(at + undefined.size()));
    if (const size_t at = line.find(sanitizer); at != std::string::npos) {
      const size_t begin = at + sanitizer.size();
      const std::string what = line.substr(begin, line.find(' ', begin) - begin);
      if (what == "hang")  // the handler, which the C library calls
        while (std::getline(lines, line) && line.find("/libc.so") == std::string::npos) {
        }
      return blame_of_stack(lines, what);
    }
  }
  return {};
}

ScratchFolder::ScratchFolder() {
  const char* memory = "/dev/shm";
  const fs::path above = ::access(memory, W_OK) == 0 ? fs::path(memory) : fs::temp_directory_path();
  std::string name = (above / "lacuna-fuzz-XXXXXX").string();
  LACUNA_CHECK(::mkdtemp(name.data()) != nullptr, name);
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace lacuna::fuzz
