#include "kernels/cuda/table.h"

#include <array>

#include "kernels/cuda/kernels.h"

namespace lacuna {

namespace {

using enum DType;

constexpr std::array table = {
    KernelEntry{"accumulate", f32, cuda::accumulate},
    KernelEntry{"accumulate", bf16, cuda::accumulate},
    KernelEntry{"scale", f32, cuda::scale},
    KernelEntry{"scale", bf16, cuda::scale},
    KernelEntry{"multiply", f32, cuda::multiply},
    KernelEntry{"multiply", bf16, cuda::multiply},
    KernelEntry{"hide", f32, cuda::hide},
    KernelEntry{"hide", bf16, cuda::hide},
    KernelEntry{"relu", f32, cuda::relu},
    KernelEntry{"relu", bf16, cuda::relu},
    KernelEntry{"relu_gradient", f32, cuda::relu_gradient},
    KernelEntry{"relu_gradient", bf16, cuda::relu_gradient},
    KernelEntry{"gelu", f32, cuda::gelu},
    KernelEntry{"gelu", bf16, cuda::gelu},
    KernelEntry{"gelu_gradient", f32, cuda::gelu_gradient},
    KernelEntry{"gelu_gradient", bf16, cuda::gelu_gradient},
    KernelEntry{"add_to_each", f32, cuda::add_to_each},
    KernelEntry{"add_to_each", bf16, cuda::add_to_each},
};

}  // namespace

std::span<const KernelEntry> cuda_kernels() { return table; }

}  // namespace lacuna
