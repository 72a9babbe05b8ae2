// Snapshots: representations of a seeded subset of samples that pretrain writes every so many
// epochs, so that one can watch them form:
//
//   RUN/representations/epoch-000000.h5, epoch-000005.h5, ...    (layout: docs/formats.md)
//
// It reads the State and draws nothing, so the training is the same with and without.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "config/configuration.h"
#include "stages/embed/embedding.h"
#include "stages/setup/compute.h"
#include "stages/setup/model.h"
#include "stages/setup/source.h"

namespace lacuna {

// When an epoch ends: after the last step that does not reach beyond it. The epoch, a multiple of
// `every`, that ends after so many steps, if one does.
struct EpochEnds {
  int64_t samples = 1;
  BatchTable batches;
  int64_t every = 1;
  int64_t step_of(int64_t epoch) const { return batches.steps_within(epoch * samples); }
  std::optional<int64_t> epoch_at(int64_t steps) const;
};

// `count` samples of [0, samples), chosen by the seed, as ranges; all of them if there are fewer.
std::vector<SampleRange> snapshot_samples(int64_t samples, int64_t count, uint64_t seed);

class Snapshots {
 public:
  // Collective. Opens watch.files, if they are not the training data; what it is given must outlive
  // it. Does nothing where watch.every is 0.
  Snapshots(const Configuration& configuration, const Source& training, const Objective& objective,
            Compute& compute, StageContext& context);

  // Collective; before the first step of a new or continued run, or where it goes on from after a
  // bad loss. Files of epochs that end behind
  // `steps` are removed: the run comes to them again.
  void begin(const std::filesystem::path& run, int64_t steps, const BatchTable& batches);
  // Collective. Writes the file of an epoch that ends after so many steps.
  void after_step(int64_t steps);

 private:
  bool is_there(const std::filesystem::path& file);
  std::filesystem::path file_of(int64_t epoch) const;

  const Configuration& configuration_;
  const Objective& objective_;
  Compute& compute_;
  StageContext& context_;
  EpochEnds ends_;
  std::unique_ptr<Source> own_;
  const Source* source_ = nullptr;  // null: watch.every is 0
  std::vector<SampleRange> ranges_;
  int64_t batch_ = 1;
  std::filesystem::path run_;
};

}  // namespace lacuna
