#include "data/survey/survey.h"
#include "data/files/decode.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <string_view>
#include <tuple>

#include "base/random.h"
#include "data/load/block_reader.h"
#include "data/options.h"

namespace lacuna {

namespace {

constexpr float alike_from = 0.995f;    // correlation of thumbnails
constexpr int64_t most_rows = 1 << 18;  // looked at
constexpr int64_t fewest_cells = 16;    // of a thumbnail that says something

// What is kept of a sample that was looked at.
struct Seen {
  int64_t block = 0;
  int64_t sample = 0;  // of the data set
  uint64_t hash = 0;
  double label = 0;
  double low = 0, high = 0;  // of the finite values
  int64_t outside = 0;
  int64_t not_finite = 0;  // values
  bool empty = false;
  bool finite() const { return not_finite == 0; }
  bool constant() const { return finite() && low == high; }
};

template <typename T>
void look_at(const T* values, int64_t count, const std::optional<Range>& range, Seen& seen) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  int64_t outside = 0;
  for (int64_t i = 0; i < count; ++i) {
    double value = 0;
    if constexpr (std::is_arithmetic_v<T>) {
      value = static_cast<double>(values[i]);
    } else {
      value = static_cast<double>(static_cast<float>(values[i]));
    }
    if (!std::isfinite(value)) {
      ++seen.not_finite;
      continue;
    }
    low = std::min(low, value);
    high = std::max(high, value);
    if (range) outside += value < range->low || value > range->high ? 1 : 0;
  }
  seen.low = low;
  seen.high = high;
  seen.outside = outside;
}

void look_at(const void* values, int64_t count, DType dtype, const std::optional<Range>& range,
             Seen& seen) {
  switch (dtype) {
    case DType::u8:
      return look_at(static_cast<const uint8_t*>(values), count, range, seen);
    case DType::u16:
      return look_at(static_cast<const uint16_t*>(values), count, range, seen);
    case DType::i16:
      return look_at(static_cast<const int16_t*>(values), count, range, seen);
    case DType::i32:
      return look_at(static_cast<const int32_t*>(values), count, range, seen);
    case DType::i64:
      return look_at(static_cast<const int64_t*>(values), count, range, seen);
    case DType::f32:
      return look_at(static_cast<const float*>(values), count, range, seen);
    case DType::f64:
      return look_at(static_cast<const double*>(values), count, range, seen);
    case DType::f16:
      return look_at(static_cast<const Float16*>(values), count, range, seen);
    case DType::bf16:
      return look_at(static_cast<const BFloat16*>(values), count, range, seen);
  }
}

// Samples made small: each value belongs to a cell, whatever the axes.
class Thumbnails {
 public:
  Thumbnails(const Field& field, Channels channels) : dtype_(field.dtype) {
    std::vector<int64_t> sizes(field.shape.sizes().begin(), field.shape.sizes().end());
    const size_t axes = sizes.size();
    const bool only_channels = axes <= 1 || channels == Channels::none;
    const size_t channel_axis = only_channels ? axes : channels == Channels::first ? 0 : axes - 1;
    const size_t spatial = only_channels ? axes : axes - 1;
    const int64_t most = spatial <= 1 ? 256 : spatial == 2 ? 16 : spatial == 3 ? 6 : 4;
    cell_.assign(static_cast<size_t>(field.shape.count()), 0);
    int64_t inner = 1;  // values of the axes behind
    for (size_t axis = axes; axis-- > 0; inner *= sizes[axis]) {
      if (axis == channel_axis) continue;
      const int64_t cells = std::min(most, sizes[axis]);
      for (size_t i = 0; i < cell_.size(); ++i) {
        const int64_t at = static_cast<int64_t>(i) / inner % sizes[axis];
        cell_[i] += static_cast<int32_t>(cells_ * (at * cells / sizes[axis]));
      }
      cells_ *= cells;
    }
    values_.assign(static_cast<size_t>(cells_), 0);
    for (const int32_t cell : cell_) ++values_[static_cast<size_t>(cell)];
  }

  int64_t cells() const { return cells_; }

  // Whether the first `count` values of a sample, all that it has, fill cells enough.
  bool shows(int64_t count) const { return filled_cells(counts_of(count)) >= fewest_cells; }

  // Of unit length and mean 0, of the first `count` values; false for one that shows nothing.
  bool make(const void* sample, int64_t count, float* to) const {
    const std::vector<double> counts = counts_of(count);
    std::vector<double> sums(counts.size(), 0);
    for (size_t i = 0; i < values_of(count); ++i)
      sums[static_cast<size_t>(cell_[i])] += element_value(sample, static_cast<int64_t>(i), dtype_);
    const auto filled = static_cast<double>(filled_cells(counts));
    double mean = 0, square = 0, largest = 0;
    for (size_t c = 0; c < sums.size(); ++c) {
      if (counts[c] == 0) continue;
      sums[c] /= counts[c];
      mean += sums[c] / filled;
      largest = std::max(largest, std::abs(sums[c]));
    }
    for (size_t c = 0; c < sums.size(); ++c) {
      sums[c] = counts[c] == 0 ? 0 : sums[c] - mean;
      square += sums[c] * sums[c];
    }
    const double length = std::sqrt(square);
    if (!(length > 1e-9 * largest)) return false;
    for (size_t c = 0; c < sums.size(); ++c) to[c] = static_cast<float>(sums[c] / length);
    return true;
  }

 private:
  size_t values_of(int64_t count) const {
    return std::min(cell_.size(), static_cast<size_t>(count));
  }
  // Of each cell, how many of the first `count` values are in it.
  std::vector<double> counts_of(int64_t count) const {
    if (values_of(count) == cell_.size()) return values_;
    std::vector<double> counts(values_.size(), 0);
    for (size_t i = 0; i < values_of(count); ++i) ++counts[static_cast<size_t>(cell_[i])];
    return counts;
  }
  static int64_t filled_cells(const std::vector<double>& counts) {
    return static_cast<int64_t>(counts.size()) - std::count(counts.begin(), counts.end(), 0.0);
  }

  DType dtype_;
  std::vector<int32_t> cell_;   // of each value of a sample
  std::vector<double> values_;  // of each cell
  int64_t cells_ = 1;
};

struct Compared {
  std::vector<float> thumbnails;  // one behind the other
  std::vector<int64_t> blocks;
  std::vector<int64_t> samples;
};

// The blocks in the order in which they are looked at, drawn by the seed; no more than most_bytes
// of them, but two.
std::vector<int64_t> drawn_blocks(const Dataset& dataset, const SurveyOptions& options) {
  std::vector<int64_t> blocks(static_cast<size_t>(dataset.blocks()));
  std::iota(blocks.begin(), blocks.end(), int64_t{0});
  const Draws draws(options.seed, Purpose::survey, 0);
  int64_t bytes = 0, rows = 0;
  size_t chosen = 0;
  while (chosen < blocks.size() &&
         (chosen < 2 || (bytes < options.most_bytes && rows < most_rows))) {
    const size_t other =
        chosen + draws.below(static_cast<uint32_t>(chosen), blocks.size() - chosen);
    std::swap(blocks[chosen], blocks[other]);
    rows += dataset.block(blocks[chosen]).samples;
    bytes += dataset.block_bytes(blocks[chosen++]);
  }
  blocks.resize(chosen);
  return blocks;
}

double ordered_pairs(int64_t n) { return static_cast<double>(n) * static_cast<double>(n - 1); }

struct Pairs {
  int64_t found = 0;                               // samples that have a twin
  int64_t near = 0;                                // in their own block
  double far = 0;                                  // ordered pairs of twins in different blocks
  double possible = 0;                             // ordered pairs in different blocks
  std::pair<int64_t, int64_t> example = {-1, -1};  // the first

  void show(int64_t a, int64_t b) {
    const std::pair pair(std::min(a, b), std::max(a, b));
    if (example.first < 0 || pair < example) example = pair;
  }
};

Twins twins_of(int64_t looked_at, const Pairs& pairs, int64_t all) {
  Twins twins;
  twins.looked_at = looked_at;
  twins.found = pairs.found;
  twins.example = pairs.example;
  if (looked_at == 0) return twins;
  const auto n = static_cast<double>(looked_at);
  twins.least = static_cast<double>(pairs.found) / n;
  twins.expected = twins.most = twins.least;
  if (looked_at == all) return twins;
  twins.most = 1;
  if (pairs.possible == 0) return twins;
  // If the samples of all the data with a twin elsewhere are a share s, each having one, the pairs
  // in the sample are Poisson of mean s * possible / (all - 1); n of it at 95 %: up to n + 2
  // sqrt(n) + 3.
  const double near = static_cast<double>(pairs.near) / n;
  const auto share = [&](double far) {
    return std::clamp(near + far * static_cast<double>(all - 1) / pairs.possible, twins.least, 1.0);
  };
  twins.expected = share(pairs.far);
  twins.most = share(pairs.far + 2 * 2 * std::sqrt(pairs.far / 2) + 2 * 3);
  return twins;
}

double pairs_in_different_blocks(std::span<const int64_t> blocks) {
  std::vector<int64_t> sorted(blocks.begin(), blocks.end());
  std::sort(sorted.begin(), sorted.end());
  double pairs = ordered_pairs(static_cast<int64_t>(sorted.size()));
  for (auto begin = sorted.begin(); begin != sorted.end();) {
    const auto end = std::upper_bound(begin, sorted.end(), *begin);
    pairs -= ordered_pairs(end - begin);
    begin = end;
  }
  return pairs;
}

// Samples of one hash, by block.
void add_equal(std::span<const Seen> group, Pairs& pairs, int64_t& contradictions) {
  const auto count = static_cast<int64_t>(group.size());
  if (count < 2) return;
  pairs.found += count;
  pairs.far += ordered_pairs(count);
  pairs.show(group[0].sample, group[1].sample);
  for (auto first = group.begin(); first != group.end();) {
    const auto last =
        std::find_if(first, group.end(), [&](const Seen& s) { return s.block != first->block; });
    if (last - first > 1) pairs.near += last - first;
    pairs.far -= ordered_pairs(last - first);
    first = last;
  }
  const bool one_label = std::all_of(group.begin(), group.end(),
                                     [&](const Seen& s) { return s.label == group[0].label; });
  if (!one_label) contradictions += count;
}

void find_equal(const std::vector<Seen>& all_seen, int64_t samples, Survey& survey) {
  std::vector<Seen> seen;  // constant and empty samples are counted as such
  std::copy_if(all_seen.begin(), all_seen.end(), std::back_inserter(seen),
               [](const Seen& s) { return !s.constant() && !s.empty; });
  std::sort(seen.begin(), seen.end(), [](const Seen& a, const Seen& b) {
    return std::tuple(a.hash, a.block, a.sample) < std::tuple(b.hash, b.block, b.sample);
  });
  Pairs pairs;
  std::vector<int64_t> blocks;
  for (auto begin = seen.begin(); begin != seen.end();) {
    const auto end =
        std::find_if(begin, seen.end(), [&](const Seen& s) { return s.hash != begin->hash; });
    add_equal({begin, end}, pairs, survey.contradictions);
    for (; begin != end; ++begin) blocks.push_back(begin->block);
  }
  pairs.possible = pairs_in_different_blocks(blocks);
  const auto constant = static_cast<int64_t>(all_seen.size() - seen.size());
  survey.equal = twins_of(static_cast<int64_t>(seen.size()), pairs, samples - constant);
}

// Each with each.
void find_alike(const Compared& compared, size_t cells, int64_t left_out, int64_t samples,
                int threads, Survey& survey) {
  const auto n = static_cast<int64_t>(compared.blocks.size());
  if (n < 2) return;
  Pairs pairs;
  std::vector<char> near(static_cast<size_t>(n), 0), found(static_cast<size_t>(n), 0);
  double squares = 0, far = 0;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16) reduction(+ : squares, far)
  for (int64_t i = 0; i < n; ++i) {
    const float* a = compared.thumbnails.data() + static_cast<size_t>(i) * cells;
    for (int64_t j = i + 1; j < n; ++j) {
      const float* b = compared.thumbnails.data() + static_cast<size_t>(j) * cells;
      float product = 0;
#pragma omp simd reduction(+ : product)
      for (size_t c = 0; c < cells; ++c) product += a[c] * b[c];
      squares += 2 * static_cast<double>(product) * static_cast<double>(product);
      if (product < alike_from) continue;
      const bool same_block =
          compared.blocks[static_cast<size_t>(i)] == compared.blocks[static_cast<size_t>(j)];
      far += same_block ? 0 : 2;
#pragma omp critical(lacuna_survey)
      {
        pairs.show(compared.samples[static_cast<size_t>(i)],
                   compared.samples[static_cast<size_t>(j)]);
        for (const int64_t k : {i, j}) {
          found[static_cast<size_t>(k)] = 1;
          if (same_block) near[static_cast<size_t>(k)] = 1;
        }
      }
    }
  }
  pairs.found = std::count(found.begin(), found.end(), 1);
  pairs.near = std::count(near.begin(), near.end(), 1);
  pairs.far = far;
  pairs.possible = pairs_in_different_blocks(compared.blocks);
  survey.alike = twins_of(n, pairs, samples - left_out);
  survey.directions = squares > 0 ? ordered_pairs(n) / squares : static_cast<double>(n);
}

std::string place_of(const Dataset& dataset, const Field& field, const Seen& seen) {
  const DataFile& file = dataset.file_of(seen.sample);
  return concat("row ", seen.sample - file.first, " of ", field.path, " in ", file.path);
}

void add_up(const Dataset& dataset, const Field& field, const std::vector<Seen>& seen,
            Survey& survey) {
  const Seen* first = nullptr;
  survey.low = std::numeric_limits<double>::infinity();
  survey.high = -survey.low;
  double outside = 0, missing = 0;
  for (const Seen& s : seen) {
    survey.low = std::min(survey.low, s.low);
    survey.high = std::max(survey.high, s.high);
    outside += static_cast<double>(s.outside);
    survey.constant += s.constant() ? 1 : 0;
    survey.empty += s.empty ? 1 : 0;
    missing += static_cast<double>(s.not_finite);
    if (field.may_miss) continue;
    survey.not_finite += s.finite() ? 0 : 1;
    if (!s.finite() && (first == nullptr || s.sample < first->sample)) first = &s;
  }
  const double values = static_cast<double>(std::max<size_t>(1, seen.size())) *
                        static_cast<double>(std::max<int64_t>(1, field.shape.count()));
  if (field.may_miss) survey.missing = missing / values;
  if (first != nullptr) survey.where = place_of(dataset, field, *first);
  survey.outside = outside / values;
  survey.samples = static_cast<int64_t>(seen.size());
}

// What has been looked at so far, block by block.
class Looking {
 public:
  Looking(const Dataset& dataset, Channels channels, const SurveyOptions& options)
      : dataset_(dataset),
        options_(options),
        field_(dataset.sample_field()),
        label_(dataset.has_field(label_field) ? dataset.field(label_field) : -1),
        values_(field_, channels),
        // The parts of complex numbers lie as channels do.
        thumbnails_(field_,
                    field_.complex && channels == Channels::none ? Channels::last : channels) {}

  void look(int64_t number, const BlockRows& rows) {
    const Block block = dataset_.block(number);
    const Field& row_of = dataset_.fields()[0];
    const size_t first = seen.size();
    seen.resize(first + static_cast<size_t>(block.samples));
#pragma omp parallel for num_threads(options_.threads) if (options_.threads > 1)
    for (int64_t i = 0; i < block.samples; ++i) {
      Seen& s = seen[first + static_cast<size_t>(i)];
      const Extent sample = rows.extent(0, i);
      s.block = number;
      s.sample = block.first + i;
      s.hash =
          std::hash<std::string_view>{}({static_cast<const char*>(sample.data),
                                         static_cast<size_t>(sample.length * row_of.row_bytes())});
      s.label = label_of(rows, i);
      s.empty = sample.length == 0;
      look_at(sample.data, sample.length * row_of.shape.count(), row_of.dtype, options_.range, s);
    }
  }

  // Least and greatest value of each channel, of the same block.
  void look_at_channels(const BlockRows& rows, Survey& survey) const {
    const Field& row = dataset_.fields()[0];
    const auto c = static_cast<size_t>(values_.channels());
    survey.channel_low.resize(c, std::numeric_limits<double>::infinity());
    survey.channel_high.resize(c, -std::numeric_limits<double>::infinity());
    const auto* stored = static_cast<const std::byte*>(rows.fields[0].data());
    for (const RowRange& piece : rows.pieces(0)) {
#pragma omp parallel num_threads(options_.threads) if (options_.threads > 1)
      {
        std::vector<double> low = survey.channel_low, high = survey.channel_high;
#pragma omp barrier
#pragma omp for nowait
        for (int64_t r = piece.first; r < piece.end(); ++r) {
          for (int64_t i = 0; i < row.shape.count(); ++i) {
            const double value = element_value(stored + r * row.row_bytes(), i, row.dtype);
            if (!std::isfinite(value)) continue;
            const auto channel = static_cast<size_t>(values_.channel_of(i));
            low[channel] = std::min(low[channel], value);
            high[channel] = std::max(high[channel], value);
          }
        }
#pragma omp critical(lacuna_survey_channels)
        for (size_t k = 0; k < c; ++k) {
          survey.channel_low[k] = std::min(survey.channel_low[k], low[k]);
          survey.channel_high[k] = std::max(survey.channel_high[k], high[k]);
        }
      }
    }
  }

  // Of the block looked at last, a run of `length` neighbours.
  void compare(const BlockRows& rows, int64_t length) {
    if (thumbnails_.cells() < fewest_cells) return;
    const Block block = dataset_.block(seen.back().block);
    length = std::min(length, block.samples);
    const Draws draws(options_.seed, Purpose::survey, 1);
    const auto from = static_cast<int64_t>(
        draws.below(draws_++, static_cast<uint64_t>(block.samples - length + 1)));
    for (int64_t row = from; row < from + length; ++row) {
      if (static_cast<int64_t>(compared.blocks.size()) >= options_.most_compared) break;
      const Seen& s = seen[seen.size() - static_cast<size_t>(block.samples - row)];
      const Extent sample = rows.extent(0, row);
      const int64_t values = sample.length * dataset_.fields()[0].shape.count();
      if (!s.constant() && !s.empty && !thumbnails_.shows(values)) ++too_short;
      const size_t place = compared.thumbnails.size();
      compared.thumbnails.resize(place + cells());
      if (s.finite() && thumbnails_.shows(values) &&
          thumbnails_.make(sample.data, values, compared.thumbnails.data() + place)) {
        compared.blocks.push_back(s.block);
        compared.samples.push_back(s.sample);
      } else {
        compared.thumbnails.resize(place);
        ++flat;
      }
    }
  }

  size_t cells() const { return static_cast<size_t>(thumbnails_.cells()); }
  std::vector<Seen> seen;
  Compared compared;
  int64_t flat = 0;       // samples that have no thumbnail
  int64_t too_short = 0;  // of them, since they are too short

 private:
  // 0 where there are none; the first value of one that has several.
  double label_of(const BlockRows& rows, int64_t row) const {
    if (label_ < 0) return 0;
    const auto label = static_cast<size_t>(label_);
    return element_value(rows.extent(label, row).data, 0, dataset_.fields()[label].dtype);
  }

  const Dataset& dataset_;
  const SurveyOptions& options_;
  Field field_;  // of whole samples
  int label_;
  Interpretation values_;
  Thumbnails thumbnails_;
  uint32_t draws_ = 0;
};

}  // namespace

Survey survey_samples(const Dataset& dataset, Channels channels, const SurveyOptions& options) {
  using Clock = std::chrono::steady_clock;
  const std::vector<int64_t> blocks = drawn_blocks(dataset, options);
  int64_t rows_in_all = 0;
  for (const int64_t block : blocks) rows_in_all += dataset.block(block).samples;
  // Of each block a run of neighbours is compared, or all of it.
  const int64_t each = options.most_compared / static_cast<int64_t>(blocks.size());
  const int64_t run =
      rows_in_all <= options.most_compared ? rows_in_all : std::max<int64_t>(1, each);
  BlockReader reader(dataset);
  Looking looking(dataset, channels, options);
  double reading = 0;
  Survey survey;
  for (const int64_t number : blocks) {
    if (reading > options.most_seconds) break;
    const auto begin = Clock::now();
    BlockRows rows;
    run_tasks(reader.start(number, rows), options.threads);
    reader.decode(number, rows);
    reading += std::chrono::duration<double>(Clock::now() - begin).count();
    looking.look(number, rows);
    looking.look_at_channels(rows, survey);
    looking.compare(rows, run);
  }
  survey.by_attributes = dataset.fields()[0].has_missing;
  add_up(dataset, dataset.sample_field(), looking.seen, survey);
  survey.all = survey.samples == dataset.samples();
  survey.too_short = looking.too_short;
  survey.read_seconds = reading * options.threads / static_cast<double>(survey.samples);
  find_equal(looking.seen, dataset.samples(), survey);
  find_alike(looking.compared, looking.cells(), looking.flat, dataset.samples(), options.threads,
             survey);
  return survey;
}

}  // namespace lacuna
