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
#include "data/load/recipe.h"

namespace lacuna {

// The rows of one block in memory, in native byte order.
class BlockRows {
 public:
  // Of each field: [entries of the stored first axis] + the shape behind it, which are rows one
  // behind the other; they may begin before the block's first row and end behind its last.
  std::vector<HostTensor> fields;

  // Where sample i of the block lies in a field.
  Extent extent(size_t field, int64_t sample) const {
    const Rows& rows = rows_[field];
    const RowRange range = rows.of_sample.empty() ? RowRange{rows.skipped + sample, 1}
                                                  : rows.of_sample[static_cast<size_t>(sample)];
    return {static_cast<const std::byte*>(fields[field].data()) + range.first * rows.row_bytes,
            range.count};
  }
  // Its rows, counted from the file's first.
  RowRange in_file(size_t field, int64_t sample) const {
    const Rows& rows = rows_[field];
    if (rows.of_sample.empty()) return {rows.first + rows.skipped + sample, 1};
    const RowRange& range = rows.of_sample[static_cast<size_t>(sample)];
    return {rows.first + range.first, range.count};
  }
  // The rows that its samples are, each once, counted from the tensor's first; not those between
  // samples that nobody is.
  std::vector<RowRange> pieces(size_t field) const;
  // The rows that the block's samples are, all together, counted from the tensor's first.
  RowRange rows(size_t field) const { return rows_[field].of_block; }
  // Row 0 of the tensor, counted from the file's first.
  int64_t first_row(size_t field) const { return rows_[field].first; }
  int64_t bytes() const;

 private:
  friend class BlockReader;
  HostTensor
      stored_;  // of the samples before decode(), where they are not stored as they are meant
  struct Rows {
    int64_t first = 0, row_bytes = 1;
    int64_t skipped = 0;              // the first sample's row in the tensor
    RowRange of_block;                // in the tensor
    std::vector<RowRange> of_sample;  // in the tensor; empty where each sample is one row
  };
  std::vector<Rows> rows_;
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
    int64_t entry_ = 0;  // of the file's first axis, the first that is read
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
  // To be called when all tasks of a block have run, once: the numbers of its samples become what
  // they mean. Thread-safe for different blocks.
  void decode(int64_t block, BlockRows& rows) const;
  // decode(), then bad_values, with file and row, for a NaN or an infinity where none may be.
  void finish(int64_t block, BlockRows& rows) const;
  // All of it, on `threads` threads (OpenMP).
  BlockRows read(int64_t block, int threads = 1);

  // Whether the file's field is read without the library, as found so far; for tests and messages.
  enum class Way : int8_t { unknown, direct, direct_behind_user_block, library };
  Way way(int file, int field) const;

 private:
  struct OpenFile;
  OpenFile& open(int file);
  void check_unchanged(int file) const;
  // What is read of a field of one file: entries of its first axis.
  struct Wanted {
    int file = 0, field = 0;
    int64_t first = 0, count = 0;
    bool direct_chunks = false;  // whether chunks may be read one by one
  };
  std::vector<RowRange> read_offsets(OpenFile& open, const Block& block) const;
  Wanted place_rows(OpenFile& open, const Block& block, int field, BlockRows& to) const;
  std::vector<Task> tasks_of(OpenFile& open, const Wanted& wanted, uint64_t shift, HostTensor& to,
                             bool& possible);
  void read_by_library(OpenFile& open, const Wanted& wanted, HostTensor& to);
  void verify(OpenFile& open, const Wanted& wanted, const HostTensor& truth);
  bool decodes(int file, size_t field) const;
  void hide_invalid_numbers(BlockRows& rows) const;
  [[noreturn]] void refuse_number(const Block& block, size_t field, int64_t row) const;

  const Dataset& dataset_;
  int64_t cache_bytes_;
  LocalCopies* copies_;
  std::vector<std::vector<Way>> ways_;           // file, field
  std::vector<std::unique_ptr<OpenFile>> open_;  // most recently used last
};

// Bytes of decoded chunks that the library keeps of a field of one file, where it reads it: its
// share of the reader's.
int64_t chunk_cache_bytes(const Dataset& dataset, const FieldStorage& storage, const Field& field,
                          int64_t cache_bytes);

// Runs all tasks on `threads` threads; the first error is thrown when all have ended.
void run_tasks(const std::vector<BlockReader::Task>& tasks, int threads);

}  // namespace lacuna
