#include "data/files/layout.h"

#include <algorithm>

#include "base/error.h"

namespace lacuna {

namespace {

int64_t product(const Shape& shape, int first, int last) {
  int64_t count = 1;
  for (int axis = first; axis < last; ++axis) count *= shape[axis];
  return count;
}

int64_t windows_in(int64_t rows, int64_t length, int64_t hop) {
  return rows < length ? 0 : (rows - length) / hop + 1;
}

}  // namespace

Shape last_axis_first(const Shape& stored) {
  return stored.slice(0, stored.rank() - 1).behind(stored[-1]);
}

SamplePlaces::SamplePlaces(const SampleLayout& layout, const Shape& stored) {
  LACUNA_CHECK(layout.offsets.empty() && stored.rank() >= layout.row_axes(), stored);
  rows_ = product(stored, 0, layout.row_axes());
  if (!layout.has_extents()) {
    samples_ = rows_;
    series_ = layout.leading > 0 ? product(stored, 0, 1) : 1;
    series_samples_ = series_ > 0 ? samples_ / series_ : 1;
    return;
  }
  series_ = product(stored, 0, layout.leading);
  series_rows_ = stored[layout.leading];
  if (!layout.has_windows()) {
    kind_ = Kind::whole;
    samples_ = series_;
    return;
  }
  kind_ = Kind::windows;
  length_ = layout.length;
  hop_ = layout.hop;
  series_samples_ = windows_in(series_rows_, length_, hop_);
  samples_ = series_ * series_samples_;
}

SamplePlaces SamplePlaces::with_offsets(int64_t samples, int64_t rows) {
  SamplePlaces places;
  places.kind_ = Kind::offsets;
  places.samples_ = places.series_ = samples;
  places.rows_ = rows;
  return places;
}

SamplePlaces SamplePlaces::windows(const SampleLayout& layout, std::vector<int64_t> offsets) {
  LACUNA_CHECK(!offsets.empty() && layout.has_windows());
  SamplePlaces places;
  places.kind_ = Kind::windows_of_extents;
  places.length_ = layout.length;
  places.hop_ = layout.hop;
  places.series_ = static_cast<int64_t>(offsets.size()) - 1;
  places.rows_ = offsets.back();
  for (size_t i = 0; i + 1 < offsets.size(); ++i) {
    places.first_sample_.push_back(places.samples_);
    places.samples_ += windows_in(offsets[i + 1] - offsets[i], layout.length, layout.hop);
  }
  places.first_sample_.push_back(places.samples_);
  places.offsets_ = std::move(offsets);
  return places;
}

int64_t SamplePlaces::too_short() const {
  if (kind_ == Kind::windows) return series_samples_ == 0 ? series_ : 0;
  int64_t count = 0;
  for (size_t i = 0; i + 1 < first_sample_.size(); ++i)
    count += first_sample_[i] == first_sample_[i + 1] ? 1 : 0;
  return count;
}

int64_t SamplePlaces::series_of(int64_t sample) const {
  LACUNA_CHECK(sample >= 0 && sample < samples_, sample);
  switch (kind_) {
    case Kind::rows:
    case Kind::windows:
      return sample / series_samples_;
    case Kind::whole:
    case Kind::offsets:
      return sample;
    case Kind::windows_of_extents:
      break;
  }
  // The last series that begins at or before it; those without windows begin where the next does.
  const auto after = std::upper_bound(first_sample_.begin(), first_sample_.end(), sample);
  return after - first_sample_.begin() - 1;
}

RowRange SamplePlaces::rows_of(int64_t sample) const {
  LACUNA_CHECK(sample >= 0 && sample < samples_ && known(), sample);
  switch (kind_) {
    case Kind::rows:
    case Kind::offsets:
      return {sample, 1};
    case Kind::whole:
      return {sample * series_rows_, series_rows_};
    case Kind::windows:
      return {sample / series_samples_ * series_rows_ + sample % series_samples_ * hop_, length_};
    case Kind::windows_of_extents:
      break;
  }
  const auto series = static_cast<size_t>(series_of(sample));
  return {offsets_[series] + (sample - first_sample_[series]) * hop_, length_};
}

}  // namespace lacuna
