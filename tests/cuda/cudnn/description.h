// Reading a plan's JSON: every field is asked for, or the plan is refused.
#pragma once

#include <cudnn_frontend/thirdparty/nlohmann/json.hpp>

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "arrays.h"

namespace cudnn_double {

using nlohmann::json;
using Arrays = std::vector<Array>;
using Step = std::function<void(Arrays&)>;

struct Node {
  std::set<size_t> inputs, outputs;
  Step step;
};

// The fields of one JSON object: each must be asked for, or it is refused.
class Fields {
 public:
  Fields(const json& object, std::string what) : object_(object), what_(std::move(what)) {}

  bool has(const std::string& key) const { return object_.contains(key); }

  template <class Value>
  Value get(const std::string& key) {
    known_.insert(key);
    try {
      return object_.at(key).get<Value>();
    } catch (const json::exception&) {
      throw Refused(what_ + " has no proper " + key);
    }
  }

  template <class Value>
  void must_be(const std::string& key, const Value& neutral) {
    if (get<Value>(key) != neutral) {
      throw Refused(what_ + ": " + key + " = " + object_.at(key).dump() + " is not known");
    }
  }

  template <class Value>
  void may_be(const std::string& key, const Value& neutral) {
    if (has(key)) must_be(key, neutral);
  }

  void ignore(const std::string& key) { known_.insert(key); }

  void finish() const {
    for (const auto& [key, value] : object_.items()) {
      if (!known_.contains(key)) throw Refused(what_ + ": " + key + " is not known");
    }
  }

  void require(bool holds, const std::string& rule) const {
    if (!holds) throw Refused(what_ + ": " + rule);
  }

 private:
  const json& object_;
  std::string what_;
  std::set<std::string> known_;
};

Tensor read_tensor(const json& object);

// One node under construction: its fields, and the tensors that it names.
class Builder {
 public:
  Builder(const json& object, std::vector<Tensor>& tensors)
      : fields(object, object.value("operation", std::string("node without an operation"))),
        tensors_(tensors) {
    fields.ignore("operation");
  }

  size_t input(const std::string& key, bool across = false) {
    const size_t index = find(key);
    node.inputs.insert(index);
    tensors_[index].read_across |= across;
    return index;
  }
  size_t output(const std::string& key) {
    const size_t index = find(key);
    node.outputs.insert(index);
    return index;
  }
  const Tensor& operator[](size_t index) const { return tensors_[index]; }
  const Dims& dims(size_t index) const { return tensors_[index].dims; }

  void computes_in_float() { fields.must_be("mathPrec", std::string("CUDNN_DATA_FLOAT")); }

  Fields fields;
  Node node;

 private:
  size_t find(const std::string& key) {
    const int64_t id = std::stoll(fields.get<std::string>(key));
    const auto found = std::ranges::find(tensors_, id, &Tensor::id);
    fields.require(found != tensors_.end(), key + " is no tensor of the graph");
    return size_t(found - tensors_.begin());
  }

  std::vector<Tensor>& tensors_;
};

}  // namespace cudnn_double
