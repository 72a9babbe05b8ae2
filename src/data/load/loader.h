// Loader: batches, in the order of a sampler, from a data set, as a recipe makes its rows.
//
// With workers: one thread plans, calls HDF5 and hands out what is to be read; the workers read,
// decompress and make rows, several batches ahead. Without: next() does it all, on `threads`
// threads of OpenMP. The batches are the same either way, for any number of threads.
//
// Memory: decoded blocks stay within three quarters of `buffer`, or what one batch needs at least;
// batches ahead (`prefetch`) come on top of the blocks. Blocks that fit stay for the next epoch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "data/files/dataset.h"
#include "data/load/batch.h"
#include "data/load/local_copies.h"
#include "data/load/recipe.h"
#include "data/order/sampler.h"

namespace lacuna {

struct LoaderOptions {
  int rank = 0, ranks = 1;
  int64_t batch = 1;              // global samples of a batch
  int64_t position = 0;           // where to begin
  int64_t end = Sampler::no_end;  // where to stop, if the sampler does not before
  uint64_t seed = 0;
  int64_t buffer = int64_t{1} << 30;  // bytes
  int workers = 0;
  int threads = 1;                // of next(), without workers
  int prefetch = 2;               // finished batches that wait
  LocalCopies* copies = nullptr;  // of the files, read instead of them; outlives the loader
};

// Of the buffer: decoded chunks that HDF5 keeps for small fields.
inline int64_t chunk_cache_of(int64_t buffer) { return buffer / 16; }
// Of the buffer: decoded blocks.
inline int64_t blocks_of(int64_t buffer) { return buffer / 4 * 3; }

// Seconds summed over threads, since the loader began.
struct LoaderTimes {
  double read = 0;  // from the file system, decompression included
  double make = 0;  // rows: conversion and augmentation
  double wait = 0;  // of next(), for batches that were not ready (without workers: all of it)
};

class Loader {
 public:
  // The data set must outlive the loader.
  Loader(const Dataset& dataset, std::unique_ptr<Sampler> sampler, RecipePointer recipe,
         const LoaderOptions& options);
  ~Loader();

  // The next batch; none behind the end. The last one may be smaller. Errors of any thread are
  // thrown here: bad_input for files that cannot be read, bad_values for NaN and infinity in them.
  std::optional<Batch> next();

  LoaderTimes times() const;

 private:
  class Pipeline;
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace lacuna
