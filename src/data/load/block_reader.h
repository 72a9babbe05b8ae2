// BlockReader: blocks of a Dataset from the files into memory.
//
// start() belongs to one thread at a time (the one that calls HDF5): it opens files, asks the
// library where the chunks lie, and returns what is left to do as tasks, which any threads may run
// in any order: pread, undo the filters, put in place. Only what is safe is read so: allocated
// chunks, no filter skipped, known filters, one plain file. Everything else start() reads through
// the library.
//
// HDF5 1.10 tells addresses without the user block (a MATLAB file has one), so the first block of
// every file and field is read both ways and compared, with and without the user block; a file
// where neither agrees is left to the library.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/host_tensor.h"
#include "data/files/dataset.h"
#include "data/files/decode.h"
#include "data/load/local_copies.h"

namespace lacuna {

// The rows of one block in memory: field f is [rows] + its sample's shape, in native byte order.
struct BlockRows {
  std::vector<HostTensor> fields;
};

// Working memory of one thread that runs tasks.
struct ReadScratch {
  ChunkDecoder decoder;
  std::vector<std::byte> stored, decoded;
};

class BlockReader {
 public:
  // Part of one field of one block.
  class Task {
   public:
    // Error bad_input for a file that ends early or a damaged chunk.
    void run(ReadScratch& scratch) const;

   private:
    friend class BlockReader;
    struct Piece {
      uint64_t offset = 0;  // in the file
      uint64_t stored = 0;  // bytes there
      Shape origin;         // in the block
    };
    void run_piece(const Piece& piece, ReadScratch& scratch) const;
    std::shared_ptr<const class FileDescriptor> descriptor_;
    const std::string* path_ = nullptr;
    const Field* field_ = nullptr;
    const FieldStorage* storage_ = nullptr;
    int64_t row_ = 0;  // of the block in the file
    HostTensor* to_ = nullptr;
    std::vector<Piece> pieces_;
  };

  // cache_bytes: decoded chunks of small fields whose chunks are not the blocks, over all files.
  // copies: where to read what has one; outlives the reader.
  explicit BlockReader(const Dataset& dataset, int64_t cache_bytes = 16 << 20,
                       LocalCopies* copies = nullptr);
  ~BlockReader();
  BlockReader(const BlockReader&) = delete;
  BlockReader& operator=(const BlockReader&) = delete;

  // Returns the tasks that fill `to`, which must stay where it is until they ran. Its memory is
  // allocated, or used again where it has the shapes of this block (of the same data set).
  // bad_input where a file was replaced or written to since it was indexed.
  std::vector<Task> start(int64_t block, BlockRows& to);
  // To be called when all tasks of a block have run: bad_values, with file and row, for a NaN or an
  // infinity. Thread-safe.
  void finish(int64_t block, const BlockRows& rows) const;
  // All of it, on `threads` threads (OpenMP).
  BlockRows read(int64_t block, int threads = 1);

  // Whether the file's field is read without the library, as found so far; for tests and messages.
  enum class Way : int8_t { unknown, direct, direct_behind_user_block, library };
  Way way(int file, int field) const;

 private:
  struct OpenFile;
  OpenFile& open(int file);
  void check_unchanged(int file) const;
  std::vector<Task> tasks_of(OpenFile& open, const Block& block, int field, uint64_t shift,
                             HostTensor& to, bool& possible);
  void read_by_library(OpenFile& open, const Block& block, int field, HostTensor& to);
  void verify(OpenFile& open, const Block& block, int field, const HostTensor& truth);

  const Dataset& dataset_;
  int64_t cache_bytes_;
  LocalCopies* copies_;
  std::vector<std::vector<Way>> ways_;           // file, field
  std::vector<std::unique_ptr<OpenFile>> open_;  // most recently used last
};

// Bytes of decoded chunks that the library keeps of a field of one file, where it reads it: its
// share of the reader's.
int64_t chunk_cache_bytes(const Dataset& dataset, const DataFile& file, const Field& field,
                          int64_t cache_bytes);

// Runs all tasks on `threads` threads; the first error is thrown when all have ended.
void run_tasks(const std::vector<BlockReader::Task>& tasks, int threads);

}  // namespace lacuna
