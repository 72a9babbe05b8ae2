// How the loader meets the files: which bytes it reads for those that it uses, what it holds, and
// the h5repack line that mends chunks which do not go with that. From the index alone; nothing is
// read.
#pragma once

#include <string>
#include <vector>

#include "data/files/dataset.h"
#include "data/order/order.h"

namespace lacuna {

// A field whose chunks do not go with the access, in the first file where it is so.
struct UnfitChunks {
  int file = 0, field = 0;
  std::string why;     // "chunks of [256, 4096] are too large to be shuffled well"
  std::string option;  // of h5repack: "-l /x:CHUNK=10x4096"
};

struct AccessPattern {
  // Decoded bytes of the chunks that are read for each byte of the data: edges of chunks that hold
  // no data, and chunks that are read again for each block that needs a part of them.
  double storage = 1;
  double ranks = 1;        // for blocks that several ranks share
  double imbalance = 0;    // OrderCost
  int64_t held_bytes = 0;  // decoded blocks that a rank holds at most
  std::vector<UnfitChunks> unfit;
  double amplification() const { return storage * ranks; }
};

AccessPattern access_pattern(const Dataset& dataset, const OrderSpec& order, int64_t batch,
                             int ranks, int64_t buffer);

// The line that writes the file anew with fit chunks: "h5repack -l /x:CHUNK=10x4096 a.h5 NEW.h5";
// "" where all are fit.
std::string h5repack_line(const Dataset& dataset, const AccessPattern& pattern);

// What to know about reading before the first step: lanes, window, read amplification and
// imbalance, and the h5repack line where chunks are unfit. Lines without newline. `stream`: a
// further stream's name.
std::vector<std::string> reading_lines(const Dataset& dataset, const OrderSpec& order,
                                       const AccessPattern& pattern, int ranks,
                                       const std::string& stream = "");

}  // namespace lacuna
