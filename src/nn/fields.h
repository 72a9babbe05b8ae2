// Fields: the named tensors of a batch that a model is called with, [B, …] each; floats are in the
// compute dtype. And which samples its rows are, for what layers draw.
#pragma once

#include <map>
#include <span>
#include <string>

#include "base/random.h"
#include "graph/tensor.h"

namespace lacuna {

class Fields {
 public:
  void add(const std::string& name, Tensor tensor) { tensors_[name] = std::move(tensor); }
  bool contains(const std::string& name) const { return tensors_.contains(name); }
  const Tensor& operator[](const std::string& name) const {
    const auto found = tensors_.find(name);
    LACUNA_CHECK(found != tensors_.end(), "the batch has no field \"", name, "\"");
    return found->second;
  }
  const Tensor& view(int i) const { return (*this)["view" + std::to_string(i)]; }

  // One per row, in memory that outlives the step's recording; none where nothing is drawn.
  void set_keys(std::span<const SampleKey> keys) { keys_ = keys; }
  std::span<const SampleKey> keys() const { return keys_; }

 private:
  std::map<std::string, Tensor> tensors_;
  std::span<const SampleKey> keys_;
};

}  // namespace lacuna
