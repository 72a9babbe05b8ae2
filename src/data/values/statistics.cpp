#include "data/values/statistics.h"
#include "data/files/decode.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <functional>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "comm/agree.h"
#include "data/load/block_reader.h"

namespace lacuna {

namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

// The blocks that a scan reads, ascending: all, or as many as most_bytes allows, drawn by the seed.
std::vector<int64_t> scanned_blocks(const Dataset& dataset, const ScanOptions& options) {
  std::vector<int64_t> blocks(static_cast<size_t>(dataset.blocks()));
  std::iota(blocks.begin(), blocks.end(), int64_t{0});
  const auto all = static_cast<double>(dataset.bytes());
  if (options.most_bytes == 0 || all <= static_cast<double>(options.most_bytes)) return blocks;
  const Draws draws(options.seed, Purpose::statistics_sample, 0);
  int64_t bytes = 0;
  size_t chosen = 0;
  while (chosen < blocks.size() && (chosen == 0 || bytes < options.most_bytes)) {
    const uint64_t left = blocks.size() - chosen;
    const size_t other = chosen + draws.below(static_cast<uint32_t>(chosen), left);
    std::swap(blocks[chosen], blocks[other]);
    bytes += dataset.block_bytes(blocks[chosen]);
    ++chosen;
  }
  blocks.resize(chosen);
  std::sort(blocks.begin(), blocks.end());
  return blocks;
}

// Calls look(block, rows, place) for this rank's contiguous share of the blocks, `place` being the
// block's place among all; several at a time, from any thread.
using Look = std::function<void(int64_t block, const BlockRows& rows, size_t place)>;

void scan(const Dataset& dataset, const std::vector<int64_t>& blocks, const ScanOptions& options,
          size_t first, size_t last, const Look& look) {
  BlockReader reader(dataset);
  const int64_t fit = options.buffer / std::max<int64_t>(1, dataset.largest_block_bytes());
  const auto group = static_cast<size_t>(std::clamp<int64_t>(fit, 1, 16 * options.threads));
  for (size_t begin = first; begin < last; begin += group) {
    const size_t count = std::min(group, last - begin);
    std::vector<BlockRows> rows(count);
    std::vector<BlockReader::Task> tasks;
    for (size_t i = 0; i < count; ++i) {
      for (BlockReader::Task& task : reader.start(blocks[begin + i], rows[i])) {
        tasks.push_back(std::move(task));
      }
    }
    run_tasks(tasks, options.threads);
    std::vector<std::exception_ptr> errors(count);
#pragma omp parallel for num_threads(options.threads) schedule(dynamic) if (options.threads > 1)
    for (size_t i = 0; i < count; ++i) {
      try {
        reader.finish(blocks[begin + i], rows[i]);
        look(blocks[begin + i], rows[i], begin + i);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    }
    for (const std::exception_ptr& error : errors) {
      if (error) std::rethrow_exception(error);
    }
  }
}

// Fills `width` doubles for each block on some rank, and gives all of them to every rank.
std::vector<double> scan_on_all_ranks(
    const Dataset& dataset, const std::vector<int64_t>& blocks, size_t width,
    const ScanOptions& options, Communicator& communicator,
    const std::function<void(int64_t block, const BlockRows& rows, double* to)>& fill) {
  const auto ranks = static_cast<size_t>(communicator.size());
  const auto begin_of = [&](size_t rank) { return rank * blocks.size() / ranks; };
  std::vector<size_t> bytes;
  for (size_t r = 0; r < ranks; ++r) {
    bytes.push_back((begin_of(r + 1) - begin_of(r)) * width * sizeof(double));
  }
  const auto rank = static_cast<size_t>(communicator.rank());
  const size_t first = begin_of(rank);
  std::vector<double> mine(bytes[rank] / sizeof(double));
  agreed(communicator, [&] {
    scan(dataset, blocks, options, first, begin_of(rank + 1),
         [&](int64_t block, const BlockRows& rows, size_t place) {
           fill(block, rows, mine.data() + (place - first) * width);
         });
  });
  std::vector<double> all(blocks.size() * width);
  communicator.all_gather(mine.data(), all.data(), bytes).wait();
  return all;
}

// bad_input where training, in float32, would see infinity; NaN and infinity themselves are what
// lacuna check tells of.
void require_floats(const std::vector<double>& values, const std::string& path) {
  constexpr double most = std::numeric_limits<float>::max();
  for (const double value : values) {
    if (std::isfinite(value) && std::abs(value) > most)
      bad_input("values of ", path, " reach ", value, ", beyond ", most,
                ", the largest that training in float32 can hold: give data.range, or write them "
                "in another unit");
  }
}

// The rows of a block that are counted, in the tensor: what its samples are, without those that
// samples of the block before it are too.
std::vector<RowRange> counted_rows(const Dataset& dataset, int64_t number, const BlockRows& rows,
                                   int field) {
  std::vector<RowRange> pieces = rows.pieces(static_cast<size_t>(field));
  const Block block = dataset.block(number);
  const DataFile& file = dataset.files()[static_cast<size_t>(block.file)];
  if (!dataset.has_extents(field) || !file.places.known() || block.in_file == 0) return pieces;
  const int64_t counted = dataset.rows_of(file, field, block.in_file - 1).end() -
                          rows.first_row(static_cast<size_t>(field));
  for (RowRange& piece : pieces) {
    const int64_t twice = std::clamp<int64_t>(counted - piece.first, 0, piece.count);
    piece = {piece.first + twice, piece.count - twice};
  }
  return pieces;
}

// How many of the rows are of one value throughout.
double flat_rows(const HostTensor& tensor, const std::vector<RowRange>& used, int64_t row_bytes) {
  const auto bytes = static_cast<size_t>(row_bytes), element = size_of(tensor.dtype());
  int64_t flat = 0;
  for (const RowRange& piece : used) {
    for (int64_t row = piece.first; row < piece.end(); ++row) {
      const std::byte* values = static_cast<const std::byte*>(tensor.data()) + row * row_bytes;
      flat += bytes > element && std::memcmp(values, values + element, bytes - element) == 0;
    }
  }
  return static_cast<double>(flat);
}

// How many they are, and the one at a place among them.
int64_t rows_in(const std::vector<RowRange>& pieces) {
  int64_t rows = 0;
  for (const RowRange& piece : pieces) rows += piece.count;
  return rows;
}

int64_t row_at(const std::vector<RowRange>& pieces, int64_t place) {
  size_t i = 0;
  while (place >= pieces[i].count) place -= pieces[i++].count;
  return pieces[i].first + place;
}

}  // namespace

Range type_range(DType dtype) {
  LACUNA_CHECK(dtype == DType::u8 || dtype == DType::u16, name_of(dtype));
  return {0, dtype == DType::u8 ? 255.0 : 65535.0};
}

namespace {

struct SampledValue {
  double value;
  int64_t in_row;  // its place among the values of its row
};

// About a million of the values, drawn by the seed; none that is missing. Collective.
std::vector<SampledValue> sampled_values(const Dataset& dataset, int field, ScanOptions options,
                                         Communicator& communicator) {
  constexpr int64_t most_values = 1 << 20;
  constexpr int64_t bytes_for_range = int64_t{256} << 20;
  if (options.most_bytes == 0) options.most_bytes = bytes_for_range;
  options.most_bytes = std::min(options.most_bytes, bytes_for_range);
  const std::vector<int64_t> blocks = scanned_blocks(dataset, options);
  const auto each = std::max<int64_t>(1, most_values / static_cast<int64_t>(blocks.size()));
  const std::vector<double> found = scan_on_all_ranks(
      dataset, blocks, static_cast<size_t>(2 * each), options, communicator,
      [&](int64_t block, const BlockRows& rows, double* to) {
        const HostTensor& tensor = rows.fields[static_cast<size_t>(field)];
        const std::vector<RowRange> used = counted_rows(dataset, block, rows, field);
        const int64_t row = dataset.fields()[static_cast<size_t>(field)].shape.count();
        const int64_t count = rows_in(used) * row;
        const Draws draws(options.seed, Purpose::statistics_sample,
                          static_cast<uint64_t>(block) + 1);
        for (int64_t i = 0; i < each; ++i) {
          // All values where there are few, each the same number of times but for a rest.
          const int64_t at = count <= each
                                 ? i % count
                                 : static_cast<int64_t>(draws.below(static_cast<uint32_t>(i),
                                                                    static_cast<uint64_t>(count)));
          to[2 * i] = count == 0
                          ? nothing
                          : element_value(tensor.data(), row_at(used, at / row) * row + at % row,
                                          tensor.dtype());
          to[2 * i + 1] = count == 0 ? 0 : static_cast<double>(at % row);
        }
      });
  std::vector<SampledValue> values;
  for (size_t i = 0; i < found.size(); i += 2)
    if (std::isfinite(found[i])) values.push_back({found[i], static_cast<int64_t>(found[i + 1])});
  if (values.empty())
    bad_input("the samples of ", dataset.fields()[static_cast<size_t>(field)].path,
              " hold no values: name other samples in data.dataset and data.offsets");
  return values;
}

// Sorts the values; there is at least one.
Range percentiles_of(std::vector<double>& values, std::array<double, 2> percentiles) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double percent) {
    const double place = percent / 100 * static_cast<double>(values.size() - 1);
    const auto below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {at(percentiles[0]), at(percentiles[1])};
}

// A range that holds a channel's sorted values, of which there may be none.
Range range_of_channel(std::vector<double>& values, std::array<double, 2> percentiles) {
  if (values.empty()) return {0, 1};
  const Range range = percentiles_of(values, percentiles);
  if (range.high > range.low) return range;
  if (values.back() > values.front()) return {values.front(), values.back()};
  const double half = std::max(0.5, std::abs(values.front()) / 1024);
  return {values.front() - half, values.front() + half};
}

Range range_of_all(const Dataset& dataset, int field, const std::vector<SampledValue>& sampled,
                   std::array<double, 2> percentiles) {
  std::vector<double> values;
  for (const SampledValue& each : sampled) values.push_back(each.value);
  const Range range = percentiles_of(values, percentiles);
  if (!(range.high > range.low)) {
    bad_input("the percentiles ", percentiles[0], " and ", percentiles[1], " of ",
              dataset.fields()[static_cast<size_t>(field)].path, " are both ", range.low,
              ": give data.range as two values");
  }
  return range;
}

}  // namespace

Range percentile_range(const Dataset& dataset, int field, std::array<double, 2> percentiles,
                       ScanOptions options, Communicator& communicator) {
  const auto sampled = sampled_values(dataset, field, options, communicator);
  return range_of_all(dataset, field, sampled, percentiles);
}

bool FoundRanges::unlike() const {
  for (size_t c = 0; c < channels.size(); ++c)
    if (varies[c] && all.high - all.low > 100 * (channels[c].high - channels[c].low)) return true;
  return false;
}

FoundRanges percentile_ranges(const Dataset& dataset, int field,
                              const Interpretation& interpretation,
                              std::array<double, 2> percentiles, ScanOptions options,
                              Communicator& communicator) {
  const auto sampled = sampled_values(dataset, field, options, communicator);
  FoundRanges found{.all = range_of_all(dataset, field, sampled, percentiles)};
  std::vector<std::vector<double>> values(static_cast<size_t>(interpretation.channels()));
  for (const SampledValue& each : sampled)
    values[static_cast<size_t>(interpretation.channel_of(each.in_row))].push_back(each.value);
  for (std::vector<double>& of_channel : values) {
    found.channels.push_back(range_of_channel(of_channel, percentiles));
    found.varies.push_back(!of_channel.empty() && of_channel.back() > of_channel.front());
  }
  return found;
}

ChannelStatistics channel_statistics(const Dataset& dataset, int field,
                                     const Interpretation& interpretation, ScanOptions options,
                                     Communicator& communicator) {
  const std::vector<int64_t> blocks = scanned_blocks(dataset, options);
  const int64_t channels = interpretation.channels();
  const int64_t values = interpretation.shape().count();
  const auto c = static_cast<size_t>(channels);
  const size_t width = 5 * c + 2;
  // What is interpreted at a time: a sample, or of samples of several rows as many rows as one has.
  // The rows of a block count once, in however many windows they are.
  const auto number = static_cast<size_t>(field);
  const bool extents = dataset.has_extents(field);
  const int64_t together = extents ? interpretation.shape()[0] : 1;
  const int64_t row_bytes = dataset.fields()[number].row_bytes();
  // Of each block and channel: how many values there are, their mean, the sum of squares about it,
  // the least and the greatest; and how many values are stored, and how many samples are of one.
  // Sums are taken about the first value, which keeps their digits where the spread is small.
  const std::vector<double> all = scan_on_all_ranks(
      dataset, blocks, width, options, communicator,
      [&](int64_t block, const BlockRows& rows, double* to) {
        const std::vector<RowRange> used = counted_rows(dataset, block, rows, field);
        const auto* stored = static_cast<const std::byte*>(rows.fields[number].data());
        std::vector<double> exact(static_cast<size_t>(values));
        std::vector<double> base(c, nothing), sum(c, 0), square(c, 0);
        std::vector<double> least(c, infinity), most(c, -infinity);
        std::vector<int64_t> counts(c, 0);
        const auto add = [&](int64_t row, int64_t positions) {
          if (extents) {
            exact.resize(static_cast<size_t>(positions) * c);
            interpretation.doubles(stored + row * row_bytes, exact.data(), positions);
          } else {
            interpretation.doubles(stored + row * row_bytes, exact.data());
          }
          if (interpretation.as_they_are()) require_floats(exact, dataset.fields()[number].path);
          for (size_t k = 0; k < c; ++k) {
            double a = 0, b = 0;
            int64_t count = 0;
            for (size_t i = k; i < exact.size(); i += c) {
              if (std::isnan(exact[i])) continue;
              if (std::isnan(base[k])) base[k] = exact[i];
              const double x = exact[i] - base[k];
              a += x;
              b += x * x;
              least[k] = std::min(least[k], exact[i]);
              most[k] = std::max(most[k], exact[i]);
              ++count;
            }
            sum[k] += a;
            square[k] += b;
            counts[k] += count;
          }
        };
        for (const RowRange& piece : used) {
          for (int64_t s = 0; s < piece.count; s += together)
            add(piece.first + s, std::min(together, piece.count - s));
        }
        for (size_t k = 0; k < c; ++k) {
          const auto n = static_cast<double>(counts[k]);
          to[5 * k] = n;
          to[5 * k + 1] = n > 0 ? base[k] + sum[k] / n : 0;
          to[5 * k + 2] = n > 0 ? std::max(0.0, square[k] - sum[k] * sum[k] / n) : 0;
          to[5 * k + 3] = least[k];
          to[5 * k + 4] = most[k];
        }
        to[5 * c] = static_cast<double>(rows_in(used) * dataset.fields()[number].shape.count());
        to[5 * c + 1] = extents ? 0 : flat_rows(rows.fields[number], used, row_bytes);
      });
  ChannelStatistics result;
  result.mean.assign(c, 0);
  std::vector<double> square(c, 0), n(c, 0), least(c, infinity), most(c, -infinity);
  double stored = 0;
  for (size_t b = 0; b < blocks.size(); ++b) {
    const double* of_block = all.data() + width * b;
    result.samples += dataset.block(blocks[b]).samples;
    stored += of_block[5 * c];
    result.flat_samples += static_cast<int64_t>(of_block[5 * c + 1]);
    for (size_t k = 0; k < c; ++k) {
      const double m = of_block[5 * k];
      if (m == 0) continue;
      least[k] = std::min(least[k], of_block[5 * k + 3]);
      most[k] = std::max(most[k], of_block[5 * k + 4]);
      const double difference = of_block[5 * k + 1] - result.mean[k];
      result.mean[k] += difference * m / (n[k] + m);
      square[k] += of_block[5 * k + 2] + difference * difference * n[k] * m / (n[k] + m);
      n[k] += m;
    }
  }
  if (stored > 0) result.missing = 1 - std::accumulate(n.begin(), n.end(), 0.0) / stored;
  for (size_t k = 0; k < c; ++k) {
    const double spread = n[k] > 0 ? std::sqrt(square[k] / n[k]) : 0;
    // What is left of a constant channel by rounding, relative to the mean, of floats that were
    // perhaps computed in float32. A channel of values in [0, 1] is constant where all are equal.
    const double relative = is_wide(dataset.fields()[number].dtype) ? 1e-13 : 1e-7;
    const double rounding = interpretation.as_they_are() ? relative * std::abs(result.mean[k]) : 0;
    const bool varies = most[k] > least[k] && spread > rounding;
    result.std.push_back(varies ? spread : 1.0);
    if (!varies) result.constant.push_back(static_cast<int64_t>(k));
  }
  return result;
}

}  // namespace lacuna
