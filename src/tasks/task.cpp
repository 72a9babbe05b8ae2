#include "tasks/task.h"

#include <algorithm>
#include <cmath>

namespace lacuna {

namespace {

template <typename T, typename From>
HostTensor tensor_from(const std::vector<From>& values, const Shape& shape, T (*convert)(From)) {
  HostTensor tensor(dtype_of<T>, shape);
  std::transform(values.begin(), values.end(), tensor.as<T>().begin(), convert);
  return tensor;
}

int64_t rows_of(const Predicted& predicted) {
  return static_cast<int64_t>(predicted.numbers.size()) / predicted.width;
}

}  // namespace

const HostTensor& stored_tensor(const NamedTensors& tensors, const std::string& name, DType dtype,
                                int rank) {
  const auto found = tensors.find(name);
  if (found == tensors.end() || found->second.dtype() != dtype ||
      found->second.shape().rank() != rank)
    bad_input("the model does not hold \"", name,
              "\" as this task keeps it: it is of another "
              "version, so fine-tune anew");
  return found->second;
}

Targets TaskParts::labelled_targets() const {
  return labelled == nullptr ? *targets : select_rows(*targets, *labelled);
}

std::vector<PredictionColumn> class_columns(int64_t classes) {
  return {{.name = "class",
           .dtype = DType::i64,
           .row = Shape{},
           .axes = "sample",
           .description = "the most probable class of each sample",
           .values =
               [](const Predicted& predicted) {
                 return tensor_from<int64_t, int64_t>(predicted.classes, {rows_of(predicted)},
                                                      [](int64_t value) { return value; });
               }},
          {.name = "probability",
           .dtype = DType::f32,
           .row = {classes},
           .axes = "sample, class",
           .description = "probability of each class",
           .values = [](const Predicted& predicted) {
             return tensor_from<float, double>(
                 predicted.numbers, {rows_of(predicted), predicted.width},
                 [](double value) { return static_cast<float>(std::exp(value)); });
           }}};
}

std::vector<PredictionColumn> mark_columns(int64_t classes) {
  const auto column = [classes](const char* name, DType dtype, const char* description,
                                std::function<HostTensor(const Predicted&)> values) {
    return PredictionColumn{
        name, dtype, {classes}, "sample, class", description, std::move(values)};
  };
  return {column("mark", DType::u8, "1 where the sample is of the class, else 0",
                 [](const Predicted& predicted) {
                   return tensor_from<uint8_t, double>(
                       predicted.numbers, {rows_of(predicted), predicted.width},
                       [](double odds) { return static_cast<uint8_t>(odds > 0); });
                 }),
          column("probability", DType::f32, "probability of each class", [](const Predicted& p) {
            return tensor_from<float, double>(p.numbers, {rows_of(p), p.width}, [](double odds) {
              return static_cast<float>(1 / (1 + std::exp(-odds)));
            });
          })};
}

std::vector<PredictionColumn> value_columns(int64_t width) {
  return {{.name = "value",
           .dtype = DType::f32,
           .row = {width},
           .axes = "sample, value",
           .description = "predicted values, in the units of the targets",
           .values = [](const Predicted& predicted) {
             return tensor_from<float, double>(
                 predicted.numbers, {rows_of(predicted), predicted.width},
                 [](double value) { return static_cast<float>(value); });
           }}};
}

}  // namespace lacuna
