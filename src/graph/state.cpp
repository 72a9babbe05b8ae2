#include "graph/state.h"

#include <algorithm>
namespace lacuna {

Slice slice_of(const Shape& whole, const Communicator& communicator) {
  const size_t first =
      slice_begin(static_cast<size_t>(whole.count()), communicator.rank(), communicator.size());
  return {whole, static_cast<int64_t>(first)};
}

int64_t slice_count(const Shape& whole, const Communicator& communicator) {
  const size_t end =
      slice_begin(static_cast<size_t>(whole.count()), communicator.rank() + 1, communicator.size());
  return static_cast<int64_t>(end) - slice_of(whole, communicator).first;
}

State::State(Device& device, std::string name, DType dtype, const Shape& shape, Role role)
    : device_(device),
      name_(std::move(name)),
      role_(role),
      memory_(device, std::max<size_t>(1, static_cast<size_t>(shape.count()) * size_of(dtype))),
      data_(memory_.data()) {
  make_leaf(dtype, shape);
}

State::State(Device& device, std::string name, DType dtype, const Slice& slice, int64_t count,
             Role role)
    : State(device, std::move(name), dtype, Shape{count}, role) {
  slice_ = slice;
}

State::State(State& whole, const Slice& slice, int64_t count)
    : device_(whole.device_),
      name_(whole.name_),
      role_(whole.role_),
      slice_(slice),
      data_(static_cast<char*>(whole.data_) +
            static_cast<size_t>(slice.first) * size_of(whole.dtype())) {
  make_leaf(whole.dtype(), Shape{count});
}

void State::make_leaf(DType dtype, const Shape& shape) {
  auto node = std::make_shared<Node>();
  node->outputs = {{dtype, shape}};
  node->state = this;
  node->name = name_;
  leaf_ = Tensor(std::move(node), 0);
}

State& State::name_axes(const std::string& axes) {
  const Shape& whole = slice_ ? slice_->whole : shape();
  const auto names = axes.empty() ? 0 : 1 + std::count(axes.begin(), axes.end(), ',');
  LACUNA_CHECK(axes.empty() || names == whole.rank(), name_, " ", whole, " has the axes ", axes);
  axes_ = axes;
  return *this;
}

void State::write(const void* host) { device_.copy_in(data(), host, bytes()); }

void State::read(void* host) const { device_.copy_out(host, data(), bytes()); }

void State::fill(const std::function<double(int64_t)>& value) {
  HostTensor host(dtype(), shape());
  const int64_t n = shape().count();
  for (int64_t i = 0; i < n; ++i) {
    const auto k = static_cast<size_t>(i);
    switch (dtype()) {
      case DType::f64:
        host.as<double>()[k] = value(i);
        break;
      case DType::f32:
        host.as<float>()[k] = static_cast<float>(value(i));
        break;
      case DType::i64:
        host.as<int64_t>()[k] = static_cast<int64_t>(value(i));
        break;
      default:
        LACUNA_CHECK(false, "state of ", name_of(dtype()));
    }
  }
  write(host.data());
}

std::vector<double> State::values() const {
  HostTensor host(dtype(), shape());
  read(host.data());
  std::vector<double> all(static_cast<size_t>(shape().count()));
  for (size_t i = 0; i < all.size(); ++i) {
    switch (dtype()) {
      case DType::f64:
        all[i] = host.as<double>()[i];
        break;
      case DType::f32:
        all[i] = host.as<float>()[i];
        break;
      case DType::i64:
        all[i] = static_cast<double>(host.as<int64_t>()[i]);
        break;
      default:
        LACUNA_CHECK(false, "state of ", name_of(dtype()));
    }
  }
  return all;
}

State& StateStore::create(const std::string& name, DType dtype, const Shape& shape, Role role) {
  LACUNA_CHECK(find(name) == nullptr, "state \"", name, "\" exists");
  return states_.emplace_back(device_, name, dtype, shape, role);
}

State& StateStore::create_slice(const std::string& name, DType dtype, const Shape& whole, Role role,
                                const Communicator& communicator) {
  LACUNA_CHECK(find(name) == nullptr, "state \"", name, "\" exists");
  return states_.emplace_back(device_, name, dtype, slice_of(whole, communicator),
                              slice_count(whole, communicator), role);
}

State* StateStore::find(const std::string& name) {
  for (State& state : states_) {
    if (state.name() == name) return &state;
  }
  return nullptr;
}

std::vector<State*> StateStore::select(const std::string& prefix, Role role) {
  std::vector<State*> chosen;
  for (State& state : states_) {
    if (state.role() == role && state.name().starts_with(prefix)) chosen.push_back(&state);
  }
  return chosen;
}

}  // namespace lacuna
