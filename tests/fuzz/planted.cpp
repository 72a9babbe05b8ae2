// What a reader must not do, at the word of its file: that the harness finds each is tested.
#include <hdf5.h>

#include <thread>

#include "base/random.h"
#include "fuzz/target.h"

namespace lacuna::fuzz {
namespace fs = std::filesystem;

namespace {

std::vector<Input> seeds(const fs::path&) { return {one_file("word", "good")}; }

}  // namespace

// With a name that reports can tell.
[[gnu::noinline]] void misbehave(uint64_t how) {
  volatile int64_t large = INT64_MAX;
  const std::vector<char> some(8);
  switch (how) {
    case 0:
      static_cast<void>(static_cast<volatile const char*>(some.data())[some.size()]);
      break;
    case 1:
      large = large + 1;
      break;
    case 2:
      static_cast<void>(std::vector<char>(static_cast<size_t>(large) >> 20));
      break;
    case 3:
      static_cast<void>(some.at(static_cast<size_t>(large)));
      break;
    case 4:
      LACUNA_CHECK(large == 0);
      break;
    case 5:
      throw Error(ExitStatus::failed, "a status that no reader gives");
    case 6:
      while (large != 0) std::this_thread::yield();
      break;
    case 7:
      H5get_libversion(reinterpret_cast<unsigned*>(8), nullptr, nullptr);
      break;
    default:
      break;
  }
}

namespace {

// One mutation of eight misbehaves.
void read_word(const fs::path& folder) {
  const std::string word = content_of(folder / "word");
  if (word == "good") return;
  misbehave(hash_name(word) % 64);
  bad_input("the word is ", word);
}

}  // namespace

Target planted_target() {
  return {.name = "planted",
          .what = "a word; most are refused, some end badly",
          .form = Form::text,
          .seeds = seeds,
          .read = read_word};
}

}  // namespace lacuna::fuzz
