#include "data/load/local_copies.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace lacuna {
namespace fs = std::filesystem;

namespace {

// A descriptor, closed at the end.
class OpenedFile {
 public:
  OpenedFile(const std::string& path, int flags)
      : path_(path), descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (descriptor_ < 0) fail("cannot open");
  }
  ~OpenedFile() { ::close(descriptor_); }
  OpenedFile(const OpenedFile&) = delete;
  OpenedFile& operator=(const OpenedFile&) = delete;

  // Bytes read, 0 at the end.
  size_t read(void* to, size_t bytes) const {
    ssize_t got = 0;
    while ((got = ::read(descriptor_, to, bytes)) < 0 && errno == EINTR) {
    }
    if (got < 0) fail("cannot read");
    return static_cast<size_t>(got);
  }
  void write(const std::byte* from, size_t bytes) const {
    while (bytes > 0) {
      const ssize_t put = ::write(descriptor_, from, bytes);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) fail("cannot write");
      from += put;
      bytes -= static_cast<size_t>(put);
    }
  }
  struct stat status() const {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) fail("cannot look at");
    return status;
  }
  void set_time_of(const struct stat& other) const {
    const timespec times[2] = {other.st_atim, other.st_mtim};
    if (::futimens(descriptor_, times) != 0) fail("cannot date");
  }

 private:
  [[noreturn]] void fail(const char* doing) const {
    bad_input(doing, " ", path_, ": ", std::strerror(errno));
  }
  std::string path_;
  int descriptor_;
};

bool same_time(const struct stat& a, const struct stat& b) {
  return a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// A copy has the size and the time of its original; it may be left from a start that was killed.
bool is_copy(const std::string& copy, const std::string& original) {
  struct stat a {};
  struct stat b {};
  return ::stat(copy.c_str(), &a) == 0 && ::stat(original.c_str(), &b) == 0 &&
         a.st_size == b.st_size && same_time(a, b);
}

}  // namespace

LocalCopies::LocalCopies(const Dataset& dataset, const fs::path& folder, const std::string& run,
                         Share share, Warn warn)
    : dataset_(dataset),
      folder_(folder / concat("lacuna-", std::hex, hash_name(run), "-", dataset.fingerprint())),
      share_(share),
      warn_(std::move(warn)),
      there_(dataset.files().size()) {
  for (size_t file = 0; file < dataset.files().size(); ++file)
    copies_.push_back((folder_ / concat(file, ".h5")).string());
  thread_ = std::thread([this] { copy_all(); });
}

LocalCopies::~LocalCopies() {
  stop_ = true;
  thread_.join();
  std::error_code ignored;
  for (size_t file = static_cast<size_t>(share_.rank); file < copies_.size();
       file += static_cast<size_t>(share_.ranks))
    fs::remove(copies_[file], ignored);
  fs::remove(folder_, ignored);  // by the last rank of the node, when it is empty
}

const std::string& LocalCopies::path(int number) {
  const auto file = static_cast<size_t>(number);
  const std::string& original = dataset_.files()[file].path;
  if (!there_[file]) there_[file] = is_copy(copies_[file], original);
  return there_[file] ? copies_[file] : original;
}

bool LocalCopies::is_complete() {
  for (size_t file = 0; file < copies_.size(); ++file)
    if (path(static_cast<int>(file)) != copies_[file]) return false;
  return true;
}

void LocalCopies::copy_all() {
  try {
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error) bad_input("cannot make the folder ", folder_.string(), ": ", error.message());
    for (size_t file = static_cast<size_t>(share_.rank); file < copies_.size();
         file += static_cast<size_t>(share_.ranks))
      if (!copy(file)) return;
  } catch (const Error& error) {
    warn_(concat("data.stage: ", error.what(), "; what is not copied is read from where it is"));
  }
}

bool LocalCopies::copy(size_t file) {
  const std::string& original = dataset_.files()[file].path;
  const std::string& copy = copies_[file];
  if (is_copy(copy, original)) return true;
  constexpr size_t piece = size_t{4} << 20;
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(piece);
  const std::string unfinished = copy + ".part";
  const auto give_up = [&] {
    std::error_code ignored;
    fs::remove(unfinished, ignored);
  };
  try {
    const OpenedFile from(original, O_RDONLY);
    const OpenedFile to(unfinished, O_WRONLY | O_CREAT | O_TRUNC);
    const struct stat before = from.status();
    off_t copied = 0;
    while (const size_t bytes = from.read(buffer.get(), piece)) {
      to.write(buffer.get(), bytes);
      copied += static_cast<off_t>(bytes);
      if (!stop_) continue;
      give_up();
      return false;
    }
    // Written to meanwhile: the copy is of no state that it ever had.
    if (!same_time(before, from.status()) || copied != before.st_size)
      bad_input(original, " is being written to");
    to.set_time_of(before);
  } catch (...) {
    give_up();
    throw;
  }
  std::error_code error;
  fs::rename(unfinished, copy, error);
  if (error) bad_input("cannot rename ", unfinished, ": ", error.message());
  return true;
}

}  // namespace lacuna
