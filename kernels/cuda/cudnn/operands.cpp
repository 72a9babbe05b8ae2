#include "kernels/cuda/cudnn/operands.h"

#include <algorithm>

#include "kernels/cuda/support/errors.h"
#include "kernels/cuda/support/table.h"
#include "kernels/cuda/support/weights.h"

namespace lacuna::cuda::library {

CudaContext& context(const Call& call) { return static_cast<CudaContext&>(call.context); }
Cudnn::Library& library(const Call& call) { return context(call).cudnn().library(); }

void run_ours(std::string_view operation, const Call& call) {
  const Kernel kernel = find_kernel(cuda_kernels(), operation, call.in[0].dtype);
  LACUNA_CHECK(kernel != nullptr, operation, " of ", name_of(call.in[0].dtype));
  kernel(call);
}

size_t bytes_of(DType dtype, int64_t count) { return static_cast<size_t>(count) * size_of(dtype); }

void clear(const Call& call, const View& view) {
  if (!context(call).starts_kernels()) return;
  cuda::check(
      cudaMemsetAsync(view.data, 0, bytes_of(view.dtype, view.count()), context(call).stream()),
      "clearing a gradient");
}

bool is_aligned(const void* data) { return reinterpret_cast<uintptr_t>(data) % 16 == 0; }
bool all_aligned(const Call& call) {
  const auto aligned = [](const View& view) { return is_aligned(view.data); };
  return std::all_of(call.in.begin(), call.in.end(), aligned) &&
         std::all_of(call.out.begin(), call.out.end(), aligned);
}

Sizes channels_last(const Sizes& sizes) {
  Sizes strides(sizes.size());
  int64_t stride = sizes[1];
  strides[1] = 1;
  for (size_t i = sizes.size(); i-- > 2; stride *= sizes[i]) strides[i] = stride;
  strides[0] = stride;
  return strides;
}
Sizes contiguous(const Sizes& sizes) {
  Sizes strides(sizes.size());
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0; stride *= sizes[i]) strides[i] = stride;
  return strides;
}

Activations::Activations(const View& view, int64_t rows, int64_t channels, int64_t padded,
                         Parts& parts)
    : view_(view),
      rows_(rows),
      channels_(channels),
      padded_(padded),
      copied_(channels != padded || !is_aligned(view.data)),
      part_(copied_ ? parts.add(bytes_of(view.dtype, rows * padded)) : 0) {}

const void* Activations::read(const Call& call, const Parts& parts) const {
  if (!copied_) return view_.data;
  pad_channels(call, view_.data, parts.at(part_), view_.dtype, rows_, channels_, padded_);
  return parts.at(part_);
}

void Activations::written(const Call& call, const Parts& parts) const {
  if (copied_)
    drop_channels(call, parts.at(part_), view_.data, view_.dtype, rows_, channels_, padded_);
}

}  // namespace lacuna::cuda::library
