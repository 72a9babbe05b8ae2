#include "data/order/batch_table.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/error.h"

namespace lacuna {

BatchTable::BatchTable(std::vector<Entry> entries) : entries_(std::move(entries)) {
  int64_t last = -1;
  for (const Entry& entry : entries_) {
    const bool grows = last < 0 ? entry.first_step == 0 : entry.first_step > last;
    const bool fits = entry.rows.size() == entries_.front().rows.size() && !entry.rows.empty();
    const bool can_be = std::all_of(entry.rows.begin(), entry.rows.end(), [](int64_t rows) {
      return rows > 0 && rows <= int64_t{1} << 31;
    });
    if (!grows || !fits || !can_be) throw std::out_of_range("batches");
    last = entry.first_step;
  }
}

void BatchTable::change(int64_t first_step, const std::vector<int64_t>& rows) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.first_step >= first_step; });
  LACUNA_CHECK(!entries_.empty() || first_step == 0, "no batch before step ", first_step);
  LACUNA_CHECK(entries_.empty() || entries_.back().rows.size() == rows.size(), "batches of ",
               rows.size(), " streams");
  if (entries_.empty() || entries_.back().rows != rows) entries_.push_back({first_step, rows});
}

const std::vector<int64_t>& BatchTable::rows(int64_t step) const {
  LACUNA_CHECK(!entries_.empty() && step >= 0, "batch of step ", step);
  size_t i = entries_.size() - 1;
  while (entries_[i].first_step > step) --i;
  return entries_[i].rows;
}

int64_t BatchTable::steps_within(int64_t samples) const {
  LACUNA_CHECK(!entries_.empty());
  size_t i = entries_.size() - 1;
  while (i > 0 && position(entries_[i].first_step) > samples) --i;
  const Entry& entry = entries_[i];
  const int64_t steps = entry.first_step + (samples - position(entry.first_step)) / entry.rows[0];
  return i + 1 < entries_.size() ? std::min(steps, entries_[i + 1].first_step - 1) : steps;
}

int64_t BatchTable::position(int64_t step, size_t stream) const {
  int64_t samples = 0;
  for (size_t i = 0; i < entries_.size() && entries_[i].first_step < step; ++i) {
    const int64_t end = i + 1 < entries_.size() ? std::min(step, entries_[i + 1].first_step) : step;
    samples += (end - entries_[i].first_step) * entries_[i].rows.at(stream);
  }
  return samples;
}

}  // namespace lacuna
