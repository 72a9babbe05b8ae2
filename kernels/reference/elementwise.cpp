#include "kernels/elementwise.h"

#include "kernels/reference/kernels.h"

namespace lacuna::reference {

void accumulate(const Call& call) {
  double* y = call.out[0].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i) {
    double sum = 0;
    for (const View& x : call.in) sum += x.as<double>()[i];
    y[i] = sum;
  }
}

}  // namespace lacuna::reference
