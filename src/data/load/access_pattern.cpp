#include "data/load/access_pattern.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "data/load/block_reader.h"
#include "data/load/loader.h"

namespace lacuna {

namespace {

constexpr double much = 1.2;              // bytes read for a byte used
constexpr int64_t good_chunk = 1 << 20;   // bytes; read at a few times the cost of a seek
constexpr int64_t small_chunk = 1 << 15;  // bytes
constexpr int64_t many_blocks = 1000;
constexpr int64_t good_lanes = 24;

// What chunks hold over what the data are: they jut out at the edges.
double jutting(int64_t size, int64_t chunk) {
  if (size == 0) return 1;
  return static_cast<double>((size + chunk - 1) / chunk * chunk) / static_cast<double>(size);
}

double jutting_behind_entries(const FieldStorage& storage) {
  double factor = 1;
  for (int axis = 1; axis < storage.chunk.rank(); ++axis)
    factor *= jutting(storage.shape[axis], storage.chunk[axis]);
  return factor;
}

int64_t entries_of(const FieldStorage& storage) {
  return storage.shape.rank() == 0 ? 1 : storage.shape[0];
}

// The entries of a field's first axis that block k of a file needs.
RowRange entries_of_block(const Dataset& dataset, const DataFile& file, int field, int64_t k) {
  const int64_t all = entries_of(file.fields[static_cast<size_t>(field)]);
  if (dataset.fields()[static_cast<size_t>(field)].row_axes == 0) return {0, all};
  const int64_t first = k * file.block_samples;
  const int64_t last = std::min(first + file.block_samples, file.samples());
  if (dataset.has_extents(field) && !file.places.known())  // as they are on the average
    return {first * all / file.samples(), (last - first) * all / file.samples()};
  const RowRange rows = dataset.rows_of(dataset.block(file.first_block + k), field);
  const int64_t per_entry = dataset.rows_per_entry(file, field);
  const int64_t begin = rows.first / per_entry;
  return {begin, (rows.end() + per_entry - 1) / per_entry - begin};
}

// How many chunks' rows all blocks of the file need together, those shared by several each time.
int64_t visits(const Dataset& dataset, const DataFile& file, int field, int64_t chunk_rows) {
  const int64_t blocks = (file.samples() + file.block_samples - 1) / file.block_samples;
  int64_t count = 0;
  for (int64_t k = 0; k < blocks; ++k) {
    const RowRange entries = entries_of_block(dataset, file, field, k);
    if (entries.count > 0)
      count += (entries.end() - 1) / chunk_rows - entries.first / chunk_rows + 1;
  }
  return count;
}

// Bytes of chunks read for each byte of the field in one file.
double field_amplification(const Dataset& dataset, const DataFile& file, int number,
                           int64_t cache_bytes) {
  const Field& field = dataset.fields()[static_cast<size_t>(number)];
  const FieldStorage& storage = file.fields[static_cast<size_t>(number)];
  if (file.samples() == 0) return 1;
  const int64_t entries = entries_of(storage);
  const bool extents = dataset.has_extents(number);
  if (storage.chunk.rank() == 0) {
    if (!extents) return 1;
    return static_cast<double>(visits(dataset, file, number, 1)) / static_cast<double>(entries);
  }
  const int64_t chunk_rows = storage.chunk[0];
  const double across = jutting_behind_entries(storage);
  const double once = across * jutting(entries, chunk_rows);
  if (chunk_rows * dataset.rows_per_entry(file, number) == file.block_samples && !extents)
    return once;
  const auto again = static_cast<double>(visits(dataset, file, number, chunk_rows)) -
                     static_cast<double>((entries + chunk_rows - 1) / chunk_rows);
  const double each = across * static_cast<double>(chunk_rows) / static_cast<double>(entries);
  if (extents) return once + again * each;  // each block reads its chunks itself
  // The library reads these, by way of its cache; what does not fit there it reads in parts, or
  // decodes whole each time.
  const int64_t cache = chunk_cache_bytes(dataset, storage, field, cache_bytes);
  const int64_t chunk_bytes = storage.chunk.count() * static_cast<int64_t>(size_of(field.dtype));
  double kept = 0;
  if (chunk_bytes <= cache) {
    const auto all = static_cast<double>(storage.shape.count()) *
                     static_cast<double>(size_of(field.dtype)) * once;
    kept = std::min(1.0, static_cast<double>(cache) / std::max(all, 1.0));
  } else if (storage.filters.empty()) {
    return 1;
  }
  return once + again * (1 - kept) * each;
}

// Of chunks of the main field that should be mended; "" for good ones.
std::string unfit_blocks(const Dataset& dataset, const DataFile& file, double amplification,
                         int64_t batch, int64_t buffer) {
  const auto main = static_cast<size_t>(dataset.main_field());
  const Shape& chunk = file.fields[main].chunk;
  const Field& field = dataset.fields()[main];
  const int64_t chunk_bytes = chunk.count() * static_cast<int64_t>(size_of(field.dtype));
  // So large that few lanes fit, or so few that lanes are few for another reason than batch and
  // size of the data.
  const int64_t block_bytes = dataset.largest_block_bytes();
  const int64_t lanes = std::min(good_lanes, batch);
  if (2 * block_bytes * lanes > buffer ||
      (dataset.blocks() < lanes && block_bytes > 4 * good_chunk))
    return concat("chunks of ", chunk, " are too large to be shuffled well");
  if (amplification > much) {
    return concat("chunks of ", chunk, " jut out of samples of ", field.shape, " or of ",
                  entries_of(file.fields[main]), " rows, so that ",
                  std::round(100 * amplification) / 100,
                  " bytes are read for each byte of the data");
  }
  if (chunk_bytes < small_chunk && dataset.blocks() > many_blocks &&
      chunk[0] < entries_of(file.fields[main]))
    return concat("chunks of ", chunk, " are so small that the data are read in ", dataset.blocks(),
                  " pieces of ", bytes_text(static_cast<double>(chunk_bytes)));
  return "";
}

// Chunks of at most 1 MiB, of which good_lanes lanes hold two within half of the buffer, and as
// many lanes at least where the data are enough; of about equal rows, so that the last one does not
// jut out.
std::string chunk_option(const Dataset& dataset, const Field& field, const DataFile& file,
                         int64_t buffer) {
  const int64_t bytes = std::min(good_chunk, buffer / (2 * 2 * good_lanes));
  const Shape& stored = file.fields[static_cast<size_t>(dataset.main_field())].shape;
  const int64_t entries = stored[0];
  int64_t all = 0;
  for (const DataFile& other : dataset.files())
    all += entries_of(other.fields[static_cast<size_t>(dataset.main_field())]);
  const int64_t entry_bytes = stored.from(1).count() * static_cast<int64_t>(size_of(field.dtype));
  const int64_t most = std::max<int64_t>(
      1, std::min({bytes / std::max<int64_t>(1, entry_bytes), all / good_lanes, entries}));
  const int64_t chunks = (entries + most - 1) / most;
  std::string chunk = concat((entries + chunks - 1) / chunks);
  for (int axis = 1; axis < stored.rank(); ++axis) chunk += concat("x", stored[axis]);
  return concat("-l ", field.path, ":CHUNK=", chunk);
}

std::vector<UnfitChunks> unfit_chunks(const Dataset& dataset, int64_t batch, int64_t buffer) {
  std::vector<UnfitChunks> found;
  for (int f = 0; f < static_cast<int>(dataset.fields().size()); ++f) {
    const Field& field = dataset.fields()[static_cast<size_t>(f)];
    for (const DataFile& file : dataset.files()) {
      const FieldStorage& storage = file.fields[static_cast<size_t>(f)];
      const Shape& chunk = storage.chunk;
      if (chunk.rank() == 0 || storage.last || file.samples() == 0) continue;
      const double amplification = field_amplification(dataset, file, f, chunk_cache_of(buffer));
      UnfitChunks unfit{static_cast<int>(&file - dataset.files().data()), f, "", ""};
      if (f == dataset.main_field()) {
        unfit.why = unfit_blocks(dataset, file, amplification, batch, buffer);
        unfit.option = chunk_option(dataset, field, file, buffer);
      } else if (amplification > much) {
        unfit.why = concat("chunks of ", chunk, " of ", field.path,
                           " are read again for every block of samples, ",
                           std::round(amplification), " times in all");
        unfit.option = concat("-f ", field.path, ":NONE -l ", field.path, ":CONTI");
      }
      if (unfit.why.empty()) continue;
      found.push_back(unfit);
      break;
    }
  }
  return found;
}

double rounded(double value, double parts) { return std::floor(value * parts + 0.5) / parts; }

}  // namespace

AccessPattern access_pattern(const Dataset& dataset, const OrderSpec& order, int64_t batch,
                             int ranks, int64_t buffer) {
  AccessPattern pattern;
  const OrderCost cost = order_cost(order, batch, ranks);
  pattern.ranks = cost.read_amplification;
  pattern.imbalance = cost.imbalance;
  double used = 0, read = 0;
  for (const DataFile& file : dataset.files()) {
    for (size_t f = 0; f < dataset.fields().size(); ++f) {
      const auto bytes = static_cast<double>(file.fields[f].shape.count()) *
                         static_cast<double>(size_of(dataset.fields()[f].dtype));
      used += bytes;
      read +=
          bytes * field_amplification(dataset, file, static_cast<int>(f), chunk_cache_of(buffer));
    }
  }
  if (used > 0) pattern.storage = read / used;
  // What fits stays; what lanes need at once is held in any case.
  const int64_t lanes = order.constant_shares ? order.lanes : (order.lanes + ranks - 1) / ranks;
  const int64_t all = dataset.bytes();
  const int64_t needed = lanes * order.window * dataset.largest_block_bytes();
  pattern.held_bytes = std::min(all, std::max(blocks_of(buffer), needed));
  pattern.unfit = unfit_chunks(dataset, batch, buffer);
  return pattern;
}

std::string h5repack_line(const Dataset& dataset, const AccessPattern& pattern) {
  if (pattern.unfit.empty()) return "";
  const int file = pattern.unfit.front().file;
  std::string line = "h5repack";
  for (const UnfitChunks& unfit : pattern.unfit) {
    if (unfit.file == file) line += " " + unfit.option;
  }
  return concat(line, " ", dataset.files()[static_cast<size_t>(file)].path, " NEW.h5");
}

std::vector<std::string> reading_lines(const Dataset& dataset, const OrderSpec& order,
                                       const AccessPattern& pattern, int ranks,
                                       const std::string& stream) {
  std::vector<std::string> lines;
  const auto files = static_cast<int64_t>(dataset.files().size());
  lines.push_back(concat(stream.empty() ? "reading: " : concat("reading of ", stream, ": "),
                         counted(dataset.samples(), "sample"), " in ", counted(files, "file"), ", ",
                         counted(dataset.blocks(), "block"), " of up to ",
                         bytes_text(static_cast<double>(dataset.largest_block_bytes())), ", ",
                         counted(order.lanes, "lane"), ", windows of ",
                         counted(order.window, "block"), "; on ", counted(ranks, "rank"),
                         ": bytes read x ", rounded(pattern.amplification(), 100), ", imbalance ",
                         rounded(100 * pattern.imbalance, 10), " %"));
  if (pattern.unfit.empty()) return lines;
  std::vector<std::string> reasons;
  for (const UnfitChunks& unfit : pattern.unfit) reasons.push_back(unfit.why);
  lines.push_back(concat(join(reasons, "; "), "; better", files > 1 ? ", of each file" : "", ": ",
                         h5repack_line(dataset, pattern)));
  return lines;
}

}  // namespace lacuna
