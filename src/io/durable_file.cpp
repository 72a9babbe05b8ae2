#include "io/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"

namespace lacuna {
namespace fs = std::filesystem;

namespace {

#ifndef RENAME_NOREPLACE
constexpr unsigned rename_noreplace = 1;
#else
constexpr unsigned rename_noreplace = RENAME_NOREPLACE;
#endif

// The kernel takes at most 2 GiB a call; smaller pieces let a signal through.
constexpr size_t largest_transfer = size_t{256} << 20;

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int value() const { return value_; }

 private:
  int value_;
};

}  // namespace

uint32_t crc32_of(const void* data, size_t bytes, uint32_t start) {
  if (bytes == 0) return start;  // zlib takes a null pointer for "give me the initial value"
  return static_cast<uint32_t>(crc32_z(start, static_cast<const Bytef*>(data), bytes));
}

uint32_t crc32_joined(uint32_t a, uint32_t b, uint64_t bytes_of_b) {
  return static_cast<uint32_t>(crc32_combine(a, b, static_cast<z_off_t>(bytes_of_b)));
}

namespace {

const char* advice_for(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return "make room there, then start the same command again";
    case EIO:
      return "have its disk looked at, then start the same command again";
    case ENOENT:
    case ENOTDIR:
      return "check its name and the folders above it";
    case EISDIR:
    case EINVAL:
      return "name a file";
    default:
      return "let this user write there, or name another place";
  }
}

}  // namespace

void throw_file_error(std::string_view action, const fs::path& path, int error_number) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG ||
                    error_number == EIO;
  throw Error(full ? ExitStatus::no_space : ExitStatus::bad_input,
              concat("cannot ", action, " ", path.string(), ": ", std::strerror(error_number), "; ",
                     advice_for(error_number)));
}

Unreadable::Unreadable(const fs::path& path, int error_number)
    : Error(ExitStatus::bad_input,
            concat("cannot read ", path.string(), ": ", std::strerror(error_number),
                   "; make it readable, then start the same command again")) {}

bool is_there(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::none) throw Unreadable(path, error.value());
  return status.type() != fs::file_type::not_found;
}

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

void make_folders(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> missing;
  for (fs::path each = folder; !each.empty() && !fs::exists(each, error); each = each.parent_path())
    missing.push_back(each);
  fs::create_directories(folder, error);
  if (error) throw_file_error("make the folder", folder, error.value());
  for (const fs::path& each : missing) sync_folder(parent_of(each));
}

void sync_folder(const fs::path& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.value() < 0) throw_file_error("open", folder, errno);
  // Some network file systems cannot flush a folder and say so; they need it least.
  if (::fsync(descriptor.value()) != 0 && errno != EINVAL && errno != ENOTSUP)
    throw_file_error("flush", folder, errno);
}

bool rename_to_new(const fs::path& from, const fs::path& to) {
  if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), rename_noreplace) == 0)
    return true;
  if (errno == EEXIST || errno == ENOTEMPTY) return false;
  if (errno != EINVAL && errno != ENOSYS) throw_file_error("rename to", to, errno);
  // A file system without this flag (NFS, older Lustre): not atomic, but as near as it has.
  if (fs::exists(fs::symlink_status(to))) return false;
  if (::rename(from.c_str(), to.c_str()) == 0) return true;
  if (errno == EEXIST || errno == ENOTEMPTY) return false;
  throw_file_error("rename to", to, errno);
}

fs::path move_aside(const fs::path& path) {
  for (int number = 1;; ++number) {
    const fs::path aside = concat(path.string(), ".", number);
    if (rename_to_new(path, aside)) return aside;
  }
}

DurableFile::DurableFile(fs::path path, std::string_view suffix, Leftover leftover)
    : path_(std::move(path)), temporary_(path_.string() + std::string(suffix)) {
  const int truncate = leftover == Leftover::overwrite ? O_TRUNC : 0;
  descriptor_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | truncate | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw_file_error("write", path_, errno);
}

DurableFile::~DurableFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (!kept_) ::unlink(temporary_.c_str());
}

namespace {

// Writes through an open file until all is written or something fails; returns how much was, with
// errno of the failure.
size_t write_to(int descriptor, uint64_t offset, const void* data, size_t bytes) {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t n =
        ::pwrite(descriptor, static_cast<const char*>(data) + done,
                 std::min(bytes - done, largest_transfer), static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = ENOSPC;
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

// False where the file system has no direct I/O.
bool set_direct(int descriptor, bool on) {
  const int flags = ::fcntl(descriptor, F_GETFL);
  return flags >= 0 && ::fcntl(descriptor, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

}  // namespace

void DurableFile::write(uint64_t offset, const void* data, size_t bytes) {
  if (write_to(descriptor_, offset, data, bytes) != bytes) throw_file_error("write", path_, errno);
}

void DurableFile::write_direct(uint64_t offset, const void* data, size_t bytes) {
  size_t done = 0;
  if (set_direct(descriptor_, true)) {
    done = write_to(descriptor_, offset, data, bytes);
    set_direct(descriptor_, false);
  }
  // What is refused (blocks of another size, a disk that is full) is for the write through the
  // cache to do or to name.
  write(offset + done, static_cast<const char*>(data) + done, bytes - done);
}

void DurableFile::set_size(uint64_t bytes) {
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0)
    throw_file_error("write", path_, errno);
}

void DurableFile::flush() {
  // Errors that a file system kept to itself come out here.
  if (::fsync(descriptor_) != 0) throw_file_error("write", path_, errno);
}

void DurableFile::publish() {
  flush();
  if (::close(std::exchange(descriptor_, -1)) != 0) {
    const int error_number = errno;
    ::unlink(temporary_.c_str());
    throw_file_error("write", path_, error_number);
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error_number = errno;
    ::unlink(temporary_.c_str());
    throw_file_error("rename to", path_, error_number);
  }
  sync_folder(parent_of(path_));
}

void write_durably(const fs::path& path, std::string_view text) {
  DurableFile file(path);
  file.write(0, text.data(), text.size());
  file.publish();
}

ReadableFile::ReadableFile(fs::path path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe has no end
  if (descriptor_ < 0 && errno != ENOENT && errno != ENOTDIR) throw Unreadable(path_, errno);
  if (descriptor_ < 0) throw_file_error("read", path_, errno);
  struct stat status;
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    const int error_number = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
    ::close(descriptor_);
    throw_file_error("read", path_, error_number);
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

ReadableFile::~ReadableFile() { ::close(descriptor_); }

void ReadableFile::read(uint64_t offset, void* data, size_t bytes) const {
  char* at = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t n =
        ::pread(descriptor_, at, std::min(bytes, largest_transfer), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Unreadable(path_, errno);
    if (n == 0)
      bad_input(path_.string(), " is truncated: it ends at byte ", size_, ", before byte ",
                offset + bytes);
    at += n;
    offset += static_cast<uint64_t>(n);
    bytes -= static_cast<size_t>(n);
  }
}

std::string read_text(const fs::path& path) {
  const ReadableFile file(path);
  std::string text(file.size(), '\0');
  file.read(0, text.data(), text.size());
  return text;
}

}  // namespace lacuna
