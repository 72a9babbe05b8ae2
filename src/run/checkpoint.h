// Checkpoints: every tensor that outlives a step, and what is needed to continue from there, in
// HDF5 files that h5py, HDFView and h5dump open without our code (layout: docs/formats.md).
//
//   RUN/checkpoints/step-000012000/part-000.h5     the tensors: contiguous values, little-endian
//                                 /checkpoint.h5   the manifest: everything else, the checksums of
//                                                  the parts, and links into them; renamed last
//
// A tensor "encoder.layer1.0.conv1.weight" is the dataset /state/encoder/layer1/0/conv1/weight.
// A checkpoint counts only when its manifest is there and all checksums agree. This file knows
// neither graph nor optimizer: a checkpoint is a list of named tensors.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backend/device.h"
#include "base/dtype.h"
#include "base/shape.h"
#include "data/order/batch_table.h"
#include "run/metrics.h"

namespace lacuna {

// A tensor to be saved: count x dtype bytes, outermost axis first, in a device's memory or, without
// one, the host's. The name is
// dotted, as PyTorch's; no name may be a folder of another ("a" and "a.b").
struct NamedTensor {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  const void* data = nullptr;
  std::string axes = {};  // "out_channel, in_channel, row, column", for who reads the file; or ""
  Device* device = nullptr;
};

// A tensor to be loaded.
struct TensorTarget {
  // Elements [first, first + count) of the tensor.
  struct Part {
    int64_t first = 0, count = 0;
  };
  std::string name;
  DType dtype = DType::f32;
  Shape shape;  // of the whole tensor
  void* data = nullptr;
  Device* device = nullptr;                 // whose memory it is; null: the host's
  std::optional<Part> part = std::nullopt;  // that is wanted; none: the whole tensor
};

// What a run reads, so that another file under the same name is noticed.
struct DataIdentity {
  struct File {
    std::string path;
    int64_t bytes = 0;
    int64_t samples = 0;
    friend bool operator==(const File&, const File&) = default;
  };
  // What a sample is as it is stored, as far as a modality is made for it.
  struct Sample {
    DType dtype = DType::f32;
    Shape shape;
    friend bool operator==(const Sample&, const Sample&) = default;
  };
  std::string name;  // "train"; of a further part of the samples its name
  std::string dataset;
  std::vector<File> files;
  int64_t samples = 0;
  std::optional<Sample> sample = {};  // none in checkpoints of earlier versions
  std::string hash;                   // of what the reader of the data chose to hash, as text
  friend bool operator==(const DataIdentity&, const DataIdentity&) = default;
};

// Whether two hashes are of the same data: "of names and sizes-of contents", or of earlier versions
// without the contents.
bool same_data(const std::string& then, const std::string& now);

// On what the bits of a result depend beside configuration and data.
struct Environment {
  std::string code_version, mpi, hdf5, onednn;
  int64_t ranks = 1;
  int64_t threads = 1;
  std::string device = "cpu device";  // Device::description()
  std::string instruction_set, precision;
  friend bool operator==(const Environment&, const Environment&) = default;
};

// "ranks were 2 and are 4, ...": what differs, in one line, or "" when nothing does. A continued
// run is bit-equal to an uninterrupted one only when nothing does.
std::string environment_differences(const Environment& then, const Environment& now);

struct CheckpointInfo {
  int64_t step = 0;      // steps done
  int64_t epoch = 0;     // epochs done
  int64_t position = 0;  // samples of the first stream consumed since the start of the run
  // How many rows of each stream the steps take and took, from which the positions of all follow.
  // Empty where that is not known: in a fine-tuned model, and where no step was done.
  BatchTable batches;
  std::vector<std::string> streams;  // names of those behind the first
  int64_t seed = 0;
  bool finished = false;  // the run had reached its end
  // Whether what layers draw is a function of the sample. Before, it was one of the row's place in
  // the batch, which made results depend on the number of ranks; a run continued from such a
  // checkpoint goes on with other draws.
  bool draws_by_sample = true;
  std::optional<double> score;  // what "best" compares; lower is better
  std::string configuration;    // resolved, as TOML
  Environment environment;
  std::vector<DataIdentity> data;
  MetricsTable metrics;
};

struct StoredTensor {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  int64_t part = 0;
  int64_t offset = 0;  // of the first byte in the part; 0 for a tensor without elements
  int64_t bytes = 0;
  uint32_t crc32 = 0;
};

// One part-NNN.h5 as written; what the manifest says about it.
struct StoredPart {
  std::string file;
  int64_t bytes = 0;
  uint32_t crc32 = 0;
  std::vector<StoredTensor> tensors;
};

// A checkpoint on disk.
struct Checkpoint {
  std::filesystem::path folder;
  CheckpointInfo info;
  std::vector<StoredPart> parts;

  // The tensor, or null.
  const StoredTensor* find(std::string_view name) const;
  std::vector<StoredTensor> tensors() const;  // of all parts
  // Those of the parts, as text: equal for equal checkpoints, wherever they lie.
  std::string checksums() const;
};

// ---- Writing -----------------------------------------------------------------------------------

std::filesystem::path checkpoint_folder(const std::filesystem::path& run, int64_t step);

// The steps of a run's checkpoints that have a manifest, growing; whether they are good is not
// looked at.
std::vector<int64_t> complete_checkpoints(const std::filesystem::path& run);
// "step 120", of the newest.
std::string newest_checkpoint_text(const std::filesystem::path& run);

// Moves a checkpoint out of the way, as unusable-step-...; what has that name already gets a
// number.
void set_aside_checkpoint(const std::filesystem::path& run, int64_t step);

// Writes part number `index` of a checkpoint: the tensors that this writer owns, whole, in memory
// that the host reads. The folder exists. Error no_space or bad_input when it cannot be written;
// then the part is not there.
StoredPart write_part(const std::filesystem::path& folder, int64_t index,
                      const CheckpointInfo& info, std::span<const NamedTensor> tensors);

// Writes the manifest, which makes the checkpoint count; after all parts are written.
void write_manifest(const std::filesystem::path& folder, const CheckpointInfo& info,
                    std::span<const StoredPart> parts);

// Writes checkpoints of one part beside the training, one at a time.
class CheckpointWriter {
 public:
  struct Keep {
    int64_t last = 3;  // at least 1
    bool best = true;  // and the one with the lowest score
  };
  // `continued_from` is the step of the checkpoint from which the run continues, 0 for none: what
  // lies behind it is not usable (incomplete, or its checksums disagree) and is removed, or moved
  // aside as unusable-step-...
  CheckpointWriter(std::filesystem::path run, Keep keep, int64_t continued_from = 0);
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;
  ~CheckpointWriter();  // waits; an error is lost here, so wait() before

  // Orders a copy of the tensors, as what was started before leaves them, and returns; it is
  // written meanwhile. All tensors lie on one device, which outlives the writer, or in the host's
  // memory. Waits for the write before it and throws its error: no_space or bad_input, the
  // checkpoints before intact, nothing half-written left.
  void start(CheckpointInfo info, std::span<const NamedTensor> tensors);
  // Returns when what was started is on the disk, or throws its error.
  void wait();
  // How long the last write took; 0 before the first has ended.
  double seconds() const { return seconds_; }

 private:
  struct Kept {
    int64_t step = 0;
    std::optional<double> score;
  };
  void clear_behind(int64_t step);
  void take_snapshot(std::span<const NamedTensor> tensors);
  void write(const CheckpointInfo& info);
  void remove_superseded();

  std::filesystem::path run_;
  Keep keep_;
  std::vector<Kept> kept_;  // by step
  std::unique_ptr<Downloads>
      snapshot_;  // of the tensors' device, kept from one checkpoint to the next
  std::vector<NamedTensor> tensors_;  // pointing into its memory
  std::thread thread_;
  std::exception_ptr error_;
  std::atomic<double> seconds_ = 0;
};

// ---- Reading -----------------------------------------------------------------------------------

// Reads the manifest. bad_input, with the reason, when there is none or it is damaged.
Checkpoint read_checkpoint(const std::filesystem::path& folder);

// Reads all parts and compares sizes and checksums; bad_input names the first that disagrees.
void verify_checkpoint(const Checkpoint& checkpoint);

// Where a warning goes: one sentence.
using Warn = std::function<void(const std::string&)>;

// The checkpoint of a run that `which` asks for: "last", "best" (lowest score), or a step. One that
// is incomplete or damaged is passed over, with a warning, for the next older (or next best) one;
// none when there is no usable one. A given step that is not there or damaged is bad_input;
// Unreadable (durable_file.h) is none that is damaged, and ends the search. Called by one rank; the
// others read_checkpoint() its folder.
std::optional<Checkpoint> find_checkpoint(const std::filesystem::path& run, std::string_view which,
                                          const Warn& warn);

enum class Match {
  all,     // the checkpoint holds these tensors and no others
  subset,  // the checkpoint may hold others
};

// Loads tensors, each with its checksum. Before any is loaded all names, shapes and dtypes are
// compared: bad_input with both values when the checkpoint is of another network.
void load_tensors(const Checkpoint& checkpoint, std::span<const TensorTarget> targets, Match match);

}  // namespace lacuna
