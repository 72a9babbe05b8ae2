// The parts of the samples that a run was trained on, of which a stage may read one.
#pragma once

#include <memory>
#include <vector>

#include "modalities/modality.h"
#include "run/checkpoint.h"

namespace lacuna {

class Source;

// The modalities of all parts of a run, for which its networks are made: those of the parts that a
// source reads, and others as a checkpoint of the run describes them.
class PartsOfRun {
 public:
  // Collective. The source outlives it.
  PartsOfRun(const Configuration& run, const Source& source, const Checkpoint& checkpoint,
             Communicator& communicator);
  const PartModalities& all() const { return all_; }

 private:
  std::vector<std::unique_ptr<Dataset>> described_;
  std::vector<std::unique_ptr<Modality>> own_;
  PartModalities all_;
};

}  // namespace lacuna
