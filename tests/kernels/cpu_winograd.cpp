// Winograd's convolutions: their values, that their bits depend on nothing but the operands, and
// which convolutions they are taken for.
#include "tests/kernels/winograd_support.h"

#include <cstdio>

namespace lacuna::test {

namespace {

// Images of odd sizes, smaller than a tile, of one tile, of channels that are no whole vectors, or
// of more than a block of channels, of tiles or of steps.
const Convolution shapes[] = {
    convolution_3x3(1, 1, 1, 1, 1),       convolution_3x3(2, 3, 5, 5, 7),
    convolution_3x3(3, 20, 70, 9, 10),    convolution_3x3(1, 130, 48, 4, 4, 0),
    convolution_3x3(2, 64, 64, 12, 8),    convolution_3x3(5, 150, 17, 7, 7),
    convolution_3x3(1, 16, 33, 3, 2, 2),  convolution_3x3(2, 16, 16, 3, 13, 0),
    convolution_3x3(40, 32, 32, 15, 14),  convolution_3x3(3, 300, 140, 2, 2),
    convolution_3x3(7, 17, 129, 6, 5, 2),
};

// The rows [begin, end) of an operand.
Operand rows_of(const Operand& all, int64_t begin, int64_t end) {
  Operand rows{all.kind, all.shape, {}};
  rows.shape.set(0, end - begin);
  const int64_t row = all.shape.from(1).count();
  rows.values.assign(all.values.begin() + begin * row, all.values.begin() + end * row);
  return rows;
}

WinogradCase rows_of(const WinogradCase& all, int64_t begin, int64_t end) {
  WinogradCase rows = all;
  rows.sizes.batch = end - begin;
  rows.x = rows_of(all.x, begin, end);
  rows.dy = rows_of(all.dy, begin, end);
  return rows;
}

std::vector<double> joined(std::vector<double> first, const std::vector<double>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

}  // namespace

TEST_CASE("CPU Winograd convolutions agree with the reference") {
  for (const Convolution& c : shapes) compare_winograd(c);
}

TEST_CASE("CPU Winograd convolutions give the same bits on any number of threads and alignment") {
  for (const Convolution& c : shapes) {
    const WinogradCase one(c);
    for (const ConvolutionPass pass : convolution_passes) {
      for (const WinogradTile tile : winograd_tiles) {
        CpuDevice single(1);
        const std::vector<double> alone = one.found(pass, tile, single);
        for (const int threads : {2, 3, 7}) {
          CpuDevice several(threads);
          INFO(threads << " threads, " << c.in[1] << "x" << c.in[2]);
          CHECK(one.found(pass, tile, several, 0) == alone);
          CHECK(one.found(pass, tile, several, 5) == alone);
        }
      }
    }
  }
}

TEST_CASE("CPU Winograd convolutions give a sample the same bits beside any others") {
  CpuDevice device(2);
  for (const Convolution& c : shapes) {
    if (c.batch == 1) continue;
    const WinogradCase all(c);
    for (const ConvolutionPass pass : {ConvolutionPass::forward, ConvolutionPass::data_gradient}) {
      for (const WinogradTile tile : winograd_tiles) {
        const std::vector<double> together = all.found(pass, tile, device);
        for (const int64_t cut : {int64_t{1}, c.batch - 1}) {
          INFO(cut << " of " << c.batch);
          CHECK(joined(rows_of(all, 0, cut).found(pass, tile, device),
                       rows_of(all, cut, c.batch).found(pass, tile, device)) == together);
        }
      }
    }
  }
}

TEST_CASE("CPU Winograd convolutions let NaN through to the pixels that see it") {
  CpuDevice device(1);
  WinogradCase one(convolution_3x3(1, 16, 16, 9, 9));
  one.x.values[(4 * 9 + 4) * 16] = std::nan("");
  for (const WinogradTile tile : winograd_tiles) {
    const std::vector<double> y = one.found(ConvolutionPass::forward, tile, device);
    for (int64_t row = 3; row <= 5; ++row) {
      for (int64_t column = 3; column <= 5; ++column)
        CHECK(std::isnan(y[static_cast<size_t>((row * 9 + column) * 16)]));
    }
  }
}

TEST_CASE("CPU convolutions are Winograd's where that is faster and allowed") {
  using enum ConvolutionMethods;
  const auto forward = [](const Convolution& c, ConvolutionMethods methods) {
    return cpu::winograd_tile(c, ConvolutionPass::forward, methods);
  };
  const Convolution wide = convolution_3x3(8, 64, 64, 32, 32);
  for (const ConvolutionPass pass : convolution_passes) {
    for (const int64_t channels : {64, 128, 256, 512}) {
      const Convolution c =
          convolution_3x3(8, channels, channels, 2048 / channels, 2048 / channels);
      CHECK_FALSE(cpu::winograd_tile(c, pass, direct));
      CHECK(cpu::winograd_tile(c, pass, exact) == WinogradTile::two);
      CHECK(cpu::winograd_tile(c, pass, fast) == WinogradTile::four);
    }
  }
  CHECK_FALSE(forward(convolution_3x3(8, 3, 64, 32, 32), fast));  // transforms cost more
  CHECK_FALSE(forward(convolution_3x3(8, 64, 64, 32, 32, 3), fast));
  // One pixel is a sixteenth of a tile of four, a fourth of one of two.
  CHECK_FALSE(forward(convolution_3x3(8, 64, 64, 1, 1), fast));
  const auto changed = [&](const auto& change) {
    Convolution c = wide;
    change(c);
    return forward(c, fast);
  };
  CHECK_FALSE(changed([](Convolution& c) { c.stride[2] = 2; }));
  CHECK_FALSE(changed([](Convolution& c) { c.dilation[1] = 2; }));
  CHECK_FALSE(changed([](Convolution& c) { c.kernel[1] = 1; }));
  CHECK_FALSE(changed([](Convolution& c) { c.groups = 2; }));
  CHECK_FALSE(changed([](Convolution& c) { c.axes = 3; }));
  CHECK(changed([](Convolution& c) { c.batch = 1; }) == WinogradTile::four);
}

TEST_CASE("CPU convolutions round as their device was told to") {
  const WinogradCase one(convolution_3x3(2, 64, 64, 8, 8));
  for (const ConvolutionPass pass : convolution_passes) {
    const std::vector<double> expected = one.expected(pass);
    const auto found = [&](ConvolutionMethods methods) {
      CpuDevice device(1, detect_isa(), methods);
      return one.found_by(pass, device);
    };
    using enum ConvolutionMethods;
    const std::vector<double> exactly = found(exact), quickly = found(fast);
    CHECK(distance(found(direct), expected) < 1e-6);
    CHECK(distance(exactly, expected) < 5e-7);
    CHECK(distance(quickly, expected) < 2e-6);
    if (detect_isa() >= Isa::avx2) CHECK(exactly != quickly);
  }
}

// Relative L2 distances from the reference of every stride-1 layer of ResNet-18 for small images.
TEST_CASE("accuracy of convolutions", "[.accuracy]") {
  std::printf("%-18s %-16s %10s %10s %10s\n", "layer", "pass", "oneDNN", "F(2x2)", "F(4x4)");
  CpuDevice device(2);
  CpuDevice by_direct(2, detect_isa(), ConvolutionMethods::direct);
  for (const int64_t channels : {64, 128, 256, 512}) {
    const int64_t size = 2048 / channels;
    const WinogradCase one(convolution_3x3(8, channels, channels, size, size));
    for (const ConvolutionPass pass : convolution_passes) {
      const std::vector<double> expected = one.expected(pass);
      const double two = distance(one.found(pass, WinogradTile::two, device), expected);
      const double four = distance(one.found(pass, WinogradTile::four, device), expected);
      const double direct = distance(one.found_by(pass, by_direct), expected);
      constexpr const char* names[] = {"forward", "data gradient", "weight gradient"};
      std::printf("%4ld of %2ldx%-8ld %-16s %10.2e %10.2e %10.2e\n", channels, size, size,
                  names[static_cast<int>(pass)], direct, two, four);
    }
  }
}

}  // namespace lacuna::test
