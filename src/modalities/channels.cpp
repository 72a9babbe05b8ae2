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

// The end axis that is as long as what is given, if the other one is not.
std::optional<Channels> given_channels(const ChannelHints& hints) {
  const bool first = hints.shape[0] == hints.given, last = hints.shape[-1] == hints.given;
  if (hints.given == 0 || first == last) return std::nullopt;
  return first ? Channels::first : Channels::last;
}

// Whether a list is as long as this axis, and no other axis is.
bool is_listed(const ChannelHints& hints, int axis) {
  const int64_t length = hints.shape[axis];
  const auto axes = hints.shape.sizes();
  return length > 1 && std::count(axes.begin(), axes.end(), length) == 1 &&
         std::find(hints.lists.begin(), hints.lists.end(), length) != hints.lists.end();
}

}  // namespace

Channels image_channels(const ChannelHints& hints) {
  const Shape& shape = hints.shape;
  if (shape.rank() <= 2) return Channels::none;
  if (shape.rank() > 3) return Channels::last;  // which is refused
  if (const auto given = given_channels(hints)) return *given;
  constexpr int64_t most_channels = 4;
  const auto is_short = [&](int64_t channels, int64_t height, int64_t width) {
    return channels <= most_channels && 2 * channels <= std::min(height, width);
  };
  const bool first = is_short(shape[0], shape[1], shape[2]) || is_listed(hints, 0);
  const bool last = is_short(shape[2], shape[0], shape[1]) || is_listed(hints, 2);
  if (first == last) ask(hints.path, shape);
  return first ? Channels::first : Channels::last;
}

Channels signal_channels(const ChannelHints& hints) {
  const Shape& shape = hints.shape;
  const bool clear =
      shape.rank() != 2 || 2 * std::min(shape[0], shape[1]) <= std::max(shape[0], shape[1]);
  if (shape.rank() == 2) {
    if (const auto given = given_channels(hints)) return *given;
    const bool first = is_listed(hints, 0), last = is_listed(hints, 1);
    if (!clear && first != last) return first ? Channels::first : Channels::last;
  }
  if (!clear) ask(hints.path, shape);
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
