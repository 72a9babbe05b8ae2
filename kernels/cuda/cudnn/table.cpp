#include <array>

#include "kernels/cuda/cudnn/kernels.h"
#include "kernels/cuda/support/cudnn.h"
#include "kernels/cuda/support/table.h"

namespace lacuna {

namespace {

using enum DType;

constexpr std::array library_table = {
    KernelEntry{"convolution", {f32, bf16, f16}, cuda::library::convolution},
    KernelEntry{
        "convolution_data_gradient", {f32, bf16, f16}, cuda::library::convolution_data_gradient},
    KernelEntry{"convolution_weight_gradient",
                {f32, bf16, f16},
                cuda::library::convolution_weight_gradient},
    KernelEntry{"matrix_product", {f32, bf16, f16}, cuda::library::matrix_product},
    KernelEntry{"product_added", {bf16, f16}, cuda::library::product_added},
    KernelEntry{"product_gelu", {bf16, f16}, cuda::library::product_gelu},
    KernelEntry{"product_gelu_gradient", {bf16, f16}, cuda::library::product_gelu_gradient},
    KernelEntry{"layer_norm", {f32, bf16, f16}, cuda::library::layer_norm},
    KernelEntry{"layer_norm_gradient", {f32, bf16, f16}, cuda::library::layer_norm_gradient},
    KernelEntry{"attention", {bf16, f16}, cuda::library::attention},
    KernelEntry{"attention_gradient", {bf16, f16}, cuda::library::attention_gradient},
};

}  // namespace

std::span<const KernelEntry> cudnn_kernels() { return library_table; }

Kernel find_cuda_kernel(std::string_view operation, DType dtype) {
  const Kernel of_library = find_kernel(cudnn_kernels(), operation, dtype);
  return of_library != nullptr ? of_library : find_kernel(cuda_kernels(), operation, dtype);
}

}  // namespace lacuna
