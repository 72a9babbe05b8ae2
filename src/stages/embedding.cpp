#include "stages/embedding.h"

#include <cstring>
#include <numeric>

#include "comm/agree.h"
#include "data/loader.h"
#include "data/order.h"
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
  return executor_.output(0);
}

void Embedder::embed(const Dataset& dataset, std::shared_ptr<const RowMaker> maker, int64_t batch,
                     int64_t buffer, int workers, const Sink& sink) {
  Loader loader(dataset, std::make_unique<Sequential>(dataset.block_samples()), std::move(maker),
                {.rank = communicator_.rank(),
                 .ranks = communicator_.size(),
                 .batch = batch,
                 .buffer = buffer,
                 .workers = workers,
                 .threads = compute_.threads});
  // Agreed, so that what was begun is taken back on rank 0 whoever fails.
  while (const std::optional<Batch> rows = agreed(communicator_, [&] { return loader.next(); })) {
    const HostTensor z = represent(*rows);
    const bool labelled = rows->has("label");
    const int64_t mine[2] = {rows->local_count(),
                             rows->samples.empty() ? 0 : rows->samples.front()};
    const auto all = gather_rows(
        mine, std::vector<int64_t>(static_cast<size_t>(communicator_.size()), 1), 2, communicator_);
    std::vector<int64_t> counts;
    for (size_t rank = 0; rank < all.size() / 2; ++rank) counts.push_back(all[2 * rank]);
    const auto values =
        gather_rows(static_cast<const float*>(z.data()), counts, features(), communicator_);
    const auto labels = labelled
                            ? gather_rows(static_cast<const int64_t*>(rows->field("label").data()),
                                          counts, 1, communicator_)
                            : std::vector<int64_t>();
    int64_t at = 0;
    for (size_t rank = 0; rank < counts.size(); ++rank) {
      if (counts[rank] > 0) {
        sink({.first = all[2 * rank + 1],
              .count = counts[rank],
              .z = values.data() + at * features(),
              .labels = labelled ? labels.data() + at : nullptr});
      }
      at += counts[rank];
    }
  }
}

Features embed_features(Embedder& embedder, const Dataset& dataset,
                        std::shared_ptr<const RowMaker> maker, int64_t buffer, int workers) {
  constexpr int64_t batch = 512;
  Features features{HostTensor(DType::f32, {dataset.samples(), embedder.features()}),
                    std::vector<int64_t>(static_cast<size_t>(dataset.samples()))};
  embedder.embed(dataset, std::move(maker), batch, buffer, workers, [&](const EmbeddedRows& rows) {
    LACUNA_CHECK(rows.labels != nullptr);
    const auto d = static_cast<size_t>(embedder.features());
    std::memcpy(features.values.as<float>().data() + static_cast<size_t>(rows.first) * d, rows.z,
                static_cast<size_t>(rows.count) * d * sizeof(float));
    std::memcpy(features.labels.data() + rows.first, rows.labels,
                static_cast<size_t>(rows.count) * sizeof(int64_t));
  });
  return features;
}

}  // namespace lacuna
