#include "stages/embed/embedding.h"

#include <cstring>
#include <numeric>

#include "comm/agree.h"
#include "data/load/loader.h"
#include "ops/elementwise.h"
#include "ops/shape.h"
#include "train/loop.h"

namespace lacuna {

namespace {

// The local rows of every rank one behind the other, with where each rank's begin.
template <typename T>
std::vector<T> gather_rows(const T* mine, const std::vector<int64_t>& counts, int64_t width,
                           Communicator& communicator) {
  std::vector<size_t> bytes;
  for (const int64_t count : counts)
    bytes.push_back(static_cast<size_t>(count * width) * sizeof(T));
  std::vector<T> all(std::accumulate(bytes.begin(), bytes.end(), size_t{0}) / sizeof(T));
  communicator.all_gather(mine, all.data(), bytes).wait();
  return all;
}

}  // namespace

Output own_values() {
  return {"values", [](const Fields& fields, ForwardContext&) { return flatten(fields.view(0)); }};
}

Embedder::Embedder(Output output, const Modality& modality, Compute& compute,
                   Communicator& communicator, FurtherStep further)
    : output_(std::move(output)),
      compute_(compute),
      communicator_(communicator),
      executor_(*compute.device),
      further_(std::move(further)) {
  if (further_.make) {
    shape_ = {further_.features};
    return;
  }
  // One recording of a row without values tells the shape.
  const Fields fields = empty_fields(modality.plain()->outputs(), 1, compute.dtype);
  ForwardContext forward = evaluation(1);
  shape_ = output_.of(fields, forward).shape().from(1);
}

ForwardContext Embedder::evaluation(int64_t rows) const {
  return {.communicator = communicator_,
          .training = false,
          .compute = compute_.dtype,
          .parameters = compute_.device->parameter_dtype(),
          .rows = {rows}};
}

HostTensor Embedder::represent(const Batch& batch) {
  const int64_t count = batch.local_count();
  if (count == 0) return HostTensor(DType::f32, {0, features()});
  ForwardContext forward = evaluation(count);
  executor_.run({cast(output_.of(fields_of(batch, compute_.dtype), forward), DType::f32)});
  HostTensor z = executor_.output(0);
  return further_.make ? further_.make(std::move(z)) : std::move(z);
}

void Embedder::embed(const Source& source, const EmbedPass& pass, const Sink& sink) {
  const Dataset& dataset = source.dataset();
  LoaderOptions loading = source.loading(communicator_, compute_.threads);
  loading.batch = pass.batch;
  loading.position = pass.position;
  if (pass.buffer > 0) loading.buffer = pass.buffer;
  Loader loader(dataset, std::make_unique<Sequential>(dataset.block_samples(), pass.ranges),
                source.plain(), loading);
  // Agreed, so that what was begun is taken back on rank 0 whoever fails.
  while (const std::optional<Batch> rows = agreed(communicator_, [&] { return loader.next(); })) {
    const HostTensor z = represent(*rows);
    const int64_t mine = rows->local_count();
    std::vector<int64_t> counts(static_cast<size_t>(communicator_.size()));
    communicator_.all_gather(&mine, counts.data(), std::vector<size_t>(counts.size(), sizeof mine))
        .wait();
    const auto gather = [&]<typename T>(const T* values, int64_t width) {
      return gather_rows(values, counts, width, communicator_);
    };
    EmbeddedBatch all;
    all.next_position = rows->next_position();
    all.samples = gather(rows->samples.data(), 1);
    all.z = gather(static_cast<const float*>(z.data()), features());
    if (rows->has("label")) {
      all.labels = gather(static_cast<const int64_t*>(rows->field("label").data()), 1);
    }
    if (dataset.has_extents(0)) all.at = gather(rows->at.data(), 1);
    sink(all);
  }
}

HostTensor embed_in_memory(Embedder& embedder, const Source& source, const EarlyStop& early_stop) {
  const auto d = static_cast<size_t>(embedder.features());
  HostTensor all(DType::f32, {source.dataset().samples(), embedder.features()});
  embedder.embed(source, {}, [&](const EmbeddedBatch& batch) {
    for (size_t i = 0; i < batch.samples.size(); ++i) {
      const auto row = static_cast<size_t>(batch.samples[i]);
      std::memcpy(all.as<float>().data() + row * d, batch.z.data() + i * d, d * sizeof(float));
    }
    if (const auto why = early_stop.decide())
      EarlyStop::end(*why, "while it made the representations");
  });
  return all;
}

}  // namespace lacuna
