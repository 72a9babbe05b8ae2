#include "io/hdf5_spaces.h"

#include <algorithm>

namespace lacuna::hdf5 {

std::optional<Shape> shape_of(std::span<const int64_t> sizes) {
  constexpr int64_t most_values = int64_t{1} << 59;
  if (sizes.size() > Shape::max_rank) return std::nullopt;
  int64_t product = 1;  // of the axes that are not empty: what a part of the shape may hold
  for (const int64_t size : sizes) {
    if (size < 0 || size > most_values / product) return std::nullopt;
    product *= std::max<int64_t>(1, size);
  }
  return Shape(sizes);
}

std::vector<hsize_t> sizes_of(const Shape& shape) {
  return {shape.sizes().begin(), shape.sizes().end()};
}

std::optional<Shape> shape_of_dims(const std::vector<hsize_t>& dims) {
  const std::vector<int64_t> sizes(dims.begin(), dims.end());  // beyond 2^63: negative
  return shape_of(sizes);
}

std::optional<Shape> shape_of_space(hid_t space) {
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0) return std::nullopt;
  std::vector<hsize_t> dims(static_cast<size_t>(rank));
  if (rank > 0 && H5Sget_simple_extent_dims(space, dims.data(), nullptr) < 0) return std::nullopt;
  return shape_of_dims(dims);
}

Handle new_space(const Shape& shape, bool growing) {
  if (shape.rank() == 0) return own<H5Sclose>(H5Screate(H5S_SCALAR));
  const std::vector<hsize_t> dims = sizes_of(shape);
  std::vector<hsize_t> most = dims;
  if (growing) most[0] = H5S_UNLIMITED;
  return own<H5Sclose>(H5Screate_simple(shape.rank(), dims.data(), most.data()));
}

Handle select_rows(hid_t dataset, const Shape& shape, int64_t first, int64_t count, int axis) {
  Handle space = own<H5Sclose>(H5Dget_space(dataset));
  if (shape.rank() == 0) return space;
  LACUNA_CHECK(first >= 0 && count >= 0 && first + count <= shape[axis], "rows ", first, " + ",
               count, " of ", shape);
  std::vector<hsize_t> start(static_cast<size_t>(shape.rank()), 0);
  std::vector<hsize_t> size = sizes_of(shape);
  start[static_cast<size_t>(axis)] = static_cast<hsize_t>(first);
  size[static_cast<size_t>(axis)] = static_cast<hsize_t>(count);
  if (count == 0) {
    H5Sselect_none(space.id());
  } else {
    H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr);
  }
  return space;
}

Shape with_rows(const Shape& shape, int64_t count, int axis) {
  if (shape.rank() == 0) return shape;
  Shape rows = shape;
  rows.set(axis, count);
  return rows;
}

uint64_t file_bytes(hid_t object) {
  const Handle file = own<H5Fclose>(H5Iget_file_id(object));
  hsize_t bytes = 0;
  return file && H5Fget_filesize(file.id(), &bytes) >= 0 ? bytes : 0;
}

}  // namespace lacuna::hdf5
