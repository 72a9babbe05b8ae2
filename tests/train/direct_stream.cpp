#include "train/direct_stream.h"

#include <catch2/catch.hpp>
#include <string>

#include "base/random.h"
#include "temporary_folder.h"

using namespace lacuna;

namespace {

std::string text_of(size_t bytes) {
  const Draws draws(1, Purpose::test, 3);
  std::string text(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i)
    text[i] = static_cast<char>(draws.bits(static_cast<uint32_t>(i)));
  return text;
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
