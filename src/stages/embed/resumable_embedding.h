// ResumableEmbedding: a pass over a source into a file of representations (docs/formats.md), with
// which another start goes on when this one is killed or asked to stop.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "run/checkpoint.h"
#include "stages/embed/embedded_file.h"
#include "stages/embed/embedding.h"
#include "stages/setup/stage.h"
#include "train/early_stop.h"

namespace lacuna {

// What of a checkpoint's run.
EmbeddedWhat embedded_what(const Checkpoint& checkpoint, const Configuration& pretraining,
                           const std::string& output);

class ResumableEmbedding {
 public:
  struct Options {
    std::filesystem::path out;
    EmbeddedWhat what;         // without ranges: all samples
    bool replace = false;      // an existing file is moved aside once the new one is whole
    std::string precision;     // what is computed in, as Compute::arithmetic says it
    double save_minutes = 10;  // between two savings of how far it has come
  };
  // Collective, as all here. Begins the file, or goes on with what was left of it, if that is of
  // the same checkpoint, data and settings; says so. Errors: EmbeddedFile's. The references must
  // outlive it.
  ResumableEmbedding(Embedder& embedder, const Source& source, const EarlyStop& early_stop,
                     StageContext& context, Options options);

  // The rest of the pass; then the file is there under its name. Ends early (train/early_stop.h),
  // with its progress saved, where that is asked for.
  void run();
  // Whether the file was there already, of the same checkpoint, data and settings: nothing is to be
  // done.
  bool whole() const { return begun_.whole; }
  // On rank 0: samples that another start would not compute again.
  int64_t kept() const { return kept_; }

 private:
  struct Begun {
    EmbedPass pass;
    int64_t written = 0;  // samples
    bool whole = false;
  };
  Begun begin();
  Begun go_on(const std::string& progress);
  void broadcast(Begun& from);
  void save(int64_t done, int64_t position);

  Embedder& embedder_;
  const Source& source_;
  const EarlyStop& early_stop_;
  StageContext& context_;
  Options options_;
  std::unique_ptr<EmbeddedFile> file_;  // on rank 0
  Begun begun_;
  int64_t kept_ = 0;
  double saved_ = 0;
};

// "whole", "1024 samples", or empty: what another start would not compute again of a file of that
// name, for people.
std::string how_far_embedded(const std::filesystem::path& out);

}  // namespace lacuna
