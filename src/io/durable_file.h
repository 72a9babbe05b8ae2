// Files that are either whole or not there: written under a temporary name, flushed to the disk,
// and only then renamed; and the reading side, which says what is wrong in one sentence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

namespace lacuna {

// CRC-32 as zlib, gzip and Python's zlib.crc32 have it, continued from `start`.
uint32_t crc32_of(const void* data, size_t bytes, uint32_t start = 0);
// The CRC-32 of A followed by B, from those of A and of B.
uint32_t crc32_joined(uint32_t a, uint32_t b, uint64_t bytes_of_b);

// Throws "cannot <action> <path>: <reason>": Error of status no_space where the file system is full
// or refuses to go on (ENOSPC, EDQUOT, EFBIG, EIO), otherwise bad_input.
[[noreturn]] void throw_file_error(std::string_view action, const std::filesystem::path& path,
                                   int error_number);

// What is there and cannot be read (no permission, a failing disk, a stale mount): nothing is known
// of its content.
class Unreadable : public Error {
 public:
  Unreadable(const std::filesystem::path& path, int error_number);
};

// Whether there is something of that name. Unreadable where that cannot be told.
bool is_there(const std::filesystem::path& path);

// The folder that a path lies in; "." where the path does not tell.
std::filesystem::path parent_of(const std::filesystem::path& path);

// Makes a folder and those above it that are missing, and flushes each into the one above.
void make_folders(const std::filesystem::path& folder);

// Flushes the entries of a folder to the disk, so that renames in it survive a power cut.
void sync_folder(const std::filesystem::path& folder);

// Renames without ever replacing anything: false when `to` exists.
bool rename_to_new(const std::filesystem::path& from, const std::filesystem::path& to);

// Moves `path` (file or folder) aside as path.1, or the first number that is free; returns the new
// name.
std::filesystem::path move_aside(const std::filesystem::path& path);

// A file under construction: `path` with a suffix until publish(). An unpublished one is removed at
// destruction, unless keep() was called. What a killed process left under the temporary name is
// overwritten.
class DurableFile {
 public:
  enum class Leftover { overwrite, reuse };  // reuse: what was left is the content so far
  explicit DurableFile(std::filesystem::path path, std::string_view suffix = ".tmp",
                       Leftover leftover = Leftover::overwrite);
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;
  ~DurableFile();

  void write(uint64_t offset, const void* data, size_t bytes);
  // The same past the page cache, where the file system does that, and the address, offset and
  // bytes are multiples of its blocks; otherwise through it.
  void write_direct(uint64_t offset, const void* data, size_t bytes);
  // The size; what is not written reads as zeros.
  void set_size(uint64_t bytes);
  // Flushes what was written to the disk.
  void flush();
  void keep() { kept_ = true; }
  // Flushes, renames over whatever has the name, flushes the folder.
  void publish();

 private:
  std::filesystem::path path_, temporary_;
  bool kept_ = false;
  int descriptor_ = -1;
};

// Writes `text` as the whole new content of `path`.
void write_durably(const std::filesystem::path& path, std::string_view text);

// A file being read. Errors: Unreadable; bad_input where there is no such file, or something else
// than a file.
class ReadableFile {
 public:
  explicit ReadableFile(std::filesystem::path path);
  ReadableFile(const ReadableFile&) = delete;
  ReadableFile& operator=(const ReadableFile&) = delete;
  ~ReadableFile();

  uint64_t size() const { return size_; }
  // Error bad_input when the file ends before.
  void read(uint64_t offset, void* data, size_t bytes) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

// The whole content of a small file.
std::string read_text(const std::filesystem::path& path);

}  // namespace lacuna
