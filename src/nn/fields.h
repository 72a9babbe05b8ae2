// Fields: the named tensors of a batch that a model is called with, [B, …] each; floats are in the
// compute dtype. And which samples its rows are, for what layers draw. Fields of a further stream
// are "<stream>.<field>", of as many rows as it has; those of a further part of the samples
// "<part>.<field>".
#pragma once

#include <map>
#include <span>
#include <string>
#include <utility>

#include "base/random.h"
#include "graph/forward_context.h"
#include "graph/tensor.h"

namespace lacuna {

// Values F [B, positions…, C], and which positions count, F [B, positions…] of 1 and 0; undefined:
// all of them.
struct Masked {
  Masked(Tensor all, Tensor which = {})  // NOLINT: where all count it is the tensor
      : values(std::move(all)), mask(std::move(which)) {}
  Tensor values, mask;
};

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
  // The view with its mask, where samples are padded.
  Masked masked_view(int i) const {
    const std::string mask = "view" + std::to_string(i) + ".mask";
    return {view(i), contains(mask) ? (*this)[mask] : Tensor()};
  }

  // One per row, in memory that outlives the step's recording; none where nothing is drawn.
  void set_keys(std::span<const SampleKey> keys) { keys_ = keys; }
  std::span<const SampleKey> keys() const { return keys_; }

  // Further streams, by their names.
  void add_stream(const std::string& name, StreamRows rows) { streams_[name] = std::move(rows); }
  const std::map<std::string, StreamRows>& streams() const { return streams_; }
  // The fields of a further stream, or of a further part of the samples, under their own names.
  Fields of(const std::string& stream_or_part) const {
    Fields fields;
    for (const auto& [name, tensor] : tensors_) {
      if (name.starts_with(stream_or_part + "."))
        fields.add(name.substr(stream_or_part.size() + 1), tensor);
    }
    LACUNA_CHECK(!fields.tensors_.empty(), "the batch has no fields of ", stream_or_part);
    const auto stream = streams_.find(stream_or_part);
    fields.set_keys(stream == streams_.end() ? keys_ : stream->second.keys);
    return fields;
  }
  // Adds the fields of a part under its name.
  void add_part(const std::string& part, const Fields& fields) {
    for (const auto& [name, tensor] : fields.tensors_)
      add(part.empty() ? name : part + "." + name, tensor);
  }

 private:
  std::map<std::string, Tensor> tensors_;
  std::span<const SampleKey> keys_;
  std::map<std::string, StreamRows> streams_;
};

}  // namespace lacuna
