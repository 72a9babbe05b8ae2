// What this program was built from; the values are written by tools/cmake/build-info.cmake.
#pragma once

#include <string_view>

namespace lacuna {

struct BuildInfo {
  std::string_view version;   // "0.1.0"
  std::string_view commit;    // 12 digits, "-dirty" behind them where files differed; "" if unknown
  std::string_view compiler;  // "GNU 12.2.0"
  std::string_view build_type;  // "Release"
};

BuildInfo build_info();

}  // namespace lacuna
