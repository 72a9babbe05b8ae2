// Streams: what feeds the steps of a training. A step takes rows of one stream or of several, each
// a data set in an order of its own. An epoch is the first stream's; others run on through theirs.
// The first is dealt to ranks by lanes, the others in constant shares (data/order/order.h), and all
// that is drawn for these follows from their names too (stream_seed).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "data/files/dataset.h"
#include "data/load/batch.h"
#include "data/load/loader.h"
#include "data/load/recipe.h"
#include "data/order/batch_table.h"
#include "data/order/order.h"

namespace lacuna {

struct Stream {
  std::string name;                  // "" of the first
  const Dataset* dataset = nullptr;  // outlives the streams
  OrderSpec order;
  RecipePointer recipe;
  LoaderOptions loading;  // everything but batch and positions
};

// A further stream as it is dealt and drawn: of the order and the loading of a run's seed.
Stream further_stream(Stream stream);

// bad_input unless a further stream may have this name: of a to z, 0 to 9 and _, beginning with a
// letter, and not range, mean, std or lanes, which as "data.range" name what a run found in its
// data.
void check_stream_name(const std::string& name);

class Streams {
 public:
  // Steps that are to be fed, each in as many parts.
  struct Steps {
    int64_t first = 0, end = 0;
    int64_t parts = 1;
  };
  // The first of `streams` is the run's; others are as further_stream() makes them. `batches` has
  // the rows of all, from which every stream's position follows, and holds from the first step on.
  Streams(const std::vector<Stream>& streams, const BatchTable& batches, const Steps& steps);

  size_t size() const { return fed_.size(); }
  const std::string& name(size_t stream) const { return fed_[stream].name; }
  // The next part of a step: a batch of each stream. There is one left.
  std::vector<Batch> next();
  // How many of the batch's rows each rank holds.
  std::vector<int64_t> counts(size_t stream, const Batch& batch);
  LoaderTimes times() const;  // of all

 private:
  struct Fed {
    Fed(const Stream& stream, LoaderOptions loading);
    std::string name;
    int ranks;
    Order counting;
    Loader loader;
    int64_t position;  // of the next batch
  };
  std::deque<Fed> fed_;
};

}  // namespace lacuna
