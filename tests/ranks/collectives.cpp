// Every collective on real ranks, against a serial sum in rank order, bit for bit. Contributions
// are draws of a counter-based generator, so each rank knows what every other one contributes.
#include <catch2/catch.hpp>

#include <cstring>
#include <numeric>

#include "base/random.h"
#include "ranks/world.h"

using namespace lacuna;

namespace {

template <typename T>
std::vector<T> contribution(int rank, size_t count, uint64_t test) {
  const Draws draws(test, Purpose::test, static_cast<uint64_t>(rank));
  std::vector<T> values(count);
  for (size_t i = 0; i < count; ++i) {
    const uint32_t bits = draws.bits(static_cast<uint32_t>(i));
    // Of very different magnitudes, so that another order of additions gives other bits.
    values[i] = static_cast<T>(static_cast<double>(bits) * (bits % 7 == 0 ? 1e-6 : 1.0) - 2e9);
  }
  return values;
}

template <typename T>
std::vector<T> sum_in_rank_order(size_t count, uint64_t test) {
  std::vector<T> sum = contribution<T>(0, count, test);
  for (int r = 1; r < world().size(); ++r) {
    const std::vector<T> term = contribution<T>(r, count, test);
    for (size_t i = 0; i < count; ++i) sum[i] = static_cast<T>(sum[i] + term[i]);
  }
  return sum;
}

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// Counts per rank, unequal, some zero.
std::vector<size_t> uneven(size_t scale) {
  std::vector<size_t> counts(static_cast<size_t>(world().size()));
  for (size_t r = 0; r < counts.size(); ++r) counts[r] = r % 3 == 1 ? 0 : scale * (r + 1) + r;
  return counts;
}

template <typename T>
void check_all_reduce(Communicator& communicator, size_t count) {
  std::vector<T> data = contribution<T>(communicator.rank(), count, count);
  communicator.all_reduce_sum(data.data(), count, dtype_of<T>).wait();
  CHECK(same_bits(data, sum_in_rank_order<T>(count, count)));
}

template <typename T>
void check_reduce_scatter(Communicator& communicator, size_t scale) {
  const std::vector<size_t> parts = uneven(scale);
  const size_t total = std::accumulate(parts.begin(), parts.end(), size_t{0});
  const std::vector<T> data = contribution<T>(communicator.rank(), total, scale);
  const size_t rank = static_cast<size_t>(communicator.rank());
  std::vector<T> mine(parts[rank]);
  communicator.reduce_scatter_sum(data.data(), mine.data(), parts, dtype_of<T>).wait();
  const std::vector<T> sum = sum_in_rank_order<T>(total, scale);
  const auto first =
      sum.begin() + static_cast<ptrdiff_t>(std::accumulate(
                        parts.begin(), parts.begin() + communicator.rank(), size_t{0}));
  CHECK(same_bits(mine, std::vector<T>(first, first + static_cast<ptrdiff_t>(parts[rank]))));
}

void check_all_gather(Communicator& communicator, size_t scale) {
  const std::vector<size_t> counts = uneven(scale);
  std::vector<uint8_t> expected;
  for (int r = 0; r < communicator.size(); ++r) {
    const auto part = contribution<int32_t>(r, counts[static_cast<size_t>(r)], scale);
    for (const int32_t value : part) expected.push_back(static_cast<uint8_t>(value));
  }
  const auto values = contribution<int32_t>(
      communicator.rank(), counts[static_cast<size_t>(communicator.rank())], scale);
  std::vector<uint8_t> mine;
  for (const int32_t value : values) mine.push_back(static_cast<uint8_t>(value));
  std::vector<uint8_t> all(expected.size(), 0xee);
  communicator.all_gather(mine.data(), all.data(), counts).wait();
  CHECK(same_bits(all, expected));
}

// Tensors of several sizes in one message: sums dealt out in slices, which then come together on
// every rank.
template <typename T>
void check_slices(Communicator& communicator) {
  const std::vector<size_t> counts = {0, 1, 31, 64, 1000, 70001};
  const int rank = communicator.rank();
  const int ranks = communicator.size();
  std::vector<std::vector<T>> whole;
  std::vector<std::vector<T>> slices;
  std::vector<Communicator::Term> sums;
  for (const size_t count : counts) {
    whole.push_back(contribution<T>(rank, count, count));
    slices.emplace_back(slice_begin(count, rank + 1, ranks) - slice_begin(count, rank, ranks));
    sums.push_back({whole.back().data(), slices.back().data(), count});
  }
  communicator.scatter_sums(sums, dtype_of<T>).wait();
  std::vector<Communicator::Term> gathered;
  for (size_t i = 0; i < counts.size(); ++i) {
    const std::vector<T> sum = sum_in_rank_order<T>(counts[i], counts[i]);
    const auto first = static_cast<ptrdiff_t>(slice_begin(counts[i], rank, ranks));
    const auto n = static_cast<ptrdiff_t>(slices[i].size());
    CHECK(same_bits(slices[i], std::vector<T>(sum.begin() + first, sum.begin() + first + n)));
    std::copy(slices[i].begin(), slices[i].end(), whole[i].begin() + first);
    gathered.push_back({whole[i].data(), whole[i].data(), counts[i]});
  }
  communicator.gather_slices(gathered, dtype_of<T>).wait();
  for (size_t i = 0; i < counts.size(); ++i)
    CHECK(same_bits(whole[i], sum_in_rank_order<T>(counts[i], counts[i])));
}

void check_broadcast(Communicator& communicator, size_t count) {
  for (int root = 0; root < communicator.size(); ++root) {
    auto data = contribution<float>(communicator.rank(), count, 5);
    communicator.broadcast(data.data(), count * sizeof(float), root).wait();
    CHECK(same_bits(data, contribution<float>(root, count, 5)));
  }
}

}  // namespace

TEST_CASE("all_reduce_sum adds in rank order for every size and type") {
  for (const size_t count : {0, 1, 2, 3, 5, 63, 1000, 4097, 100003, 300001}) {
    CAPTURE(count);
    check_all_reduce<double>(world(), count);
    check_all_reduce<float>(world(), count);
    check_all_reduce<int64_t>(world(), count);
  }
}

TEST_CASE("all_reduce_sum of 16 MiB") { check_all_reduce<float>(world(), 4 << 20); }

TEST_CASE("reduce_scatter_sum gives each rank its uneven part") {
  for (const size_t scale : {0, 1, 7, 1000, 100001}) {
    CAPTURE(scale);
    check_reduce_scatter<double>(world(), scale);
    check_reduce_scatter<float>(world(), scale);
    check_reduce_scatter<int64_t>(world(), scale);
  }
}

TEST_CASE("all_gather joins uneven contributions in rank order") {
  for (const size_t scale : {0, 1, 9, 5000, 1500000}) {
    CAPTURE(scale);
    check_all_gather(world(), scale);
  }
}

TEST_CASE("all_gather from its own place") {
  std::vector<int64_t> all(static_cast<size_t>(world().size()), -1);
  int64_t& mine = all[static_cast<size_t>(world().rank())];
  mine = 100 + world().rank();
  world().all_gather(&mine, all.data(), std::vector<size_t>(all.size(), sizeof(mine))).wait();
  for (size_t r = 0; r < all.size(); ++r) CHECK(all[r] == 100 + static_cast<int64_t>(r));
}

TEST_CASE("sums of several tensors are dealt out in slices, and slices gathered") {
  check_slices<double>(world());
  check_slices<float>(world());
}

TEST_CASE("slices cover a tensor, in whole vectors, evenly") {
  for (const size_t count : {0, 1, 31, 32, 33, 1000, 100000})
    for (const int ranks : {1, 2, 3, 7, 64}) {
      CAPTURE(count, ranks);
      CHECK(slice_begin(count, 0, ranks) == 0);
      CHECK(slice_begin(count, ranks, ranks) == count);
      for (int r = 0; r < ranks; ++r) {
        const size_t begin = slice_begin(count, r, ranks);
        const size_t end = slice_begin(count, r + 1, ranks);
        CHECK((begin % 32 == 0 || begin == count));
        CHECK(begin <= end);
        CHECK(end - begin <= count / static_cast<size_t>(ranks) + 64);
      }
    }
}

TEST_CASE("broadcast from every root") {
  for (const size_t count : {0, 1, 1000, 700001}) check_broadcast(world(), count);
}

TEST_CASE("barrier holds every rank until all are there") {
  for (int i = 0; i < 10; ++i) world().barrier();
}

TEST_CASE("pieces of a few bytes give the same bits") {
  // Every operation in many pieces: the path of buffers beyond 2 GiB.
  const auto pieces = mpi_communicator(session(), {.small_bytes = 0, .slice_bytes = 64});
  for (const size_t count : {0, 1, 3, 17, 1000, 5003}) {
    check_all_reduce<double>(*pieces, count);
    check_all_reduce<float>(*pieces, count);
    check_reduce_scatter<float>(*pieces, count);
    check_all_gather(*pieces, count);
    check_broadcast(*pieces, count);
  }
}

TEST_CASE("many collectives under way at once") {
  constexpr size_t rounds = 20;
  for (int repetition = 0; repetition < 3; ++repetition) {
    std::vector<std::vector<float>> large;
    std::vector<std::vector<double>> small;
    std::vector<std::vector<int64_t>> gathered;
    std::vector<Request> requests;
    const std::vector<size_t> bytes(static_cast<size_t>(world().size()), sizeof(int64_t));
    for (size_t i = 0; i < rounds; ++i) {
      large.push_back(contribution<float>(world().rank(), 20000 * (i + 1), i));
      small.push_back(contribution<double>(world().rank(), 10 + i, i));
      gathered.emplace_back(bytes.size());
      gathered[i][static_cast<size_t>(world().rank())] = world().rank() + static_cast<int64_t>(i);
    }
    for (size_t i = 0; i < rounds; ++i) {
      requests.push_back(world().all_reduce_sum(large[i].data(), large[i].size(), DType::f32));
      requests.push_back(world().all_reduce_sum(small[i].data(), small[i].size(), DType::f64));
      requests.push_back(world().all_gather(&gathered[i][static_cast<size_t>(world().rank())],
                                            gathered[i].data(), bytes));
    }
    while (!requests.empty()) {  // the last one first
      requests.back().wait();
      requests.pop_back();
    }
    for (size_t i = 0; i < rounds; ++i) {
      CHECK(same_bits(large[i], sum_in_rank_order<float>(large[i].size(), i)));
      CHECK(same_bits(small[i], sum_in_rank_order<double>(small[i].size(), i)));
      for (size_t r = 0; r < bytes.size(); ++r) {
        CHECK(gathered[i][r] == static_cast<int64_t>(r + i));
      }
    }
  }
}
