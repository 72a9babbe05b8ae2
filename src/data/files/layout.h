// Where samples lie on the stored rows of a data set. A row is what stands behind the axes that are
// counted along: [C] of samples [N, L, C] that are windows of L, [H, W, C] of images [N, H, W, C].
//
//   rows       a sample is a row; the first axis, or the first few, count samples
//   extents    a sample is several rows, one behind the other, as a column of offsets says, or all
//              rows of a file
//   windows    a sample is `length` rows, one begins every `hop` rows of a series; a series is an
//              extent, an entry of the leading axes, or a file, and no window crosses its end
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/shape.h"

namespace lacuna {

// The same for all files of a data set.
struct SampleLayout {
  int leading = 1;    // axes that count samples, or series; 0: a file is one
  bool last = false;  // samples lie along the last axis, which is read as if it were the first
  std::string offsets = {};  // path of [N + 1]: extent i is the rows [offsets[i], offsets[i + 1])
  int64_t length = 0;        // rows of a window; of extents: what they are padded or cut to
  int64_t hop = 0;           // rows from window to window; 0: samples are no windows
  bool has_windows() const { return hop > 0; }
  // Whether a sample may be several rows.
  bool has_extents() const {
    return has_windows() || !offsets.empty() || (leading == 0 && length > 0);
  }
  // Axes of the stored samples in front of those of one row.
  int row_axes() const {
    if (!offsets.empty()) return 1;
    return has_extents() ? leading + 1 : leading;
  }
  friend bool operator==(const SampleLayout&, const SampleLayout&) = default;
};

// A shape whose last axis counts samples, with that axis in front.
Shape last_axis_first(const Shape& stored);

struct RowRange {
  int64_t first = 0, count = 0;
  int64_t end() const { return first + count; }
  friend bool operator==(const RowRange&, const RowRange&) = default;
};

// The samples of one file on the rows of its samples' dataset, counted from the file's first.
class SamplePlaces {
 public:
  SamplePlaces() = default;
  // Of rows, of a whole file, or of windows in series of one length. `stored`: the shape of the
  // dataset, which has layout.row_axes() axes or more.
  SamplePlaces(const SampleLayout& layout, const Shape& stored);
  // Of `samples` extents whose offsets are read with their block.
  static SamplePlaces with_offsets(int64_t samples, int64_t rows);
  // Of windows in series that end where the next one begins: offsets [series + 1], ascending.
  static SamplePlaces windows(const SampleLayout& layout, std::vector<int64_t> offsets);

  int64_t samples() const { return samples_; }
  int64_t series() const { return series_; }
  int64_t rows() const { return rows_; }
  // Series that are shorter than a window, so that no sample is of them.
  int64_t too_short() const;

  // Whether rows_of() can tell; otherwise the offsets are to be read.
  bool known() const { return kind_ != Kind::offsets; }
  RowRange rows_of(int64_t sample) const;
  int64_t series_of(int64_t sample) const;
  // Of windows in series of several lengths; otherwise empty.
  const std::vector<int64_t>& offsets() const { return offsets_; }

 private:
  enum class Kind : int8_t { rows, whole, windows, offsets, windows_of_extents };
  Kind kind_ = Kind::rows;
  int64_t samples_ = 0, series_ = 0, rows_ = 0;
  int64_t length_ = 1, hop_ = 1;
  int64_t series_rows_ = 1, series_samples_ = 1;  // of each, where they are alike
  std::vector<int64_t> offsets_, first_sample_;   // [series + 1], where they are not
};

}  // namespace lacuna
