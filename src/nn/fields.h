// Fields: the named tensors of a batch that a model is called with, [B, …] each; floats are in the
// compute dtype.
#pragma once

#include <map>
#include <string>

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

 private:
  std::map<std::string, Tensor> tensors_;
};

}  // namespace lacuna
