#include "run/checkpoint.h"

#include "base/error.h"
#include "base/text.h"

namespace lacuna {

std::string environment_differences(const Environment& then, const Environment& now) {
  std::vector<std::string> all;
  const auto compare = [&](std::string_view what, const auto& before, const auto& after) {
    if (before != after) all.push_back(concat(what, " was ", before, " and is ", after));
  };
  compare("the number of ranks", then.ranks, now.ranks);
  compare("the number of threads", then.threads, now.threads);
  compare("the device", then.device, now.device);
  compare("the instruction set", then.instruction_set, now.instruction_set);
  compare("the precision", then.precision, now.precision);
  compare("Lacuna", then.code_version, now.code_version);
  compare("the MPI", then.mpi, now.mpi);
  compare("HDF5", then.hdf5, now.hdf5);
  compare("oneDNN", then.onednn, now.onednn);
  return join(all);
}

bool same_data(const std::string& then, const std::string& now) {
  return then == now || then == now.substr(0, now.find('-'));
}

const StoredTensor* Checkpoint::find(std::string_view name) const {
  for (const StoredPart& part : parts)
    for (const StoredTensor& tensor : part.tensors)
      if (tensor.name == name) return &tensor;
  return nullptr;
}

std::vector<StoredTensor> Checkpoint::tensors() const {
  std::vector<StoredTensor> all;
  for (const StoredPart& part : parts)
    all.insert(all.end(), part.tensors.begin(), part.tensors.end());
  return all;
}

std::string Checkpoint::checksums() const {
  std::vector<std::string> all;
  for (const StoredPart& part : parts) all.push_back(concat(std::hex, part.crc32));
  return join(all);
}

}  // namespace lacuna
