// Our own reading of CPUID against the kernel's list of flags.
#include "base/cpu_features.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

using namespace lacuna;

namespace {

std::set<std::string> kernel_flags() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    return {std::istream_iterator<std::string>(words), {}};
  }
  return {};
}

Isa isa_by_flags(const std::set<std::string>& flags) {
  const auto have = [&](std::initializer_list<const char*> names) {
    return std::all_of(names.begin(), names.end(),
                       [&](const char* n) { return flags.contains(n); });
  };
  if (!have({"avx2", "fma"})) return Isa::baseline;
  if (!have({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})) return Isa::avx2;
  if (!have({"avx512_bf16"})) return Isa::avx512;
  return have({"amx_tile", "amx_bf16"}) ? Isa::amx : Isa::avx512_bf16;
}

}  // namespace

TEST_CASE("the instruction set is the one that the kernel reports") {
  CHECK(detect_isa() == isa_by_flags(kernel_flags()));
  CHECK(processor_name().size() > 0);
}
