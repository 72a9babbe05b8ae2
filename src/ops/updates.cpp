#include "ops/updates.h"

#include <array>

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

void check_scalar(const Tensor& value) {
  LACUNA_CHECK(value.dtype() == DType::f64 && value.shape() == Shape{}, "an update's value is ",
               name_of(value.dtype()), " ", value.shape());
}

// An update of tensors in groups (weights, momenta, …), each as many as there are sources.
Update update(const Operation& operation, const Tensors& sources, std::vector<States> groups,
              const Tensors& values, Attributes parameters) {
  LACUNA_CHECK(!sources.empty(), operation.name, " of nothing");
  Update result = {&operation, sources, {}, parameters};
  for (const States& group : groups) {
    LACUNA_CHECK(group.size() == sources.size(), operation.name, " of ", sources.size(),
                 " tensors and ", group.size());
    for (size_t i = 0; i < group.size(); ++i) {
      LACUNA_CHECK(
          group[i]->shape() == sources[i].shape() && group[i]->dtype() == sources[i].dtype() &&
              sources[i].dtype() == sources[0].dtype(),
          operation.name, " of \"", group[i]->name(), "\" ", name_of(group[i]->dtype()), " ",
          group[i]->shape(), " by ", name_of(sources[i].dtype()), " ", sources[i].shape());
      result.targets.push_back(group[i]);
    }
  }
  for (const Tensor& value : values) {
    check_scalar(value);
    result.inputs.push_back(value);
  }
  return result;
}

}  // namespace

const Operation sgd_update_operation = {.name = "sgd_update"};
const Operation lars_norms_operation = {.name = "lars_norms"};
const Operation lars_update_operation = {.name = "lars_update"};
const Operation adamw_update_operation = {.name = "adamw_update"};
const Operation ema_update_operation = {.name = "ema_update"};
const Operation clip_factor_operation = {.name = "clip_factor"};

Update sgd_update(const Tensors& gradients, const States& weights, const States& momenta,
                  const Tensor& rate, const Tensor& clip, const Sgd& parameters) {
  return update(sgd_update_operation, gradients, {weights, momenta}, {rate, clip}, parameters);
}

Tensor lars_norms(const Tensors& gradients, const Tensors& weights, const Tensor& clip,
                  double decay) {
  LACUNA_CHECK(weights.size() == gradients.size() && !weights.empty());
  check_scalar(clip);
  Tensors in = gradients;
  for (size_t i = 0; i < weights.size(); ++i) {
    LACUNA_CHECK(weights[i].shape() == gradients[i].shape(), "lars_norms of ", weights[i].shape(),
                 " by ", gradients[i].shape());
    in.push_back(weights[i]);
  }
  in.push_back(clip);
  const auto n = static_cast<int64_t>(gradients.size());
  return record_one(lars_norms_operation, in, {DType::f64, Shape{n, 2}}, LarsNorms{decay});
}

Update lars_update(const Tensors& gradients, const States& weights, const States& momenta,
                   const Tensor& rate, const Tensor& clip, const Tensor& norms,
                   const Lars& parameters) {
  LACUNA_CHECK(norms.dtype() == DType::f64 &&
                   norms.shape() == (Shape{static_cast<int64_t>(gradients.size()), 2}),
               "lars_update by norms ", norms.shape());
  Update made =
      update(lars_update_operation, gradients, {weights, momenta}, {rate, clip}, parameters);
  made.inputs.push_back(norms);
  return made;
}

Update adamw_update(const Tensors& gradients, const States& weights, const States& m,
                    const States& v, const Tensor& rate, const Tensor& clip,
                    const Tensor& correction1, const Tensor& correction2, const AdamW& parameters) {
  return update(adamw_update_operation, gradients, {weights, m, v},
                {rate, clip, correction1, correction2}, parameters);
}

Update ema_update(const Tensors& x, const States& targets, const Tensor& momentum) {
  return update(ema_update_operation, x, {targets}, {momentum}, {});
}

Tensor clip_factor(const Tensor& squared_norm, const Tensor& unscale, double limit) {
  check_scalar(squared_norm);
  check_scalar(unscale);
  LACUNA_CHECK(limit > 0, "clipping to ", limit);
  return record_one(clip_factor_operation, {squared_norm, unscale}, {DType::f64, Shape{}},
                    ClipFactor{limit});
}

std::span<const Operation* const> updates_operations() {
  static constexpr std::array all = {
      &sgd_update_operation,   &lars_norms_operation, &lars_update_operation,
      &adamw_update_operation, &ema_update_operation, &clip_factor_operation,
  };
  return all;
}

}  // namespace lacuna
