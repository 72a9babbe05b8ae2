// Targets: what is to be predicted of samples; and Predicted: what a task predicted.
#pragma once

#include <cstdint>
#include <vector>

#include "base/host_tensor.h"

namespace lacuna {

enum class TargetType {
  classes,  // one class of each sample
  values,   // one or more real numbers of each sample
  marks,    // of each class whether a sample is of it
};

// Of N samples; every rank holds all of them.
struct Targets {
  TargetType type = TargetType::classes;
  // [N] below `width`, or negative where unknown; of marks [N, width] 1, 0, or negative where
  // unknown; empty of values
  std::vector<int64_t> classes;
  std::vector<double> values;  // [N, width], or NaN where unknown; empty of others
  int64_t width = 0;           // number of classes, or of values of a sample

  int64_t count() const;
  // Whether something of a sample is to be predicted: its class, its values, at least one mark.
  bool known(int64_t sample) const;
};

// The rows named, in that order.
Targets select_rows(const Targets& all, const std::vector<int64_t>& rows);

// What a task says of n samples.
struct Predicted {
  std::vector<int64_t> classes;  // [n] the most probable class; empty of values and marks
  // [n, width] natural logarithms of the probabilities of the classes, or values, or of marks the
  // logarithms of the odds. Logarithms, because a probability may be too small for a double.
  std::vector<double> numbers;
  int64_t width = 0;
};

// Of logits [n, K], float32 or float64: the first largest, and the softmax in double.
Predicted classes_of_logits(const HostTensor& logits);
// Values [n, T], float32 or float64.
Predicted values_of(const HostTensor& values);

// The elements, in double, of float32 or float64.
std::vector<double> doubles_of(const HostTensor& numbers);
HostTensor tensor_of(const std::vector<double>& values, const Shape& shape);
HostTensor copy_of(const HostTensor& tensor);

}  // namespace lacuna
