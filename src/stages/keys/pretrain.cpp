#include "stages/keys/pretrain.h"

namespace lacuna {

std::vector<Key> pretrain_keys() {
  return {
      key::path("data.stage", "",
                "Folder on a disk of the node (in a job script: --set data.stage=$TMPDIR). The "
                "files are copied "
                "there in the background, by a node's ranks together, the copies are read, and "
                "removed at the end. "
                "Empty: none.")
          .execution(),
      key::one_of("train.on_bad_loss", {"stop", "roll_back"}, "stop",
                  "What to do when the loss is no number: stop; or go back to the last checkpoint "
                  "whose weights are "
                  "numbers, and leave out the samples from there to the bad step. Before the first "
                  "checkpoint it stops.")
          .execution(),
  };
}

std::vector<Key> snapshot_keys() {
  return {
      key::integer("watch.every", "0",
                   "Representations of some samples are written to the run's folder every so many "
                   "epochs, so that one can watch them form; 0: never.")
          .unit("epochs")
          .min(0)
          .execution(),
      key::integer("watch.samples", "2000",
                   "How many samples, chosen by the seed; all where there are fewer.")
          .unit("samples")
          .min(1)
          .execution(),
      key::paths("watch.files", "[]", "HDF5 files that hold these samples; empty: data.files.")
          .execution(),
      key::text("watch.dataset", "", "Path of the samples in these files; empty: data.dataset.")
          .execution(),
      key::text("watch.label", "",
                "Path of labels in these files, which are written beside the representations and "
                "not learned from; empty: data.label.")
          .execution(),
  };
}

std::vector<Key> embed_keys() {
  return {
      key::texts("embed.copy", "[]",
                 "Columns of the data files, one row for each sample or each series, that embed "
                 "copies beside the representations, such as identifiers.")
          .execution()};
}

}  // namespace lacuna
