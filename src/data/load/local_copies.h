// Copies of a data set's files on a disk of this node (data.stage), made in the background by the
// node's ranks together, while they read the originals; each file is read from its copy once that
// is whole.
//
//   FOLDER/lacuna-<of the run>-<fingerprint of the data>/<number of the file>.h5
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "data/files/dataset.h"

namespace lacuna {

class LocalCopies {
 public:
  // Of the ranks on this node, which one this is: file k is copied by rank k mod `ranks`.
  struct Share {
    int rank = 0, ranks = 1;
  };

  using Warn = std::function<void(const std::string&)>;
  // Begins to copy. The data set must outlive it. `run`: a name of its own, since another run may
  // use the folder too. `warn` is called, by another thread, when the folder takes no more: then
  // what is not copied is read from where it is.
  LocalCopies(const Dataset& dataset, const std::filesystem::path& folder, const std::string& run,
              Share share, Warn warn);
  // Stops, and removes this rank's copies.
  ~LocalCopies();
  LocalCopies(const LocalCopies&) = delete;
  LocalCopies& operator=(const LocalCopies&) = delete;

  // Where a file is to be read now. Of the thread that reads.
  const std::string& path(int file);
  // Whether all files are there; for tests and messages.
  bool is_complete();

 private:
  void copy_all();
  // False when it was told to stop.
  bool copy(size_t file);

  const Dataset& dataset_;
  std::filesystem::path folder_;
  Share share_;
  Warn warn_;
  std::vector<std::string> copies_;  // by file: where its copy is, or will be
  std::vector<bool> there_;          // by file, as path() has found so far
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace lacuna
