#include "graph/recording.h"

namespace lacuna {

Tensor Recording::per_row(const std::string& name, Purpose purpose,
                          const std::function<double(double)>& value) {
  // 44 bits of step, 20 of part.
  LACUNA_CHECK(part < int64_t{1} << 20);
  const auto subject = static_cast<uint64_t>(step) << 20 | static_cast<uint64_t>(part);
  const Draws draws(seed, purpose, subject, static_cast<uint32_t>(drawn.size()));
  const int64_t count = rows[static_cast<size_t>(communicator.rank())];
  HostTensor& host = drawn.emplace_back(parameters, Shape{count});
  for (int64_t i = 0; i < count; ++i) {
    const double v = value(draws.uniform(static_cast<uint32_t>(first_row() + i)));
    if (parameters == DType::f64) {
      host.as<double>()[static_cast<size_t>(i)] = v;
    } else {
      host.as<float>()[static_cast<size_t>(i)] = static_cast<float>(v);
    }
  }
  return host_leaf(concat(name, drawn.size() - 1), host);
}

}  // namespace lacuna
