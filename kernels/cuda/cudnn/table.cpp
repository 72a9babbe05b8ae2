#include <array>

#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/cudnn/kernels.h"
#include "kernels/cuda/table.h"

namespace lacuna {

namespace {

using enum DType;

constexpr std::array library_table = {
    KernelEntry{"convolution", f32, cuda::library::convolution},
    KernelEntry{"convolution", bf16, cuda::library::convolution},
    KernelEntry{"convolution", f16, cuda::library::convolution},
    KernelEntry{"convolution_data_gradient", f32, cuda::library::convolution_data_gradient},
    KernelEntry{"convolution_data_gradient", bf16, cuda::library::convolution_data_gradient},
    KernelEntry{"convolution_data_gradient", f16, cuda::library::convolution_data_gradient},
    KernelEntry{"convolution_weight_gradient", f32, cuda::library::convolution_weight_gradient},
    KernelEntry{"convolution_weight_gradient", bf16, cuda::library::convolution_weight_gradient},
    KernelEntry{"convolution_weight_gradient", f16, cuda::library::convolution_weight_gradient},
    KernelEntry{"matrix_product", f32, cuda::library::matrix_product},
    KernelEntry{"matrix_product", bf16, cuda::library::matrix_product},
    KernelEntry{"matrix_product", f16, cuda::library::matrix_product},
    KernelEntry{"product_added", bf16, cuda::library::product_added},
    KernelEntry{"product_added", f16, cuda::library::product_added},
    KernelEntry{"product_gelu", bf16, cuda::library::product_gelu},
    KernelEntry{"product_gelu", f16, cuda::library::product_gelu},
    KernelEntry{"product_gelu_gradient", bf16, cuda::library::product_gelu_gradient},
    KernelEntry{"product_gelu_gradient", f16, cuda::library::product_gelu_gradient},
    KernelEntry{"layer_norm", f32, cuda::library::layer_norm},
    KernelEntry{"layer_norm", bf16, cuda::library::layer_norm},
    KernelEntry{"layer_norm", f16, cuda::library::layer_norm},
    KernelEntry{"layer_norm_gradient", f32, cuda::library::layer_norm_gradient},
    KernelEntry{"layer_norm_gradient", bf16, cuda::library::layer_norm_gradient},
    KernelEntry{"layer_norm_gradient", f16, cuda::library::layer_norm_gradient},
    KernelEntry{"attention", bf16, cuda::library::attention},
    KernelEntry{"attention", f16, cuda::library::attention},
    KernelEntry{"attention_gradient", bf16, cuda::library::attention_gradient},
    KernelEntry{"attention_gradient", f16, cuda::library::attention_gradient},
};

}  // namespace

std::span<const KernelEntry> cudnn_kernels() { return library_table; }

Kernel find_cuda_kernel(std::string_view operation, DType dtype) {
  for (const auto table : {cudnn_kernels(), cuda_kernels()}) {
    for (const KernelEntry& entry : table) {
      if (entry.operation == operation && entry.dtype == dtype) return entry.kernel;
    }
  }
  return nullptr;
}

}  // namespace lacuna
