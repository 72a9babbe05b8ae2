// Where the channels of stored samples are, and which axis counts the samples, where the
// configuration leaves it open.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/configuration.h"
#include "data/values/interpretation.h"

namespace lacuna {

// What tells where channels are.
struct ChannelHints {
  const std::string& path;            // of the samples
  const Shape& shape;                 // of one, as stored
  const std::vector<int64_t>& lists;  // Field::lists
  int64_t given = 0;                  // values of data.mean; 0: not given
};

// Of images: none for two axes; of three the end axis that is as long as what is given; or the only
// one that is at most 4 long while the others are twice as long, or that is as long as one of the
// lists while no other is. bad_input, which asks for data.channels, where that is not exactly one.
Channels image_channels(const ChannelHints& hints);

// Of signals: none for one axis; of two that as long as what is given; or the shorter one, where
// the other is twice as long; or that as long as one of the lists. bad_input likewise.
Channels signal_channels(const ChannelHints& hints);

// Of signals, from the shape alone.
Channels shorter_axis(const Shape& stored);

// Signs that another axis counts the samples than was taken, one sentence each: as many rows as
// samples have on an edge, or the same few rows in every file. None where data.samples is set.
std::vector<std::string> doubts_of_axes(const Dataset& dataset, const Configuration& configuration);

}  // namespace lacuna
