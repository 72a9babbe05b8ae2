#include "encoders/encoder.h"

#include "base/text.h"
#include "ops/masked_mean.h"
#include "ops/pooling.h"

namespace lacuna {

Tensor pooled(const Masked& x) {
  if (!x.mask.defined()) return average_pool(x.values);
  LACUNA_CHECK(x.values.shape().rank() == 3, x.values.shape());
  return masked_mean(x.values, x.mask);
}

std::optional<int64_t> number_behind(std::string_view prefix, std::string_view parameter) {
  if (!parameter.starts_with(prefix)) return std::nullopt;
  const std::string_view rest = parameter.substr(prefix.size());
  return as_number<int64_t>(rest.substr(0, rest.find('.')));
}

}  // namespace lacuna
