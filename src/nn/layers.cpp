#include "nn/layers.h"

#include "ops/masks.h"
#include "ops/matrix_product.h"
#include "ops/product_gelu.h"
#include "ops/shape.h"
#include "ops/updates.h"

namespace lacuna {

BatchNorm::BatchNorm(Scope scope, int64_t channels)
    : weight_(scope.constant("weight", {channels}, 1).name_axes("channel")),
      bias_(scope.constant("bias", {channels}, 0).name_axes("channel")),
      running_mean_(
          scope.constant("running_mean", {channels}, 0, Role::buffer).name_axes("channel")),
      running_variance_(
          scope.constant("running_var", {channels}, 1, Role::buffer).name_axes("channel")) {}

Tensor BatchNorm::operator()(const Tensor& x, ForwardContext& forward, bool relu,
                             const Tensor& residual, const Tensor& mask) const {
  constexpr double epsilon = 1e-5;
  constexpr double momentum = 0.1;
  Communicator* over = forward.synchronise_statistics ? &forward.communicator : nullptr;
  const Tensor counted = mask.defined() ? keep(x, mask) : x;
  Tensor moments;
  if (forward.training) {
    moments = batch_moments(counted, over, mask);
    forward.updates.push_back(running_update(moments, running_mean_, running_variance_, momentum));
  } else {
    moments = fixed_moments(running_mean_.tensor(), running_variance_.tensor());
  }
  return batch_norm(
      counted, moments, weight_.tensor(), bias_.tensor(),
      {.epsilon = epsilon, .relu = relu, .residual = residual, .communicator = over, .mask = mask});
}

Linear::Linear(Scope scope, int64_t in, int64_t out, bool bias)
    : weight_(scope.normal("weight", {out, in}, std::sqrt(1.0 / static_cast<double>(in)))
                  .name_axes("out_feature, in_feature")),
      bias_(bias ? &scope.constant("bias", {out}, 0).name_axes("out_feature") : nullptr) {}

Tensor Linear::rows_of(const Tensor& x) const {
  const Shape& in = x.shape();
  return reshape(x, {in.slice(0, in.rank() - 1).count(), in[-1]});
}

Tensor Linear::shaped(const Tensor& y, const Tensor& like) const {
  Shape out = like.shape();
  out.set(-1, weight_.shape()[0]);
  return reshape(y, out);
}

Tensor Linear::operator()(const Tensor& x, ForwardContext&) const {
  return shaped(linear(rows_of(x), weight_.tensor(), bias()), x);
}

Tensor Linear::added(const Tensor& x, const Tensor& residual) const {
  return shaped(linear_added(rows_of(x), weight_.tensor(), bias(), rows_of(residual)), x);
}

Tensor Linear::gelu(const Tensor& x) const {
  return shaped(linear_gelu(rows_of(x), weight_.tensor(), bias()), x);
}

Mlp::Mlp(Scope scope, const std::vector<int64_t>& sizes, bool last_norm) : out_(sizes.back()) {
  LACUNA_CHECK(sizes.size() >= 2);
  for (size_t i = 0; i + 1 < sizes.size(); ++i) {
    const bool last = i + 2 == sizes.size();
    const bool normed = !last || last_norm;  // no bias directly before a normalisation
    linear_.emplace_back(scope / concat("layers.", i, ".linear"), sizes[i], sizes[i + 1], !normed);
    if (normed) norm_.emplace_back(scope / concat("layers.", i, ".norm"), sizes[i + 1]);
  }
}

Tensor Mlp::operator()(Tensor x, ForwardContext& forward) const {
  for (size_t i = 0; i < linear_.size(); ++i) {
    x = linear_[i](x, forward);
    const bool last = i + 1 == linear_.size();
    if (i < norm_.size()) x = norm_[i](x, forward, !last);
  }
  return x;
}

namespace {

State& counterpart(StateStore& store, const State& state, const std::string& from,
                   const std::string& to) {
  State* other = store.find(to + state.name().substr(from.size()));
  LACUNA_CHECK(other != nullptr && other->shape() == state.shape(), state.name());
  return *other;
}

}  // namespace

void copy_state(StateStore& store, const std::string& from, const std::string& to) {
  for (const Role role : {Role::parameter, Role::buffer}) {
    for (const State* source : store.select(from + ".", role)) {
      HostTensor host(source->dtype(), source->shape());
      source->read(host.data());
      counterpart(store, *source, from, to).write(host.data());
    }
  }
}

void record_momentum_update(StateStore& store, const std::string& student,
                            const std::string& teacher, const Tensor& momentum,
                            ForwardContext& forward) {
  if (!forward.last_micro_batch) return;
  std::vector<Tensor> sources;
  std::vector<State*> targets;
  for (const State* source : store.select(student + ".", Role::parameter)) {
    sources.push_back(source->tensor());
    targets.push_back(&counterpart(store, *source, student, teacher));
  }
  forward.updates.push_back(ema_update(sources, targets, momentum));
}

}  // namespace lacuna
