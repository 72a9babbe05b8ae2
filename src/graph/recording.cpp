#include "graph/recording.h"

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

}  // namespace

Tensor Recording::per_row(const std::string& name, Purpose purpose,
                          const std::function<double(double)>& value) {
  const int64_t count = rows[static_cast<size_t>(communicator.rank())];
  LACUNA_CHECK(static_cast<int64_t>(keys.size()) == count, name, " is drawn for ", count,
               " rows, and the batch has keys for ", keys.size());
  const uint64_t call = calls[view]++;
  HostTensor& host = drawn.emplace_back(parameters, Shape{count});
  for (size_t i = 0; i < keys.size(); ++i) {
    const double v = value(draws_of(keys[i], purpose, view, call).uniform(0));
    if (parameters == DType::f64) {
      host.as<double>()[i] = v;
    } else {
      host.as<float>()[i] = static_cast<float>(v);
    }
  }
  return host_leaf(concat(name, drawn.size() - 1), host);
}

}  // namespace lacuna
