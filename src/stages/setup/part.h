// Parts of a run's samples, such as an image and its caption: what each means.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/options.h"
#include "modalities/modality.h"
#include "run/checkpoint.h"

namespace lacuna {

// How a part's modality is made; see ModalityParts.
struct PartOptions {
  std::string part = {};               // "": the first
  const Checkpoint* like = nullptr;    // whose facts hold
  const Configuration* run = nullptr;  // of that
  const Modality* as = nullptr;        // whose facts hold
  MissingNumbers missing = {};
  int64_t buffer = 0;  // bytes, at most, for reading
  int threads = 1;
  bool index_only = false;
};

// "data.", or of a further part "data.<part>.": what names of facts begin with in a checkpoint.
std::string fact_prefix(const std::string& part);

// A vector that a checkpoint holds under this name; bad_input where it holds none.
template <typename T>
std::vector<T> stored_values(const Checkpoint& checkpoint, const std::string& name);

// Collective. The modality of a part whose samples are those of `dataset`. Errors are the same on
// every rank, and name the part.
std::unique_ptr<Modality> make_part(const Configuration& configuration, const Dataset& dataset,
                                    const PartOptions& options, Communicator& communicator);

}  // namespace lacuna
