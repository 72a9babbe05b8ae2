#include "run/checkpoint.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "io/durable_file.h"
#include "run/checkpoint_folders.h"

namespace lacuna {

namespace fs = std::filesystem;

namespace {

Checkpoint read_and_verify(const fs::path& run, int64_t step) {
  Checkpoint checkpoint = read_checkpoint(checkpoint_folder(run, step));
  verify_checkpoint(checkpoint);
  return checkpoint;
}

// The steps in the order in which they are to be tried: the newest first, or the best first.
std::vector<int64_t> candidates(const fs::path& run, bool by_score) {
  std::vector<int64_t> steps = checkpoint_steps(run);
  std::reverse(steps.begin(), steps.end());
  if (!by_score) return steps;
  std::vector<std::pair<double, int64_t>> scored;
  for (const int64_t step : steps) {
    try {
      const CheckpointInfo info = read_checkpoint(checkpoint_folder(run, step)).info;
      if (info.score) scored.emplace_back(*info.score, step);
    } catch (const Unreadable&) {
      throw;
    } catch (const Error&) {
      // Its score is unknown; one that can be read is preferred.
    }
  }
  std::stable_sort(scored.begin(), scored.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  steps.clear();
  for (const auto& [score, step] : scored) steps.push_back(step);
  return steps;
}

Checkpoint given_step(const fs::path& run, int64_t step) {
  std::vector<std::string> there;
  for (const int64_t each : checkpoint_steps(run)) {
    if (each == step) return read_and_verify(run, step);
    there.push_back(std::to_string(each));
  }
  bad_input(run.string(), " has no checkpoint of step ", step, there.empty() ? "" : "; it has ",
            join(there));
}

std::string tensor_text(DType dtype, const Shape& shape) {
  return concat(name_of(dtype), " ", shape);
}

// From the whole tensor's bytes what of it is wanted.
void copy_wanted(const std::vector<std::byte>& whole, const TensorTarget& target) {
  const size_t element = size_of(target.dtype);
  const std::byte* from = whole.data();
  size_t bytes = whole.size();
  if (target.part) {
    from += static_cast<size_t>(target.part->first) * element;
    bytes = static_cast<size_t>(target.part->count) * element;
  }
  if (bytes == 0) return;
  if (target.device != nullptr)
    target.device->copy_in(target.data, from, bytes);
  else
    std::memcpy(target.data, from, bytes);
}

}  // namespace

std::optional<Checkpoint> find_checkpoint(const fs::path& run, std::string_view which,
                                          const Warn& warn) {
  if (const auto step = step_from(which)) return given_step(run, *step);
  if (which != "last" && which != "best")
    bad_input("a checkpoint is chosen by last, best or a step, not by '", which, "'");
  const std::vector<int64_t> steps = candidates(run, which == "best");
  for (const int64_t step : steps) {
    try {
      return read_and_verify(run, step);
    } catch (const Unreadable&) {
      throw;
    } catch (const Error& error) {
      warn(concat("checkpoint ", step, " is not used, ",
                  step == steps.back() ? "and no other is left: " : "trying the one before it: ",
                  error.what()));
    }
  }
  return std::nullopt;
}

void load_tensors(const Checkpoint& checkpoint, std::span<const TensorTarget> targets,
                  Match match) {
  std::map<std::string_view, const StoredTensor*> stored;
  for (const StoredPart& part : checkpoint.parts)
    for (const StoredTensor& tensor : part.tensors) stored[tensor.name] = &tensor;

  std::vector<std::pair<const StoredTensor*, const TensorTarget*>> pairs;
  std::vector<std::string> differences;
  for (const TensorTarget& target : targets) {
    const auto found = stored.find(target.name);
    if (found == stored.end()) {
      differences.push_back(concat(target.name, " is absent there and ",
                                   tensor_text(target.dtype, target.shape), " here"));
      continue;
    }
    const StoredTensor& tensor = *found->second;
    if (tensor.dtype != target.dtype || tensor.shape != target.shape)
      differences.push_back(concat(target.name, " is ", tensor_text(tensor.dtype, tensor.shape),
                                   " there and ", tensor_text(target.dtype, target.shape),
                                   " here"));
    pairs.emplace_back(&tensor, &target);
    stored.erase(found);
  }
  if (match == Match::all)
    for (const auto& [name, tensor] : stored)
      differences.push_back(concat(name, " is ", tensor_text(tensor->dtype, tensor->shape),
                                   " there and absent here"));
  if (!differences.empty())
    bad_input(
        "checkpoint ", checkpoint.folder.string(), " is of another network: ", differences[0],
        differences.size() > 1 ? concat(", and ", differences.size() - 1, " more differ") : "",
        "; use the configuration that it was made with, or another checkpoint");

  std::vector<std::byte> copy;  // of a tensor on its way to a device
  for (size_t i = 0; i < checkpoint.parts.size(); ++i) {
    const fs::path path = checkpoint.folder / checkpoint.parts[i].file;
    const ReadableFile file(path);
    for (const auto& [tensor, target] : pairs) {
      if (tensor->part != static_cast<int64_t>(i)) continue;
      const auto bytes = static_cast<size_t>(tensor->bytes);
      LACUNA_CHECK(bytes == static_cast<size_t>(target->shape.count()) * size_of(target->dtype));
      const bool on_host = target->device == nullptr || target->device->reads_host_memory();
      const bool direct = on_host && !target->part;
      if (!direct) copy.resize(bytes);
      void* to = direct ? target->data : copy.data();
      file.read(static_cast<uint64_t>(tensor->offset), to, bytes);
      if (crc32_of(to, bytes) != tensor->crc32)
        bad_input(path.string(), " is damaged: tensor ", tensor->name,
                  " disagrees with its checksum; use another checkpoint");
      if (!direct) copy_wanted(copy, *target);
    }
  }
}

}  // namespace lacuna
