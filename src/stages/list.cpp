#include "stages/stage.h"

namespace lacuna {

std::vector<Stage> stages() {
  return {
      {{.stage = "inspect",
        .argument = "ANY.h5",
        .argument_doc = "An HDF5 file: a data set, a checkpoint, representations or metrics.",
        .summary = "Tells in plain words what an HDF5 file holds.",
        .options = {}},
       false,
       inspect},
  };
}

}  // namespace lacuna
