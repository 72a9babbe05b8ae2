#include "tasks/targets.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lacuna {

int64_t Targets::count() const {
  if (type == TargetType::classes) return static_cast<int64_t>(classes.size());
  const size_t numbers = type == TargetType::marks ? classes.size() : values.size();
  return width == 0 ? 0 : static_cast<int64_t>(numbers) / width;
}

bool Targets::known(int64_t sample) const {
  if (type == TargetType::classes) return classes[static_cast<size_t>(sample)] >= 0;
  if (type == TargetType::marks) {
    const auto row = classes.begin() + sample * width;
    return std::any_of(row, row + width, [](int64_t mark) { return mark >= 0; });
  }
  const auto row = values.begin() + sample * width;
  return std::none_of(row, row + width, [](double value) { return std::isnan(value); });
}

Targets select_rows(const Targets& all, const std::vector<int64_t>& rows) {
  Targets chosen{.type = all.type, .classes = {}, .values = {}, .width = all.width};
  for (const int64_t row : rows) {
    if (all.type == TargetType::classes) {
      chosen.classes.push_back(all.classes[static_cast<size_t>(row)]);
    } else if (all.type == TargetType::marks) {
      const auto first = all.classes.begin() + row * all.width;
      chosen.classes.insert(chosen.classes.end(), first, first + all.width);
    } else {
      const auto first = all.values.begin() + row * all.width;
      chosen.values.insert(chosen.values.end(), first, first + all.width);
    }
  }
  return chosen;
}

std::vector<double> doubles_of(const HostTensor& numbers) {
  const auto copied = [](const auto elements) {
    return std::vector<double>(elements.begin(), elements.end());
  };
  return numbers.dtype() == DType::f64 ? copied(numbers.as<double>()) : copied(numbers.as<float>());
}

HostTensor tensor_of(const std::vector<double>& values, const Shape& shape) {
  HostTensor tensor(DType::f64, shape);
  std::copy(values.begin(), values.end(), tensor.as<double>().begin());
  return tensor;
}

HostTensor copy_of(const HostTensor& tensor) {
  HostTensor copy(tensor.dtype(), tensor.shape());
  std::memcpy(copy.data(), tensor.data(), tensor.bytes());
  return copy;
}

Predicted classes_of_logits(const HostTensor& logits) {
  Predicted predicted{.classes = {}, .numbers = doubles_of(logits), .width = logits.shape()[1]};
  const auto width = static_cast<size_t>(predicted.width);
  for (size_t first = 0; first < predicted.numbers.size(); first += width) {
    const std::span row(&predicted.numbers[first], width);
    const auto largest = std::max_element(row.begin(), row.end());
    predicted.classes.push_back(largest - row.begin());
    const double most = *largest;
    double sum = 0;
    for (const double logit : row) sum += std::exp(logit - most);
    for (double& logit : row) logit -= most + std::log(sum);
  }
  return predicted;
}

Predicted values_of(const HostTensor& values) {
  return {.classes = {}, .numbers = doubles_of(values), .width = values.shape()[1]};
}

}  // namespace lacuna
