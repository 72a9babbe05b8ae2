#include "io/direct_stream.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace lacuna {

namespace {

// Addresses, offsets and sizes of direct I/O are multiples of the disk's block; of a page on some
// file systems.
constexpr size_t block = size_t{64} << 10;
// Large enough for a disk, small enough for the caches.
constexpr size_t piece = size_t{4} << 20;

}  // namespace

DirectStream::DirectStream(DurableFile& file)
    : file_(file), buffer_(static_cast<std::byte*>(std::aligned_alloc(block, piece))) {
  if (buffer_ == nullptr) throw std::bad_alloc();
}

void DirectStream::append(const void* data, size_t bytes) {
  const auto* at = static_cast<const std::byte*>(data);
  while (bytes > 0) {
    const size_t n = std::min(bytes, piece - filled_);
    std::memcpy(buffer_.get() + filled_, at, n);
    filled_ += n;
    at += n;
    bytes -= n;
    if (filled_ == piece) put(piece);
  }
}

void DirectStream::finish() {
  const size_t rest = filled_ % block;
  put(filled_ - rest);
  file_.write(written_, buffer_.get(), rest);
}

void DirectStream::put(size_t bytes) {
  file_.write_direct(written_, buffer_.get(), bytes);
  written_ += bytes;
  filled_ -= bytes;
  std::memmove(buffer_.get(), buffer_.get() + bytes, filled_);
}

}  // namespace lacuna
