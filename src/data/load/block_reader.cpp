#include "data/load/block_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <mutex>

#include "base/error.h"
#include "data/files/field_storage.h"
#include "data/files/offsets.h"
#include "data/files/stored_rows.h"
#include "io/hdf5_private.h"

namespace lacuna {

class FileDescriptor {
 public:
  explicit FileDescriptor(const std::string& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) bad_input("cannot open ", path, ": ", std::strerror(errno));
    // Blocks are read whole and in no order: what lies between them is not wanted.
    posix_fadvise(fd_, 0, 0, POSIX_FADV_RANDOM);
  }
  ~FileDescriptor() { ::close(fd_); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;

  // Lets the kernel begin to read.
  void announce(uint64_t offset, uint64_t bytes) const {
    posix_fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(bytes), POSIX_FADV_WILLNEED);
  }
  void read(uint64_t offset, std::byte* to, uint64_t bytes, const std::string& path) const {
    uint64_t done = 0;
    while (done < bytes) {
      const ssize_t got = ::pread(fd_, to + done, bytes - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) bad_input("cannot read ", path, ": ", std::strerror(errno));
      if (got == 0) {
        bad_input(path, " ends at byte ", offset + done, ", ", bytes - done,
                  " bytes early; it was truncated: copy it again");
      }
      done += static_cast<uint64_t>(got);
    }
  }

 private:
  int fd_;
};

struct BlockReader::OpenFile {
  int number = 0;
  std::string path;
  hdf5::File file;
  std::vector<hdf5::Dataset> fields;
  hdf5::Dataset offsets;  // of extents, where they are read with their block
  std::shared_ptr<const FileDescriptor> descriptor;
};

namespace {

constexpr size_t most_open_files = 128;
constexpr uint64_t most_packed = 1032;     // by deflate
constexpr int64_t task_bytes = 256 << 10;  // small chunks are read several by one task

// Copies the part of a chunk that lies inside the block: `chunk` [c0, c1, ...] with its corner at
// `origin` of `block` [b0, b1, ...], which along the first axis may lie before the block.
void place_chunk(const std::byte* chunk, const Shape& chunk_shape, const Shape& origin,
                 std::byte* block, const Shape& block_shape, size_t element_size) {
  const int rank = chunk_shape.rank();
  const int64_t before = std::max<int64_t>(0, -origin[0]);
  Shape size = chunk_shape;
  for (int axis = 0; axis < rank; ++axis) {
    size.set(axis, std::min(chunk_shape[axis], block_shape[axis] - origin[axis]));
  }
  size.set(0, size[0] - before);
  if (size[0] <= 0) return;
  // Trailing axes that are whole on both sides form one run with the axis before them.
  int last = rank - 1;
  while (last > 0 && size[last] == chunk_shape[last] && size[last] == block_shape[last]) --last;
  const auto run = static_cast<size_t>(size.from(last).count()) * element_size;

  Shape at = origin;  // position inside what is copied of the chunk
  for (int axis = 0; axis < rank; ++axis) at.set(axis, 0);
  for (;;) {
    int64_t from = 0, to = 0;
    for (int axis = 0; axis < rank; ++axis) {
      const int64_t in_chunk = at[axis] + (axis == 0 ? before : 0);
      from = from * chunk_shape[axis] + in_chunk;
      to = to * block_shape[axis] + in_chunk + origin[axis];
    }
    std::memcpy(block + static_cast<size_t>(to) * element_size,
                chunk + static_cast<size_t>(from) * element_size, run);
    int axis = last - 1;
    while (axis >= 0 && at[axis] + 1 == size[axis]) at.set(axis--, 0);
    if (axis < 0) return;
    at.set(axis, at[axis] + 1);
  }
}

std::byte* bytes_of(HostTensor& tensor) { return static_cast<std::byte*>(tensor.data()); }

}  // namespace

void BlockReader::Task::run(ReadScratch& scratch) const {
  for (const Piece& piece : pieces_) run_piece(piece, scratch);
}

void BlockReader::Task::run_piece(const Piece& piece, ReadScratch& scratch) const {
  const size_t element = size_of(storage_->dtype);
  const Shape& block = to_->shape();
  const bool swap = storage_->big_endian;
  if (storage_->chunk.rank() == 0) {  // contiguous: straight into place
    std::byte* to = bytes_of(*to_);
    descriptor_->read(piece.offset, to, piece.stored, *path_);
    if (swap) swap_bytes(to, piece.stored / element, element);
    return;
  }
  const auto chunk_bytes = static_cast<size_t>(storage_->chunk.count()) * element;
  const bool in_place = storage_->chunk == block && piece.origin[0] == 0;
  const bool fits = in_place && storage_->filters.empty();
  std::byte* stored = nullptr;
  if (fits) {
    stored = bytes_of(*to_);
  } else {
    if (scratch.stored.size() < piece.stored) scratch.stored.resize(piece.stored);
    stored = scratch.stored.data();
  }
  descriptor_->read(piece.offset, stored, piece.stored, *path_);
  if (fits) {
    if (swap) swap_bytes(stored, chunk_bytes / element, element);
    return;
  }
  std::byte* chunk = stored;
  if (!storage_->filters.empty()) {
    if (!in_place && scratch.decoded.size() < chunk_bytes) scratch.decoded.resize(chunk_bytes);
    chunk = in_place ? bytes_of(*to_) : scratch.decoded.data();
    const std::string problem = scratch.decoder.decode({stored, piece.stored}, storage_->filters,
                                                       element, chunk, chunk_bytes);
    if (!problem.empty()) {
      bad_input("the chunk of row ", entry_ + piece.origin[0], " of ", field_->path, " in ", *path_,
                " is damaged: ", problem, "; copy the file again");
    }
  }
  if (swap) swap_bytes(chunk, chunk_bytes / element, element);
  if (!in_place) place_chunk(chunk, storage_->chunk, piece.origin, bytes_of(*to_), block, element);
}

BlockReader::BlockReader(const Dataset& dataset, int64_t cache_bytes, LocalCopies* copies)
    : dataset_(dataset), cache_bytes_(cache_bytes), copies_(copies) {
  for (const DataFile& file : dataset.files()) {
    std::vector<Way>& ways = ways_.emplace_back();
    for (const FieldStorage& storage : file.fields) {
      ways.push_back(storage.direct ? Way::unknown : Way::library);
    }
  }
}

BlockReader::~BlockReader() = default;

// A run whose samples changed on the way would be nobody's: neither of the old data nor of the new.
void BlockReader::check_unchanged(int number) const {
  const DataFile& file = dataset_.files()[static_cast<size_t>(number)];
  struct stat now {};
  if (::stat(file.path.c_str(), &now) != 0)
    bad_input("cannot look at ", file.path, ": ", std::strerror(errno));
  const auto bytes = static_cast<uint64_t>(now.st_size);
  if (bytes == file.bytes && time_of_change(now) == file.modified) return;
  bad_input(file.path, " was replaced or written to while it was read (it had ", file.bytes,
            " bytes and has ", bytes, "): put the file back as it was and start the same ",
            "command again, or start a new run");
}

BlockReader::Way BlockReader::way(int file, int field) const {
  return ways_[static_cast<size_t>(file)][static_cast<size_t>(field)];
}

BlockReader::OpenFile& BlockReader::open(int number) {
  const DataFile& entry = dataset_.files()[static_cast<size_t>(number)];
  const std::string& path = copies_ == nullptr ? entry.path : copies_->path(number);
  const auto found = std::find_if(open_.begin(), open_.end(),
                                  [&](const auto& file) { return file->number == number; });
  if (found != open_.end()) {
    std::rotate(found, found + 1, open_.end());
    if (open_.back()->path == path) return *open_.back();
    open_.pop_back();  // its copy has become whole
  }
  if (open_.size() >= most_open_files) open_.erase(open_.begin());
  auto opened = std::make_unique<OpenFile>();
  opened->number = number;
  opened->path = path;
  opened->file = hdf5::File::open(path);
  for (size_t f = 0; f < dataset_.fields().size(); ++f) {
    const Field& field = dataset_.fields()[f];
    const FieldStorage& storage = entry.fields[f];
    const int64_t cache = chunk_cache_bytes(dataset_, storage, field, cache_bytes_);
    opened->fields.push_back(open_stored(opened->file, field, storage, cache));
    if (!storage.members.empty()) continue;
    const Shape& stored = opened->fields.back().shape();
    Shape shape = storage.last && stored.rank() > 0 ? last_axis_first(stored) : stored;
    if (storage.complex) shape = with_parts(shape);
    if (shape != storage.shape) {
      bad_input(field.path, " in ", entry.path, " has the shape ", shape, ", but it was ",
                storage.shape, " when the run began; the file was replaced");
    }
  }
  if (!entry.places.known()) opened->offsets = opened->file.dataset(dataset_.layout().offsets);
  opened->descriptor = std::make_shared<const FileDescriptor>(path);
  open_.push_back(std::move(opened));
  return *open_.back();
}

// The rows of each sample of a block, counted from the file's first.
std::vector<RowRange> BlockReader::read_offsets(OpenFile& open, const Block& block) const {
  std::vector<int64_t> offsets(static_cast<size_t>(block.samples) + 1);
  open.offsets.read_rows(block.in_file, block.samples + 1, offsets.data(), DType::i64);
  check_offsets(
      offsets, block.in_file,
      {dataset_.layout().offsets, open.path, dataset_.fields()[0].path, open.fields[0].rows()});
  std::vector<RowRange> ranges;
  for (size_t i = 0; i + 1 < offsets.size(); ++i)
    ranges.push_back({offsets[i], offsets[i + 1] - offsets[i]});
  return ranges;
}

// Where the block's samples lie in a field, and the memory for them.
BlockReader::Wanted BlockReader::place_rows(OpenFile& open, const Block& block, int field,
                                            BlockRows& to) const {
  const auto f = static_cast<size_t>(field);
  const DataFile& file = dataset_.files()[static_cast<size_t>(block.file)];
  const Field& column = dataset_.fields()[f];
  const FieldStorage& storage = file.fields[f];
  const bool extents = dataset_.has_extents(field);
  BlockRows::Rows& rows = to.rows_[f];
  rows = {};
  rows.row_bytes = column.row_bytes();
  RowRange all;
  if (extents && !file.places.known()) {
    rows.of_sample = read_offsets(open, block);
    all = {rows.of_sample.front().first, 0};
    all.count = rows.of_sample.back().end() - all.first;
  } else {
    all = dataset_.rows_of(block, field);
    for (int64_t i = 0; i < block.samples && (extents || column.per_series); ++i)
      rows.of_sample.push_back(dataset_.rows_of(file, field, block.in_file + i));
  }
  Wanted wanted{.file = block.file, .field = field};
  const int64_t per_entry = dataset_.rows_per_entry(file, field);
  if (column.row_axes == 0) {  // all of it is one row
    wanted.count = storage.shape.rank() == 0 ? 1 : storage.shape[0];
  } else {
    wanted.first = all.first / per_entry;
    wanted.count = (all.end() + per_entry - 1) / per_entry - wanted.first;
    rows.first = wanted.first * per_entry;
  }
  for (RowRange& range : rows.of_sample) range.first -= rows.first;
  rows.skipped = all.first - rows.first;
  rows.of_block = {rows.skipped, all.count};
  // Chunks that are not the blocks are a small field's: the library caches them.
  wanted.direct_chunks =
      storage.chunk.rank() > 0 &&
      (extents || column.row_axes == 0 ||
       (!column.per_series && storage.chunk[0] * per_entry == file.block_samples));
  Shape shape = storage.shape;
  if (shape.rank() > 0) shape.set(0, wanted.count);
  HostTensor& values = decodes(block.file, f) ? to.stored_ : to.fields[f];
  if (!values.defined() || values.shape() != shape) values = HostTensor(storage.dtype, shape);
  return wanted;
}

bool BlockReader::decodes(int file, size_t field) const {
  return field == 0 && dataset_.decodes(dataset_.files()[static_cast<size_t>(file)]);
}

// What is to be read of a field without the library; possible = false where the library must.
std::vector<BlockReader::Task> BlockReader::tasks_of(OpenFile& open, const Wanted& wanted,
                                                     uint64_t shift, HostTensor& to,
                                                     bool& possible) {
  const auto f = static_cast<size_t>(wanted.field);
  const DataFile& file = dataset_.files()[static_cast<size_t>(wanted.file)];
  const FieldStorage& storage = file.fields[f];
  const size_t element = size_of(storage.dtype);
  possible = false;
  Task model;
  model.descriptor_ = open.descriptor;
  model.path_ = &file.path;
  model.field_ = &dataset_.fields()[f];
  model.storage_ = &storage;
  model.entry_ = wanted.first;
  model.to_ = &to;
  if (wanted.count == 0) {
    possible = true;
    return {};
  }
  if (storage.contiguous) {
    const std::optional<uint64_t> offset = open.fields[f].offset();
    if (!offset) return {};
    const auto entry_bytes =
        static_cast<uint64_t>(to.bytes()) / static_cast<uint64_t>(wanted.count);
    Task::Piece piece;
    piece.offset = *offset + shift + static_cast<uint64_t>(wanted.first) * entry_bytes;
    piece.stored = static_cast<uint64_t>(to.bytes());
    model.pieces_.push_back(piece);
    possible = true;
    return {model};
  }
  if (!wanted.direct_chunks) return {};
  const Shape& chunk = storage.chunk;
  const auto chunk_bytes = static_cast<int64_t>(static_cast<size_t>(chunk.count()) * element);
  const auto per_task =
      static_cast<size_t>(std::max<int64_t>(1, task_bytes / std::max<int64_t>(1, chunk_bytes)));
  std::vector<Task> tasks;
  Shape origin = to.shape();
  for (int axis = 0; axis < origin.rank(); ++axis) origin.set(axis, 0);
  origin.set(0, -(wanted.first % chunk[0]));
  for (;;) {
    const std::optional<hdf5::ChunkPlace> place =
        hdf5::chunk_place(open.fields[f], wanted.first, origin);
    if (!place) return {};
    Task::Piece piece;
    piece.offset = place->offset + shift;
    piece.stored = place->bytes;
    piece.origin = origin;
    if (piece.stored > file.bytes ||
        static_cast<uint64_t>(chunk_bytes) / most_packed > piece.stored)
      return {};  // damaged: the library says how
    if (storage.filters.empty() && piece.stored != static_cast<uint64_t>(chunk_bytes)) return {};
    if (tasks.empty() || tasks.back().pieces_.size() >= per_task) tasks.push_back(model);
    tasks.back().pieces_.push_back(piece);
    int axis = origin.rank() - 1;
    while (axis > 0 && origin[axis] + chunk[axis] >= to.shape()[axis]) origin.set(axis--, 0);
    if (axis == 0 && origin[0] + chunk[0] >= to.shape()[0]) break;
    origin.set(axis, origin[axis] + chunk[axis]);
  }
  possible = true;
  return tasks;
}

void BlockReader::read_by_library(OpenFile& open, const Wanted& wanted, HostTensor& to) {
  const auto f = static_cast<size_t>(wanted.field);
  const FieldStorage& storage = dataset_.files()[static_cast<size_t>(wanted.file)].fields[f];
  read_stored(open.file, open.fields[f], storage, wanted.first, wanted.count, to.data(),
              to.dtype());
}

// Decides how a field of a file is read, by reading one piece of this block in each way.
void BlockReader::verify(OpenFile& open, const Wanted& wanted, const HostTensor& truth) {
  Way& way = ways_[static_cast<size_t>(wanted.file)][static_cast<size_t>(wanted.field)];
  const uint64_t user_block = dataset_.files()[static_cast<size_t>(wanted.file)].user_block;
  const auto agrees = [&](uint64_t shift) {
    // Every byte is preset to be wrong, so that the equal ones are those that the piece has set.
    HostTensor trial(truth.dtype(), truth.shape());
    const auto* right = static_cast<const std::byte*>(truth.data());
    std::transform(right, right + truth.bytes(), bytes_of(trial), [](std::byte b) { return ~b; });
    bool possible = false;
    std::vector<Task> tasks = tasks_of(open, wanted, shift, trial, possible);
    if (!possible || tasks.empty()) return false;
    tasks.resize(1);
    tasks[0].pieces_.resize(1);
    try {
      ReadScratch scratch;
      tasks[0].run(scratch);
    } catch (const Error&) {
      return false;
    }
    Shape part = truth.shape();
    const Shape& chunk = tasks[0].storage_->chunk;
    const int64_t before = wanted.first % std::max<int64_t>(1, chunk.rank() > 0 ? chunk[0] : 1);
    for (int axis = 0; axis < chunk.rank(); ++axis)
      part.set(axis, std::min(part[axis], chunk[axis] - (axis == 0 ? before : 0)));
    const auto* got = static_cast<const std::byte*>(trial.data());
    size_t equal = 0;
    for (size_t i = 0; i < truth.bytes(); ++i) equal += got[i] == right[i];
    return equal == static_cast<size_t>(part.count()) * size_of(truth.dtype());
  };
  const bool plain = agrees(0);
  const bool behind = user_block != 0 && agrees(user_block);
  if (plain && behind) return;  // as with zeros in both places: the next block decides
  way = plain ? Way::direct : behind ? Way::direct_behind_user_block : Way::library;
}

std::vector<BlockReader::Task> BlockReader::start(int64_t number, BlockRows& to) {
  const Block block = dataset_.block(number);
  const DataFile& file = dataset_.files()[static_cast<size_t>(block.file)];
  check_unchanged(block.file);
  OpenFile& open = this->open(block.file);
  std::vector<Task> all;
  to.fields.resize(dataset_.fields().size());
  to.rows_.resize(to.fields.size());
  for (size_t f = 0; f < to.fields.size(); ++f) {
    const Wanted wanted = place_rows(open, block, static_cast<int>(f), to);
    HostTensor& rows = decodes(block.file, f) ? to.stored_ : to.fields[f];
    const Way way = ways_[static_cast<size_t>(block.file)][f];
    bool possible = false;
    if (way == Way::direct || way == Way::direct_behind_user_block) {
      const uint64_t shift = way == Way::direct ? 0 : file.user_block;
      for (Task& task : tasks_of(open, wanted, shift, rows, possible)) {
        for (const Task::Piece& piece : task.pieces_) {
          open.descriptor->announce(piece.offset, piece.stored);
        }
        all.push_back(std::move(task));
      }
    }
    if (possible || wanted.count == 0) continue;
    read_by_library(open, wanted, rows);
    if (way == Way::unknown) {
      tasks_of(open, wanted, 0, rows, possible);
      if (possible) verify(open, wanted, rows);
    }
  }
  return all;
}

std::vector<RowRange> BlockRows::pieces(size_t field) const {
  const Rows& rows = rows_[field];
  if (rows.of_sample.empty()) return {rows.of_block};
  std::vector<RowRange> pieces;
  int64_t done = 0;
  for (const RowRange& sample : rows.of_sample) {
    const int64_t first = std::max(done, sample.first);
    if (sample.end() <= first) continue;
    if (!pieces.empty() && pieces.back().end() == first)
      pieces.back().count += sample.end() - first;
    else
      pieces.push_back({first, sample.end() - first});
    done = sample.end();
  }
  return pieces;
}

int64_t BlockRows::bytes() const {
  int64_t bytes = 0;
  for (const HostTensor& field : fields) bytes += static_cast<int64_t>(field.bytes());
  return bytes;
}

void BlockReader::decode(int64_t number, BlockRows& rows) const {
  const int in = dataset_.block(number).file;
  if (!decodes(in, 0)) return;
  const Field& field = dataset_.fields()[0];
  const FieldStorage& storage = dataset_.files()[static_cast<size_t>(in)].fields[0];
  const HostTensor stored = std::move(rows.stored_);
  rows.stored_ = HostTensor();
  HostTensor& numbers = rows.fields[0];
  if (!numbers.defined() || numbers.shape() != stored.shape())
    numbers = HostTensor(field.dtype, stored.shape());
  decode_numbers(stored.data(), storage.dtype, storage.meaning, stored.shape().count(),
                 numbers.data(), field.dtype);
  if (dataset_.has_field(valid_field)) hide_invalid_numbers(rows);
}

void BlockReader::hide_invalid_numbers(BlockRows& rows) const {
  const auto v = static_cast<size_t>(dataset_.field(valid_field));
  const Field& field = dataset_.fields()[0];
  const Field& valid = dataset_.fields()[v];
  for (const RowRange& piece : rows.pieces(0)) {
    for (int64_t row = piece.first; row < piece.end(); ++row) {
      const int64_t of_row = rows.first_row(0) + row - rows.first_row(v);
      hide_invalid(bytes_of(rows.fields[0]) + row * field.row_bytes(), field.dtype,
                   field.shape.count(), bytes_of(rows.fields[v]) + of_row * valid.row_bytes(),
                   valid.dtype, dataset_.validity());
    }
  }
}

void BlockReader::refuse_number(const Block& block, size_t f, int64_t row) const {
  const Field& field = dataset_.fields()[f];
  const std::string& file = dataset_.files()[static_cast<size_t>(block.file)].path;
  if (field.has_missing)
    throw Error(ExitStatus::bad_values,
                concat(field.path, " in ", file, " holds a missing value in row ", row,
                       "; set data.missing to \"mean\" or to a value, or remove that row, then ",
                       "start the same command again"));
  throw Error(ExitStatus::bad_values,
              concat(field.path, " in ", file, " holds a NaN or infinity in row ", row,
                     "; mend or remove that row, or set data.missing, then start the same command "
                     "again"));
}

void BlockReader::finish(int64_t number, BlockRows& rows) const {
  decode(number, rows);
  const Block block = dataset_.block(number);
  for (size_t f = 0; f < rows.fields.size(); ++f) {
    const Field& field = dataset_.fields()[f];
    if (field.may_miss) continue;
    for (const RowRange& used : rows.pieces(f)) {
      const auto* values = static_cast<const std::byte*>(rows.fields[f].data());
      const int64_t bad = first_not_finite(values + used.first * field.row_bytes(),
                                           used.count * field.shape.count(), field.dtype);
      if (bad < 0) continue;
      refuse_number(block, f, rows.first_row(f) + used.first + bad / field.shape.count());
    }
  }
}

int64_t chunk_cache_bytes(const Dataset& dataset, const FieldStorage& storage, const Field& field,
                          int64_t cache_bytes) {
  const auto files = static_cast<int64_t>(std::min(most_open_files, dataset.files().size()));
  const int64_t most = std::max<int64_t>(1 << 20, cache_bytes / files);
  const int64_t bytes = storage.shape.count() * static_cast<int64_t>(size_of(field.dtype));
  return std::clamp<int64_t>(bytes, 1 << 20, most);
}

void run_tasks(const std::vector<BlockReader::Task>& tasks, int threads) {
  std::exception_ptr error;
  std::mutex mutex;
  const auto n = static_cast<int64_t>(tasks.size());
#pragma omp parallel num_threads(threads) if (threads > 1 && n > 1)
  {
    ReadScratch scratch;
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < n; ++i) {
      try {
        tasks[static_cast<size_t>(i)].run(scratch);
      } catch (...) {
        const std::lock_guard guard(mutex);
        if (!error) error = std::current_exception();
      }
    }
  }
  if (error) std::rethrow_exception(error);
}

BlockRows BlockReader::read(int64_t block, int threads) {
  BlockRows rows;
  run_tasks(start(block, rows), threads);
  finish(block, rows);
  return rows;
}

}  // namespace lacuna
