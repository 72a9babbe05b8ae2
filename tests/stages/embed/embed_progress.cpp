#include "stages/embed/embed_progress.h"

#include <catch2/catch.hpp>

#include "base/error.h"

using namespace lacuna;

TEST_CASE("embed's progress: a line says again what was written") {
  const EmbedProgress some{.ranks = 3, .position = 4, .ranges = {{0, 2}, {5, 9}}};
  CHECK(text_of(some) == "ranks 3 position 4 samples 0 2 5 9");
  const EmbedProgress again = read_progress(text_of(some), 9, "z.h5");
  CHECK(again.ranks == 3);
  CHECK(again.position == 4);
  CHECK(again.ranges == some.ranges);
  CHECK(read_progress("ranks 1 position 9 samples", 9, "z.h5").ranges.empty());
}

TEST_CASE("embed's progress: what cannot be is refused") {
  for (const char* line :
       {"", "ranks", "ranks 0 position 0 samples", "ranks 1 position -1 samples",
        "ranks 1 position 10 samples", "ranks 1 position 0 samples 5 4",
        "ranks 1 position 0 samples 0 5 4 9", "ranks 1 position 0 samples 0 10",
        "ranks 1 position 6 samples 0 5", "ranks 99999999999 position 0 samples"}) {
    INFO(line);
    CHECK_THROWS_WITH(read_progress(line, 9, "z.h5"),
                      Catch::Contains("z.h5.progress") && Catch::Contains("remove it"));
  }
}
