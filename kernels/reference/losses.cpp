#include "kernels/losses.h"

#include <algorithm>
#include <cmath>

#include "kernels/reference/kernels.h"

namespace lacuna::reference {

void softmax_cross_entropy(const Call& call) {
  const int64_t rows = call.in[0].shape[0];
  const int64_t classes = call.in[0].shape[1];
  const int64_t* labels = call.in[1].as<int64_t>();
  double loss = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const double* logits = call.in[0].as<double>() + i * classes;
    const double largest = *std::max_element(logits, logits + classes);
    double sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += std::exp(logits[k] - largest);
    const double lse = call.out[1].as<double>()[i] = largest + std::log(sum);
    if (labels[i] >= 0) loss += lse - logits[labels[i]];
  }
  *call.out[0].as<double>() = call.attributes.as<CrossEntropy>().factor * loss;
}

void softmax_cross_entropy_gradient(const Call& call) {
  const double factor = *call.in[0].as<double>() * call.attributes.as<CrossEntropy>().factor;
  const int64_t rows = call.in[1].shape[0];
  const int64_t classes = call.in[1].shape[1];
  const int64_t* labels = call.in[2].as<int64_t>();
  for (int64_t i = 0; i < rows; ++i) {
    const double* logits = call.in[1].as<double>() + i * classes;
    const double lse = call.in[3].as<double>()[i];
    double* gradient = call.out[0].as<double>() + i * classes;
    for (int64_t k = 0; k < classes; ++k) {
      const double p = std::exp(logits[k] - lse);
      gradient[k] = labels[i] < 0 ? 0 : factor * (p - (k == labels[i] ? 1 : 0));
    }
  }
}

void squared_error(const Call& call) {
  const auto parameters = call.attributes.as<SquaredError>();
  const double* a = call.in[0].as<double>();
  const double* b = call.in[1].as<double>();
  const int64_t channels = call.in[0].shape[-1];
  double sum = 0;
  for (int64_t i = 0; i < call.in[0].count(); ++i) {
    const double weight = parameters.weighted ? call.in[2].as<double>()[i / channels] : 1;
    sum += weight * (a[i] - b[i]) * (a[i] - b[i]);
  }
  *call.out[0].as<double>() = parameters.factor * sum;
}

void squared_error_gradient(const Call& call) {
  const auto parameters = call.attributes.as<SquaredError>();
  const double factor = 2 * parameters.factor * *call.in[0].as<double>();
  const double* a = call.in[1].as<double>();
  const double* b = call.in[2].as<double>();
  const int64_t channels = call.in[1].shape[-1];
  for (int64_t i = 0; i < call.in[1].count(); ++i) {
    const double weight = parameters.weighted ? call.in[3].as<double>()[i / channels] : 1;
    call.out[0].as<double>()[i] = factor * weight * (a[i] - b[i]);
  }
}

}  // namespace lacuna::reference
