#include "data/load/streams.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace lacuna {

Stream further_stream(Stream stream) {
  check_stream_name(stream.name);
  stream.order.seed = stream_seed(stream.order.seed, stream.name);
  stream.loading.seed = stream_seed(stream.loading.seed, stream.name);
  stream.order.constant_shares = true;
  return stream;
}

void check_stream_name(const std::string& name) {
  constexpr std::array<std::string_view, 4> facts = {"range", "mean", "std", "lanes"};
  if (std::find(facts.begin(), facts.end(), name) != facts.end())
    bad_input("a stream may not be called \"", name, "\", for a run stores as data.", name,
              " what it found in its data: choose another name");
  const auto is_part = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  if (name.empty() || name[0] < 'a' || name[0] > 'z' ||
      !std::all_of(name.begin(), name.end(), is_part))
    bad_input("a stream may not be called \"", name,
              "\": choose a name of a to z, 0 to 9 and _ that begins with a letter");
}

Streams::Fed::Fed(const Stream& stream, LoaderOptions loading)
    : name(stream.name),
      ranks(loading.ranks),
      counting(stream.order),
      loader(*stream.dataset, std::make_unique<Order>(stream.order), stream.recipe, loading),
      position(loading.position) {}

Streams::Streams(const std::vector<Stream>& streams, const BatchTable& batches,
                 const Steps& steps) {
  const std::vector<int64_t>& rows = batches.rows(steps.first);
  LACUNA_CHECK(streams.size() == rows.size() && rows == batches.rows(steps.end), streams.size(),
               " streams, and rows of ", rows.size());
  for (size_t i = 0; i < streams.size(); ++i) {
    LACUNA_CHECK((i == 0) == streams[i].name.empty() &&
                     (i == 0 || streams[i].order.constant_shares) && rows[i] % steps.parts == 0,
                 "stream ", i, " of ", rows[i], " rows in ", steps.parts, " parts");
    LoaderOptions loading = streams[i].loading;
    loading.batch = rows[i] / steps.parts;
    loading.position = batches.position(steps.first, i);
    loading.end = batches.position(steps.end, i);
    fed_.emplace_back(streams[i], loading);
  }
}

std::vector<Batch> Streams::next() {
  std::vector<Batch> batches;
  for (Fed& fed : fed_) {
    std::optional<Batch> batch = fed.loader.next();
    LACUNA_CHECK(batch.has_value() && batch->position == fed.position, "stream ", fed.name);
    fed.position = batch->next_position();
    batches.push_back(std::move(*batch));
  }
  return batches;
}

std::vector<int64_t> Streams::counts(size_t stream, const Batch& batch) {
  Fed& fed = fed_[stream];
  return fed.counting.counts(batch.position, batch.global_count, fed.ranks);
}

LoaderTimes Streams::times() const {
  LoaderTimes all;
  for (const Fed& fed : fed_) {
    const LoaderTimes times = fed.loader.times();
    all.read += times.read;
    all.make += times.make;
    all.wait += times.wait;
  }
  return all;
}

}  // namespace lacuna
