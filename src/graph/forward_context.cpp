#include "graph/forward_context.h"

namespace lacuna {

namespace {

// Draws' 64 bits of subject: call (16 bits) | sample (48); 32 of detail: epoch (20) | view (12).
// The index counts the elements within a sample.
Draws draws_of(const SampleKey& key, Purpose purpose, int view, uint64_t call) {
  LACUNA_CHECK(key.epoch >> 20 == 0 && key.sample >> 48 == 0 && view >= 0 && view < 1 << 12 &&
                   call >> 16 == 0,
               "draws of sample ", key.sample, ", epoch ", key.epoch, ", view ", view, ", call ",
               call);
  return {key.seed, purpose, call << 48 | key.sample,
          static_cast<uint32_t>(key.epoch << 12) | static_cast<uint32_t>(view)};
}

// value(draws of a row's sample, i) for element i of each row.
template <typename T, typename Value>
void fill_rows(const ForwardContext& forward, Purpose purpose, uint64_t call, uint32_t size, T* to,
               const Value& value) {
  for (const SampleKey& key : forward.keys_of(forward.stream)) {
    const Draws draws = draws_of(key, purpose, forward.view, call);
    for (uint32_t i = 0; i < size; ++i) *to++ = static_cast<T>(value(draws, i));
  }
}

// One more call for draws: a leaf P [rows] + shape.
template <typename Value>
Tensor drawn_leaf(ForwardContext& forward, const std::string& name, Purpose purpose,
                  const Shape& shape, const Value& value) {
  const std::span<const SampleKey> keys = forward.keys_of(forward.stream);
  const int64_t count =
      forward.rows_of(forward.stream)[static_cast<size_t>(forward.communicator.rank())];
  LACUNA_CHECK(static_cast<int64_t>(keys.size()) == count, name, " is drawn for ", count,
               " rows, and the batch has keys for ", keys.size());
  LACUNA_CHECK(shape.count() >> 32 == 0, name, " of ", shape, " elements a row");
  const auto size = static_cast<uint32_t>(shape.count());
  const uint64_t call = forward.calls[{forward.stream, forward.view}]++;
  HostTensor& host = forward.drawn.emplace_back(forward.parameters, shape.behind(count));
  if (forward.parameters == DType::f64) {
    fill_rows(forward, purpose, call, size, host.as<double>().data(), value);
  } else {
    fill_rows(forward, purpose, call, size, host.as<float>().data(), value);
  }
  return host_leaf(concat(name, forward.drawn.size() - 1), host);
}

// Four numbers of each block of draws; elements come in their order.
class BlockOfFour {
 public:
  explicit BlockOfFour(ForwardContext::Distribution distribution) : distribution_(distribution) {}
  double operator()(const Draws& draws, uint32_t element) {
    if (element % 4 == 0) fill(draws.block(element / 4));
    return values_[element % 4];
  }

 private:
  void fill(const std::array<uint32_t, 4>& words) {
    for (size_t i = 0; i < 4; ++i) values_[i] = static_cast<double>(words[i]) * 0x1p-32;
    if (distribution_ == ForwardContext::Distribution::uniform) return;
    for (size_t i = 0; i < 4; i += 2) {  // Box and Muller's two
      const double radius = std::sqrt(-2 * std::log(values_[i] + 0x1p-33));
      const double angle = 2 * std::numbers::pi * values_[i + 1];
      values_[i] = radius * std::cos(angle);
      values_[i + 1] = radius * std::sin(angle);
    }
  }
  ForwardContext::Distribution distribution_;
  std::array<double, 4> values_{};
};

}  // namespace

Tensor ForwardContext::row_numbers(const std::string& name) {
  const std::vector<int64_t>& all = rows_of(name);
  const auto mine = all.begin() + communicator.rank();
  std::vector<int64_t>& kept = numbers.emplace_back(static_cast<size_t>(*mine));
  std::iota(kept.begin(), kept.end(), std::accumulate(all.begin(), mine, int64_t{0}));
  return host_leaf(concat("row_numbers", name), DType::i64, Shape{*mine}, kept.data());
}

Tensor ForwardContext::per_row(const std::string& name, Purpose purpose,
                               const std::function<double(double)>& value) {
  return drawn_leaf(*this, name, purpose, Shape{},
                    [&](const Draws& draws, uint32_t) { return value(draws.uniform(0)); });
}

Tensor ForwardContext::per_element(const std::string& name, Purpose purpose, const Shape& shape,
                                   Distribution distribution,
                                   const std::function<double(double)>& value) {
  BlockOfFour block(distribution);
  return drawn_leaf(*this, name, purpose, shape,
                    [&](const Draws& draws, uint32_t i) { return value(block(draws, i)); });
}

}  // namespace lacuna
