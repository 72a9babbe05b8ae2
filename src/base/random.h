// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). Every draw is a function of (seed, purpose, a, b, c, index); there is no
// generator state, so nothing depends on rank, thread or restart.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>

namespace lacuna {

// What a draw is for. The number is part of every run's reproducibility: never reuse or renumber.
enum class Purpose : uint32_t {
  initial_weights = 1,
  lane_order = 2,
  window_order = 3,
  augmentation = 4,
  statistics_sample = 5,
  label_subset = 6,
  head_weights = 7,
  mask = 8,
  plot = 9,
  stochastic_depth = 10,
  survey = 11,
  dropout = 12,
  bootstrap = 13,
  test = 1000,
};

// Philox4x32 with 10 rounds: counter[4], key[2] -> 4 words.
constexpr std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter,
                                         std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

// 64 bits in a fixed, documented way from text: FNV-1a. Names a parameter's stream of draws.
constexpr uint64_t hash_name(std::string_view name) {
  uint64_t h = 0xcbf29ce484222325u;
  for (const char c : name) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return h;
}

// A stream of draws for one (seed, purpose, subject, sub-subject): subject e.g. the sample's global
// index or the hash of a parameter's name, detail e.g. epoch and view. Random access by index.
// Mapping: key = seed + a purpose-dependent constant (splitmix64 finaliser, so that close seeds and
// purposes give unrelated keys); counter = {index, detail, subject low, subject high}.
class Draws {
 public:
  constexpr Draws(uint64_t seed, Purpose purpose, uint64_t subject, uint32_t detail = 0)
      : key_(mix(seed ^ mix(static_cast<uint64_t>(purpose)))), subject_(subject), detail_(detail) {}

  // Philox's inputs for block `index`, for kernels that draw vectors of blocks.
  constexpr std::array<uint32_t, 4> counter(uint32_t index) const {
    return {index, detail_, static_cast<uint32_t>(subject_), static_cast<uint32_t>(subject_ >> 32)};
  }
  constexpr std::array<uint32_t, 2> key() const {
    return {static_cast<uint32_t>(key_), static_cast<uint32_t>(key_ >> 32)};
  }
  // Four words of block `index`.
  constexpr std::array<uint32_t, 4> block(uint32_t index) const {
    return philox(counter(index), key());
  }
  // Uniform 32 bits.
  constexpr uint32_t bits(uint32_t index) const { return block(index / 4)[index % 4]; }
  // Uniform in [0, 1): multiples of 2^-53, from block `index`.
  constexpr double uniform(uint32_t index) const {
    const auto b = block(index);
    return static_cast<double>(((uint64_t{b[0]} << 32) | b[1]) >> 11) * 0x1p-53;
  }
  constexpr double uniform(uint32_t index, double low, double high) const {
    return low + (high - low) * uniform(index);
  }
  // Uniform integer in [0, n): Lemire's multiply-shift on 64 bits; bias below n / 2^64.
  constexpr uint64_t below(uint32_t index, uint64_t n) const {
    const auto b = block(index);
    const uint64_t r = (uint64_t{b[0]} << 32) | b[1];
    return static_cast<uint64_t>((static_cast<unsigned __int128>(r) * n) >> 64);
  }
  // Standard normal: Box-Muller on block `index`.
  double normal(uint32_t index) const {
    const auto b = block(index);
    const double u = (static_cast<double>(((uint64_t{b[0]} << 32) | b[1]) >> 11) + 0.5) * 0x1p-53;
    const double v = static_cast<double>(((uint64_t{b[2]} << 32) | b[3]) >> 11) * 0x1p-53;
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
  }

 private:
  static constexpr uint64_t mix(uint64_t z) {  // splitmix64
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint64_t key_;
  uint64_t subject_;
  uint32_t detail_;
};

// The seed of a stream's draws (its order, its views, what layers draw for it): two streams of the
// same data draw independently. The first stream has no name, and the seed of the run.
constexpr uint64_t stream_seed(uint64_t seed, std::string_view stream) {
  return stream.empty() ? seed : seed + hash_name(stream);
}

// What all draws for one sample are a function of, in its views as in the layers that see it.
// `sample` is the index in the whole data set, counted over all files in their stored order: never
// a position within a rank or a batch.
struct SampleKey {
  uint64_t seed = 0;   // of its stream
  uint64_t epoch = 0;  // below 2^20
  uint64_t sample = 0;
};

}  // namespace lacuna
