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

Representation representation(const Objective::Network& network, Layer layer) {
  if (layer == Layer::encoder) {
    return {[network](const Fields& fields, Recording& recording) {
              return (*network.encoder)(fields.view(0), recording);
            },
            network.encoder->features()};
  }
  if (network.projector == nullptr) {
    bad_input("this objective has no projector: use --layer encoder");
  }
  return {[network](const Fields& fields, Recording& recording) {
            return (*network.projector)((*network.encoder)(fields.view(0), recording), recording);
          },
          network.projector->out()};
}

Representation pixels(const Shape& sample) {
  return {[](const Fields& fields, Recording&) { return flatten(fields.view(0)); }, sample.count()};
}

HostTensor Embedder::represent(const Batch& batch) {
  const int64_t count = batch.local_count();
  if (count == 0) return HostTensor(DType::f32, {0, features()});
  Recording recording{.communicator = communicator_,
                      .training = false,
                      .compute = compute_.dtype,
                      .parameters = compute_.device->parameter_dtype(),
                      .rows = {count}};
  const Fields fields = fields_of(batch, compute_.dtype);
  executor_.run({cast(representation_.of(fields, recording), DType::f32)});
  HostTensor z = executor_.output(0);
  return representation_.then ? representation_.then(std::move(z)) : std::move(z);
}

void Embedder::embed(const Source& source, const EmbedPass& pass, const Sink& sink) {
  const Dataset& dataset = source.dataset();
  LoaderOptions loading = source.loading(communicator_, compute_.threads);
  loading.batch = pass.batch;
  loading.position = pass.position;
  if (pass.buffer > 0) loading.buffer = pass.buffer;
  Loader loader(dataset, std::make_unique<Sequential>(dataset.block_samples(), pass.ranges),
                source.plain_rows(), loading);
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
