#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace lacuna {

void broken_rule(const char* rule, const char* file, int line, const std::string& detail) {
  std::fprintf(stderr, "lacuna: this is a defect of Lacuna, please report it: %s (%s:%d)%s%s\n", rule,
               file, line, detail.empty() ? "" : ": ", detail.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace lacuna
