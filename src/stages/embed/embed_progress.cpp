#include "stages/embed/embed_progress.h"

#include <sstream>

#include "base/error.h"

namespace lacuna {

namespace {

constexpr int most_ranks = 1 << 20;

bool fits(const EmbedProgress& progress, int64_t samples) {
  int64_t left = progress.ranges.empty() ? samples : 0, last = 0;
  for (const SampleRange& range : progress.ranges) {
    if (range.first < last || range.end <= range.first || range.end > samples) return false;
    left += range.end - range.first;
    last = range.end;
  }
  return progress.ranks >= 1 && progress.ranks <= most_ranks && progress.position >= 0 &&
         progress.position <= left;
}

}  // namespace

std::string text_of(const EmbedProgress& progress) {
  std::string text = concat("ranks ", progress.ranks, " position ", progress.position, " samples");
  for (const SampleRange& range : progress.ranges) text += concat(" ", range.first, " ", range.end);
  return text;
}

std::optional<EmbedProgress> progress_in(const std::string& line) {
  std::istringstream text(line);
  std::string word;
  EmbedProgress progress{.ranks = 0};
  text >> word >> progress.ranks >> word >> progress.position >> word;
  if (!text) return std::nullopt;
  for (SampleRange range; text >> range.first >> range.end;) progress.ranges.push_back(range);
  return progress;
}

EmbedProgress read_progress(const std::string& line, int64_t samples, const std::string& out) {
  const std::optional<EmbedProgress> progress = progress_in(line);
  if (!progress || !fits(*progress, samples))
    bad_input(out, ".progress says what cannot be of ", samples,
              " samples: remove it, then the same command starts anew");
  return *progress;
}

}  // namespace lacuna
