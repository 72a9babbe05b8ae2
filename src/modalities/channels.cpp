#include "modalities/channels.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace lacuna {

namespace {

[[noreturn]] void ask(const std::string& path, const Shape& shape) {
  bad_input("samples of ", path, " have the shape ", shape,
            ", from which it does not follow whether the first or the last axis is the channels': ",
            "set data.channels to \"first\" or to \"last\"");
}

bool is_told(const ChannelHints& hints, int64_t length) {
  return length > 1 && (length == hints.given || std::find(hints.lists.begin(), hints.lists.end(),
                                                           length) != hints.lists.end());
}

// The end axis whose length is told, if the other one's is not.
std::optional<Channels> told_channels(const ChannelHints& hints) {
  const bool first = is_told(hints, hints.shape[0]), last = is_told(hints, hints.shape[-1]);
  if (first == last) return std::nullopt;
  return first ? Channels::first : Channels::last;
}

}  // namespace

Channels image_channels(const ChannelHints& hints) {
  const Shape& shape = hints.shape;
  if (shape.rank() <= 2) return Channels::none;
  if (shape.rank() > 3) return Channels::last;  // which is refused
  if (const auto told = told_channels(hints)) return *told;
  constexpr int64_t most_channels = 4;
  const auto plausible = [&](int64_t channels, int64_t height, int64_t width) {
    return channels <= most_channels && 2 * channels <= std::min(height, width);
  };
  const bool first = plausible(shape[0], shape[1], shape[2]);
  const bool last = plausible(shape[2], shape[0], shape[1]);
  if (first == last) ask(hints.path, shape);
  return first ? Channels::first : Channels::last;
}

Channels signal_channels(const ChannelHints& hints) {
  const Shape& shape = hints.shape;
  if (shape.rank() == 2) {
    if (const auto told = told_channels(hints)) return *told;
    if (2 * std::min(shape[0], shape[1]) > std::max(shape[0], shape[1])) ask(hints.path, shape);
  }
  return shorter_axis(shape);
}

Channels shorter_axis(const Shape& stored) {
  if (stored.rank() < 2) return Channels::none;
  if (stored.rank() > 2) return Channels::last;  // which is refused
  const int64_t first = stored[0], last = stored[-1];
  if (2 * std::min(first, last) > std::max(first, last)) ask("the run", stored);
  return first < last ? Channels::first : Channels::last;
}

std::vector<std::string> doubts_of_axes(const Dataset& dataset,
                                        const Configuration& configuration) {
  std::vector<std::string> doubts;
  const SampleLayout& layout = dataset.layout();
  const bool plain = layout.leading == 1 && !layout.last && !layout.has_extents();
  if (!plain || configuration.is_set("data.samples")) return doubts;
  const Field& field = dataset.fields()[0];
  const DataFile& first = dataset.files()[0];
  if (!first.fields[0].members.empty()) return doubts;
  const bool table = configuration.is("data.kind", "vector");
  const auto files = static_cast<int64_t>(dataset.files().size());
  constexpr int64_t few = 512;
  const bool alike =
      std::all_of(dataset.files().begin(), dataset.files().end(),
                  [&](const DataFile& file) { return file.samples() == first.samples(); });
  if (!table && files > 1 && alike && first.samples() > 1 && first.samples() <= few &&
      field.shape.rank() <= 2) {
    doubts.push_back(concat("each of the ", files, " files has ", first.samples(), " rows of ",
                            field.path, ", read as as many samples: if a file is one sample, set ",
                            "data.samples = \"file\""));
    return doubts;
  }
  const auto edges = field.shape.sizes();
  if (!table && files == 1 && field.shape.rank() >= 2 && first.samples() > 4 &&
      std::find(edges.begin(), edges.end(), first.samples()) != edges.end()) {
    doubts.push_back(concat("there are as many samples as they have on an edge, ", first.samples(),
                            ": if they lie along the last axis of ", field.path,
                            ", set data.samples = \"last\"; if it is as meant, to \"first\""));
  }
  return doubts;
}

}  // namespace lacuna
