// What making two SimCLR views costs, on one core; not a test of anything, so it runs only by name:
//   lacuna-tests "[benchmark]" (tests/CMakeLists.txt leaves it out of ctest), peer:
//   tools/bench-augment
#include <catch2/catch.hpp>
#include <cstdio>
#include <ctime>

#include "augment/image/support.h"

using namespace lacuna;
using namespace lacuna::test;

namespace {

// Of this thread's processor time, since others may use the machine.
double seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void print_rate(const char* what, const Shape& shape, const AugmentOptions& options) {
  const auto recipe = image_views(shape, 2, options, no_normalisation(shape[2]));
  const auto sample = byte_sample(shape);
  const int64_t count = recipe->outputs()[0].shape.count();
  HostTensor rows(DType::f32, {2, count});
  void* const to[] = {rows.data(), rows.as<float>().data() + count};
  Scratch scratch;
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    const double start = seconds();
    uint64_t images = 0;
    for (; seconds() - start < 0.1; ++images)
      recipe->apply(sample.data(), {1, 0, images}, to, scratch);
    best = std::max(best, static_cast<double>(images) / (seconds() - start));
  }
  std::printf("%-28s %3ld x %3ld x %ld  %10.0f images/s (two views each), %8.2f us per view\n",
              what, static_cast<long>(shape[0]), static_cast<long>(shape[1]),
              static_cast<long>(shape[2]), best, 0.5e6 / best);
}

}  // namespace

TEST_CASE("speed of SimCLR views", "[.benchmark]") {
  for (const Shape& shape : {Shape{28, 28, 1}, Shape{32, 32, 3}, Shape{224, 224, 3}}) {
    AugmentOptions options;  // Chen et al. 2020
    options.crop = {0.08, 1};
    options.jitter = {0.8, 0.8, 0.8, shape[2] == 3 ? 0.2 : 0};
    options.blur = {0.5};
    print_rate("SimCLR", shape, options);
    AugmentOptions only = still_options();
    print_rate("nothing", shape, only);
    only.crop = {0.08, 1};
    print_rate("crop", shape, only);
    only = still_options();
    only.blur = {1};
    print_rate("blur", shape, only);
    only = still_options();
    only.jitter_probability = 1;
    only.jitter = {0.8, 0.8, 0.8, 0};
    print_rate("jitter without hue", shape, only);
    only.jitter = {0, 0, 0, shape[2] == 3 ? 0.2 : 0};
    print_rate("hue", shape, only);
    only = still_options();
    only.noise = 1;
    print_rate("noise", shape, only);
  }
}
