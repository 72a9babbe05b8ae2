#include "backend/list.h"
#include "golden/golden.h"

namespace lacuna::golden {

std::vector<Setting> settings() {
  constexpr Limits f64{1e-9, 1e-9};
  constexpr Limits f32{1e-5, 1e-4};
  const auto reference = [] { return make_device("reference", 1); };
  const auto one_thread = [] { return make_device("cpu", 1); };
  const auto two_threads = [] { return make_device("cpu", 2); };
  const auto winograd = [] {
    return make_device("cpu", 2, detect_isa(), {}, ConvolutionMethods::exact);
  };
  return {{"the reference device", reference, false, f64},
          {"the reference device", reference, true, f64},
          {"the cpu, 1 thread", one_thread, false, f32},
          {"the cpu, 2 threads", two_threads, false, f32},
          {"the cpu, 2 threads, exact convolutions", winograd, false, f32},
          {"the cpu, 2 threads", two_threads, true, f32}};
}

}  // namespace lacuna::golden
