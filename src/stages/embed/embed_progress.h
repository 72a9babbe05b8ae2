// How far a pass of embed has come: the line of z.h5.progress (docs/formats.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/order/order.h"

namespace lacuna {

struct EmbedProgress {
  int ranks = 1;                         // that have come so far
  int64_t position = 0;                  // of their pass
  std::vector<SampleRange> ranges = {};  // that it goes through; none: all samples
};

std::string text_of(const EmbedProgress& progress);
// What a line says; none when it is no such line.
std::optional<EmbedProgress> progress_in(const std::string& line);

// What such a line says of a data set of so many samples; bad_input, naming the output, when it can
// say nothing of it.
EmbedProgress read_progress(const std::string& line, int64_t samples, const std::string& out);

}  // namespace lacuna
