// Batch: this rank's rows of one global batch, as named fields of any shape and type.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/host_tensor.h"
#include "base/random.h"
#include "data/files/layout.h"

namespace lacuna {

class Batch {
 public:
  int64_t position = 0;      // global samples consumed before this batch: what a checkpoint stores
  int64_t epoch = 0;         // of the first sample of the global batch
  int64_t global_count = 0;  // samples of all ranks together
  std::vector<int64_t> samples;  // index in the data set of each local row
  std::vector<SampleKey> keys;   // of each local row: what all draws for it are a function of
  std::vector<int64_t> rows;     // place in the global batch of each local row, growing
  // Of samples that may be several rows: which rows of its file each is; otherwise empty.
  std::vector<RowRange> at;

  // May differ from rank to rank and from batch to batch, and may be 0.
  int64_t local_count() const { return static_cast<int64_t>(samples.size()); }
  int64_t next_position() const { return position + global_count; }

  // Fields are [local_count] + the shape of one sample. A name that is not there is a defect.
  const std::vector<std::string>& names() const { return names_; }
  bool has(const std::string& name) const { return find(name) < names_.size(); }
  HostTensor& field(const std::string& name) { return tensors_[checked(name)]; }
  const HostTensor& field(const std::string& name) const { return tensors_[checked(name)]; }
  void add(const std::string& name, HostTensor tensor) {
    names_.push_back(name);
    tensors_.push_back(std::move(tensor));
  }
  // By the order of adding.
  HostTensor& field(size_t index) { return tensors_[index]; }

 private:
  size_t find(const std::string& name) const {
    size_t i = 0;
    while (i < names_.size() && names_[i] != name) ++i;
    return i;
  }
  size_t checked(const std::string& name) const {
    const size_t i = find(name);
    LACUNA_CHECK(i < names_.size(), "no field ", name, " in the batch");
    return i;
  }
  std::vector<std::string> names_;
  std::vector<HostTensor> tensors_;
};

}  // namespace lacuna
