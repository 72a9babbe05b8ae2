// Lets tests written for Catch2 2 compile with Catch2 3, where this header no longer exists.
#pragma once

#include <catch2/catch_all.hpp>

using Catch::Approx;
namespace Catch {
inline auto Contains(const std::string& part, CaseSensitive cs = CaseSensitive::Yes) {
  return Matchers::ContainsSubstring(part, cs);
}
using Matchers::EndsWith;
using Matchers::Equals;
using Matchers::StartsWith;
}  // namespace Catch
