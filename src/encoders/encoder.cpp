#include "encoders/encoder.h"

#include "base/text.h"

namespace lacuna {

std::optional<int64_t> number_behind(std::string_view prefix, std::string_view parameter) {
  if (!parameter.starts_with(prefix)) return std::nullopt;
  const std::string_view rest = parameter.substr(prefix.size());
  return as_number<int64_t>(rest.substr(0, rest.find('.')));
}

}  // namespace lacuna
