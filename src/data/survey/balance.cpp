#include "data/survey/balance.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/random.h"
#include "data/columns.h"
#include "data/load/recipe.h"
#include "data/options.h"
#include "io/hdf5.h"

namespace lacuna {

namespace {

template <typename Counts>
double effective_groups(const Counts& counts, double samples) {
  double entropy = 0;
  for (const auto& [group, count] : counts) {
    const double share = static_cast<double>(count) / samples;
    entropy -= share * std::log(share);
  }
  return std::exp(entropy);
}

// Labels of the samples [first, last) of a file.
std::vector<double> labels_of(const Dataset& dataset, const DataFile& file, int64_t first,
                              int64_t last) {
  const Field& label = label_of(dataset);
  if (!label.per_series && label.row_axes == 1) {
    std::vector<double> values(static_cast<size_t>(last - first));
    hdf5::File::open(file.path)
        .dataset(label.path)
        .read_rows(first - file.first, last - first, values.data(), DType::f64);
    return values;
  }
  const hdf5::File opened = hdf5::File::open(file.path);
  const hdf5::Dataset stored = opened.dataset(label.path);
  const std::vector<double> all = Column(dataset, file, stored).numbers<double>();
  return {all.begin() + (first - file.first), all.begin() + (last - file.first)};
}

}  // namespace

Balance balance_of(std::span<const int64_t> groups) {
  Balance balance;
  balance.samples = static_cast<int64_t>(groups.size());
  std::unordered_map<int64_t, int64_t> counts;
  for (const int64_t group : groups) ++counts[group];
  balance.counts.insert(counts.begin(), counts.end());
  for (const auto& [group, count] : balance.counts) {
    balance.fewest = balance.most == 0 ? count : std::min(balance.fewest, count);
    balance.most = std::max(balance.most, count);
  }
  balance.effective = effective_groups(balance.counts, static_cast<double>(groups.size()));
  return balance;
}

LabelScan scan_labels(const Dataset& dataset, int64_t most) {
  constexpr int64_t most_runs = 64;
  constexpr size_t most_files = 500;  // opening one takes milliseconds
  label_of(dataset);                  // one number for each sample
  LabelScan scan;
  scan.all = dataset.samples() <= most && dataset.files().size() <= most_files;
  const int64_t runs = scan.all ? 1 : most_runs;
  const int64_t length = std::min(most, dataset.samples()) / runs;
  for (int64_t run = 0; run < runs; ++run) {
    const int64_t begin = dataset.samples() / runs * run;
    for (int64_t first = begin; first < begin + length;) {
      const DataFile& file = dataset.file_of(first);
      const int64_t last = std::min(begin + length, file.first + file.samples());
      const std::vector<double> values = labels_of(dataset, file, first, last);
      for (const double value : values) {
        const bool whole = std::isfinite(value) && std::trunc(value) == value;
        scan.broken += whole ? 0 : 1;
        scan.labels.push_back(std::isfinite(value) ? static_cast<int64_t>(value) : 0);
      }
      first = last;
    }
  }
  return scan;
}

std::vector<int64_t> file_of_samples(const Dataset& dataset) {
  std::vector<int64_t> files;
  files.reserve(static_cast<size_t>(dataset.samples()));
  for (size_t f = 0; f < dataset.files().size(); ++f)
    files.insert(files.end(), static_cast<size_t>(dataset.files()[f].samples()),
                 static_cast<int64_t>(f));
  return files;
}

double mixing(const OrderSpec& order, int64_t batch, std::span<const int64_t> groups) {
  constexpr int64_t most_batches = 8;
  const auto samples = static_cast<int64_t>(groups.size());
  batch = std::min(batch, samples);
  const int64_t batches = std::min(most_batches, samples / batch);
  Order sampler(order);
  const Draws draws(order.seed, Purpose::survey, 2);
  double in_order = 0, by_chance = 0;
  uint32_t drawn = 0;
  for (int64_t k = 0; k < batches; ++k) {
    std::unordered_map<int64_t, int64_t> counts, chance;
    for (const Item& item : sampler.items(samples / batches * k, batch, 0, 1)) {
      ++counts[groups[static_cast<size_t>(item.sample)]];
      ++chance[groups[draws.below(drawn++, groups.size())]];
    }
    in_order += effective_groups(counts, static_cast<double>(batch));
    by_chance += effective_groups(chance, static_cast<double>(batch));
  }
  return in_order / by_chance;
}

}  // namespace lacuna
