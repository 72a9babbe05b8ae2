#include "io/direct_stream.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/random.h"
#include "support/temporary_folder.h"

using namespace lacuna;

namespace {

std::string text_of(size_t bytes) {
  const Draws draws(1, Purpose::test, 3);
  std::string text(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i)
    text[i] = static_cast<char>(draws.bits(static_cast<uint32_t>(i)));
  return text;
}

// The part of a file that lies in the page cache.
double cached_part(const std::filesystem::path& path) {
  const auto bytes = static_cast<size_t>(std::filesystem::file_size(path));
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  void* const memory = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0);
  ::close(file);
  REQUIRE(memory != MAP_FAILED);
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((bytes + page - 1) / page);
  REQUIRE(::mincore(memory, bytes, pages.data()) == 0);
  ::munmap(memory, bytes);
  const auto there = std::count_if(pages.begin(), pages.end(), [](auto each) { return each & 1; });
  return static_cast<double>(there) / static_cast<double>(pages.size());
}

// Whether the file system of a folder has direct I/O that passes by the cache: not that of memory,
// for one.
bool has_direct_io(const std::filesystem::path& path) {
  constexpr size_t bytes = size_t{1} << 20;
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0666);
  if (file < 0) return false;
  void* const memory = std::aligned_alloc(bytes, bytes);
  std::memset(memory, 1, bytes);
  const ssize_t written = ::write(file, memory, bytes);
  std::free(memory);
  ::close(file);
  return written == ssize_t{bytes} && cached_part(path) < 0.5;
}

}  // namespace

TEST_CASE("direct stream: a file holds what was appended, whatever its size and the pieces") {
  const TemporaryFolder folder;
  const size_t mib = size_t{1} << 20;
  const std::string all = text_of(9 * mib);
  for (const size_t bytes : {size_t{0}, size_t{1}, mib / 16 - 1, mib / 16, mib / 16 + 1, 4 * mib,
                             4 * mib + 1, 9 * mib - 4097}) {
    for (const size_t piece : {size_t{7777}, size_t{5} * mib}) {
      {
        DurableFile file(folder / "file");
        DirectStream stream(file);
        for (size_t at = 0; at < bytes; at += piece)
          stream.append(all.data() + at, std::min(piece, bytes - at));
        stream.finish();
        file.publish();
      }
      CHECK((read_text(folder / "file") == all.substr(0, bytes)));
    }
  }
}

TEST_CASE("direct stream: what direct I/O refuses goes through the cache") {
  const TemporaryFolder folder;
  const std::string all = text_of(100'001);
  {
    DurableFile file(folder / "file");
    file.write_direct(0, all.data(), 1);  // neither address nor offset nor size of a block
    file.write_direct(1, all.data() + 1, all.size() - 1);
    file.publish();
  }
  CHECK((read_text(folder / "file") == all));
}

TEST_CASE("direct stream: the page cache holds nothing but the rest that fills no block") {
  const TemporaryFolder folder;
  if (!has_direct_io(folder / "probe")) {
    WARN("the folder of temporary files has no direct I/O: nothing to be seen there");
    return;
  }
  const std::string all = text_of((size_t{6} << 20) + 100);
  {
    DurableFile file(folder / "cached");
    file.write(0, all.data(), all.size());
    file.publish();
  }
  CHECK(cached_part(folder / "cached") > 0.5);
  {
    DurableFile file(folder / "file");
    DirectStream stream(file);
    stream.append(all.data(), all.size());
    stream.finish();
    file.publish();
  }
  CHECK(cached_part(folder / "file") < 0.1);
}
