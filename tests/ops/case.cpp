#include "ops/case.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "backend/list.h"
#include "graph/differentiate.h"
#include "ops/types.h"

namespace lacuna::test::ops {

namespace {

DType dtype_of_kind(Operand::Kind kind, DType compute) {
  switch (kind) {
    case Operand::Kind::activation:
      return compute;
    case Operand::Kind::parameter:
      return parameter_type(compute);
    case Operand::Kind::labels:
      return DType::i64;
    case Operand::Kind::small:
      return DType::i32;
    case Operand::Kind::value:
      return DType::f64;
  }
  return compute;
}

Operand::Kind activation_kind = Operand::Kind::activation;

double length(const std::vector<double>& x) {
  return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0));
}

}  // namespace

Operand activation(const Shape& shape, double spread, double centre) {
  return {activation_kind, shape,
          [=](const Draws& draws, uint32_t i) { return centre + spread * draws.normal(i); }};
}

Operand parameter(const Shape& shape, double spread, double centre) {
  Operand operand = activation(shape, spread, centre);
  operand.kind = Operand::Kind::parameter;
  return operand;
}

Operand off_zero(const Shape& shape) {
  return {activation_kind, shape, [](const Draws& draws, uint32_t i) {
            const double x = draws.normal(i);
            return x + (x < 0 ? -0.1 : 0.1);
          }};
}

Operand positive(Operand::Kind kind, const Shape& shape) {
  return {kind, shape, [](const Draws& draws, uint32_t i) { return draws.uniform(i, 0.5, 1.5); }};
}

Operand labels(int64_t rows, int64_t classes) {
  return {Operand::Kind::labels, Shape{rows},
          [=](const Draws& draws, uint32_t i) {
            return static_cast<double>(draws.below(i, static_cast<uint64_t>(classes + 1))) - 1;
          },
          false};
}

Operand places(const Shape& shape, int64_t count, Operand::Kind kind) {
  Operand operand = labels(0, count);
  operand.kind = kind;
  operand.shape = shape;
  return operand;
}

Operand value_of_step(const Shape& shape) { return positive(Operand::Kind::value, shape); }

Operand mask(const Shape& shape) {
  return {activation_kind, shape,
          [](const Draws& draws, uint32_t i) { return draws.below(i, 3) == 0 ? 0.0 : 1.0; }, false};
}

Operand constant(Operand operand) {
  operand.differentiable = false;
  return operand;
}

std::vector<double> to_doubles(const HostTensor& tensor) {
  const auto n = static_cast<size_t>(tensor.shape().count());
  std::vector<double> values(n);
  for (size_t i = 0; i < n; ++i) {
    switch (tensor.dtype()) {
      case DType::f64:
        values[i] = tensor.as<double>()[i];
        break;
      case DType::f32:
        values[i] = static_cast<double>(tensor.as<float>()[i]);
        break;
      case DType::bf16:
        values[i] = static_cast<double>(static_cast<float>(tensor.as<BFloat16>()[i]));
        break;
      case DType::f16:
        values[i] = static_cast<double>(static_cast<float>(tensor.as<Float16>()[i]));
        break;
      case DType::i64:
        values[i] = static_cast<double>(tensor.as<int64_t>()[i]);
        break;
      case DType::i32:
        values[i] = static_cast<double>(tensor.as<int32_t>()[i]);
        break;
      default:
        LACUNA_CHECK(false, "values of ", name_of(tensor.dtype()));
    }
  }
  return values;
}

HostTensor from_doubles(DType dtype, const Shape& shape, const std::vector<double>& values) {
  HostTensor tensor(dtype, shape);
  LACUNA_CHECK(static_cast<size_t>(shape.count()) == values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    switch (dtype) {
      case DType::f64:
        tensor.as<double>()[i] = values[i];
        break;
      case DType::f32:
        tensor.as<float>()[i] = static_cast<float>(values[i]);
        break;
      case DType::bf16:
        tensor.as<BFloat16>()[i] = BFloat16(static_cast<float>(values[i]));
        break;
      case DType::f16:
        tensor.as<Float16>()[i] = Float16(static_cast<float>(values[i]));
        break;
      case DType::i64:
        tensor.as<int64_t>()[i] = static_cast<int64_t>(values[i]);
        break;
      case DType::i32:
        tensor.as<int32_t>()[i] = static_cast<int32_t>(values[i]);
        break;
      default:
        LACUNA_CHECK(false, "values as ", name_of(dtype));
    }
  }
  return tensor;
}

double relative_error(const std::vector<double>& a, const std::vector<double>& b, double scale) {
  LACUNA_CHECK(a.size() == b.size());
  std::vector<double> difference(a.size());
  for (size_t i = 0; i < a.size(); ++i) difference[i] = a[i] - b[i];
  const double distance = length(difference);
  if (!(distance > 0)) return std::isnan(distance) ? 1e300 : 0;
  return distance / std::max(length(b), 1e-6 * scale);
}

std::vector<std::vector<double>> operand_values(const Case& test, DType compute) {
  std::vector<std::vector<double>> all;
  for (size_t k = 0; k < test.operands.size(); ++k) {
    const Operand& operand = test.operands[k];
    const Draws draws(1, Purpose::test, hash_name(test.name), static_cast<uint32_t>(k));
    std::vector<double> values(static_cast<size_t>(operand.shape.count()));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = operand.value(draws, static_cast<uint32_t>(i));
    all.push_back(
        to_doubles(from_doubles(dtype_of_kind(operand.kind, compute), operand.shape, values)));
  }
  return all;
}

CaseRun::CaseRun(const Case& test, Device& device, DType compute, PlanOptions options)
    : executor_(device, options) {
  for (const Operand& operand : test.operands) {
    hosts_.emplace_back(dtype_of_kind(operand.kind, compute), operand.shape);
    leaves_.push_back(host_leaf(concat("x", leaves_.size()), hosts_.back()));
  }
  output_ = test.build(leaves_);
  if (!test.differentiable) return;
  const Draws draws(2, Purpose::test, hash_name(test.name));
  seed_values_.resize(static_cast<size_t>(output_.shape().count()));
  for (size_t i = 0; i < seed_values_.size(); ++i) {
    seed_values_[i] = draws.uniform(static_cast<uint32_t>(i), 0.5, 1.5) * (i % 3 == 1 ? -1 : 1);
  }
  // Rounded once for every device: to the coarsest type.
  seed_values_ = to_doubles(from_doubles(DType::bf16, output_.shape(), seed_values_));
  seed_ = from_doubles(output_.dtype(), output_.shape(), seed_values_);
  std::vector<Tensor> by;
  for (size_t k = 0; k < leaves_.size(); ++k) {
    if (test.operands[k].differentiable) by.push_back(leaves_[k]);
  }
  gradients_ = differentiate(output_, host_leaf("seed", seed_), by);
  for (const Tensor& gradient : gradients_) LACUNA_CHECK(gradient.defined(), test.name);
}

std::vector<NodePointer> CaseRun::nodes() const {
  std::vector<Tensor> all = gradients_;
  all.push_back(output_);
  std::vector<NodePointer> nodes;
  for (const NodePointer& node : in_order(all)) {
    if (node->operation != nullptr) nodes.push_back(node);
  }
  return nodes;
}

std::vector<Shape> CaseRun::shapes() const {
  std::vector<Shape> all = {output_.shape()};
  for (const Tensor& gradient : gradients_) all.push_back(gradient.shape());
  return all;
}

std::vector<std::string> CaseRun::operands() const {
  std::vector<std::string> all;
  for (const HostTensor& host : hosts_) all.push_back(concat(name_of(host.dtype()), host.shape()));
  return all;
}

void CaseRun::set(const std::vector<std::vector<double>>& values) {
  for (size_t k = 0; k < hosts_.size(); ++k) {
    const HostTensor typed = from_doubles(hosts_[k].dtype(), hosts_[k].shape(), values[k]);
    std::memcpy(hosts_[k].data(), typed.data(), typed.bytes());
  }
}

std::vector<double> CaseRun::forward() {
  executor_.run({output_});
  return to_doubles(executor_.output(0));
}

std::vector<std::vector<double>> CaseRun::forward_and_gradients() {
  std::vector<Tensor> wanted = {output_};
  wanted.insert(wanted.end(), gradients_.begin(), gradients_.end());
  executor_.run(wanted);
  std::vector<std::vector<double>> results;
  for (size_t i = 0; i < wanted.size(); ++i) results.push_back(to_doubles(executor_.output(i)));
  return results;
}

double gradient_error(const Case& test) {
  const std::unique_ptr<Device> device = make_device("reference", 1);
  CaseRun run(test, *device, DType::f64);
  std::vector<std::vector<double>> values = operand_values(test, DType::f64);
  run.set(values);
  const auto results = run.forward_and_gradients();
  const auto weighted_output = [&] {
    run.set(values);
    const std::vector<double> y = run.forward();
    return std::inner_product(y.begin(), y.end(), run.seed().begin(), 0.0);
  };
  constexpr double h = 1e-4;
  double worst = 0;
  size_t result = 0;
  for (size_t k = 0; k < test.operands.size(); ++k) {
    if (!test.operands[k].differentiable) continue;
    std::vector<double> differences(values[k].size());
    for (size_t i = 0; i < values[k].size(); ++i) {
      const double x = values[k][i];
      const auto at = [&](double offset) {
        values[k][i] = x + offset;
        return weighted_output();
      };
      differences[i] = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      values[k][i] = x;
    }
    const std::vector<double>& gradient = results[++result];
    // A gradient that is zero everywhere would prove nothing.
    if (!differences.empty()) CHECK(length(differences) > 1e-3);
    worst = std::max(worst, relative_error(gradient, differences));
  }
  return worst;
}

}  // namespace lacuna::test::ops
