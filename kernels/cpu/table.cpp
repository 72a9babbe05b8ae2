// The CPU device's one table of kernels.
#include "kernels/cpu/table.h"

#include <array>

#include "kernels/cpu/kernels.h"

namespace lacuna {

namespace {

using enum DType;

constexpr std::array table = {
    KernelEntry{"convolution", f32, cpu::convolution},
    KernelEntry{"convolution", bf16, cpu::convolution},
    KernelEntry{"convolution_data_gradient", f32, cpu::convolution_data_gradient},
    KernelEntry{"convolution_data_gradient", bf16, cpu::convolution_data_gradient},
    KernelEntry{"convolution_weight_gradient", f32, cpu::convolution_weight_gradient},
    KernelEntry{"convolution_weight_gradient", bf16, cpu::convolution_weight_gradient},
    KernelEntry{"matrix_product", f32, cpu::matrix_product},
    KernelEntry{"matrix_product", bf16, cpu::matrix_product},
    KernelEntry{"column_sum", f32, cpu::column_sum},
    KernelEntry{"column_sum", bf16, cpu::column_sum},
    KernelEntry{"batch_norm_statistics", f32, cpu::batch_norm_statistics},
    KernelEntry{"batch_norm_statistics", bf16, cpu::batch_norm_statistics},
    KernelEntry{"batch_norm_merge", f64, cpu::batch_norm_merge},
    KernelEntry{"batch_norm_fixed_moments", f32, cpu::batch_norm_fixed_moments},
    KernelEntry{"batch_norm_apply", f32, cpu::batch_norm_apply},
    KernelEntry{"batch_norm_apply", bf16, cpu::batch_norm_apply},
    KernelEntry{"batch_norm_gradient_statistics", f32, cpu::batch_norm_gradient_statistics},
    KernelEntry{"batch_norm_gradient_statistics", bf16, cpu::batch_norm_gradient_statistics},
    KernelEntry{"batch_norm_gradient_apply", f32, cpu::batch_norm_gradient_apply},
    KernelEntry{"batch_norm_gradient_apply", bf16, cpu::batch_norm_gradient_apply},
    KernelEntry{"batch_norm_parameter_gradient", f64, cpu::batch_norm_parameter_gradient},
    KernelEntry{"batch_norm_running_update", f64, cpu::batch_norm_running_update},
    KernelEntry{"accumulate", f32, cpu::accumulate},
    KernelEntry{"accumulate", bf16, cpu::accumulate},
    KernelEntry{"cast", f64, cpu::cast},
    KernelEntry{"cast", f32, cpu::cast},
    KernelEntry{"cast", bf16, cpu::cast},
    KernelEntry{"cast", i64, cpu::cast},
    KernelEntry{"cast", i32, cpu::cast},
    KernelEntry{"cast", u16, cpu::cast},
    KernelEntry{"cast", i16, cpu::cast},
    KernelEntry{"cast", u8, cpu::cast},
    KernelEntry{"scale", f64, cpu::scale},
    KernelEntry{"scale", f32, cpu::scale},
    KernelEntry{"scale", bf16, cpu::scale},
    KernelEntry{"multiply", f32, cpu::multiply},
    KernelEntry{"multiply", bf16, cpu::multiply},
    KernelEntry{"hide", f32, cpu::hide},
    KernelEntry{"hide", bf16, cpu::hide},
    KernelEntry{"relu", f32, cpu::relu},
    KernelEntry{"relu", bf16, cpu::relu},
    KernelEntry{"relu_gradient", f32, cpu::relu_gradient},
    KernelEntry{"relu_gradient", bf16, cpu::relu_gradient},
    KernelEntry{"squared_norm", f32, cpu::squared_norm},
    KernelEntry{"squared_norm", bf16, cpu::squared_norm},
    KernelEntry{"count_correct", f32, cpu::count_correct},
    KernelEntry{"count_correct", bf16, cpu::count_correct},
    KernelEntry{"max_pool", f32, cpu::max_pool},
    KernelEntry{"max_pool", bf16, cpu::max_pool},
    KernelEntry{"max_pool_gradient", f32, cpu::max_pool_gradient},
    KernelEntry{"max_pool_gradient", bf16, cpu::max_pool_gradient},
    KernelEntry{"average_pool", f32, cpu::average_pool},
    KernelEntry{"average_pool", bf16, cpu::average_pool},
    KernelEntry{"average_pool_gradient", f32, cpu::average_pool_gradient},
    KernelEntry{"average_pool_gradient", bf16, cpu::average_pool_gradient},
    KernelEntry{"upsample", f32, cpu::upsample},
    KernelEntry{"upsample", bf16, cpu::upsample},
    KernelEntry{"upsample_gradient", f32, cpu::upsample_gradient},
    KernelEntry{"upsample_gradient", bf16, cpu::upsample_gradient},
    KernelEntry{"normalize_rows", f32, cpu::normalize_rows},
    KernelEntry{"normalize_rows", bf16, cpu::normalize_rows},
    KernelEntry{"normalize_rows_gradient", f32, cpu::normalize_rows_gradient},
    KernelEntry{"normalize_rows_gradient", bf16, cpu::normalize_rows_gradient},
    KernelEntry{"concatenate", f32, cpu::concatenate},
    KernelEntry{"concatenate", bf16, cpu::concatenate},
    KernelEntry{"concatenate", i64, cpu::concatenate},
    KernelEntry{"place_rows", f32, cpu::place_rows},
    KernelEntry{"place_rows", bf16, cpu::place_rows},
    KernelEntry{"place_rows", i64, cpu::place_rows},
    KernelEntry{"softmax_cross_entropy", f32, cpu::softmax_cross_entropy},
    KernelEntry{"softmax_cross_entropy_gradient", f32, cpu::softmax_cross_entropy_gradient},
    KernelEntry{"squared_error", f32, cpu::squared_error},
    KernelEntry{"squared_error_gradient", f32, cpu::squared_error_gradient},
    KernelEntry{"nt_xent", f32, cpu::nt_xent},
    KernelEntry{"nt_xent_gradient", f32, cpu::nt_xent_gradient},
    KernelEntry{"sgd_update", f32, cpu::sgd_update},
    KernelEntry{"lars_update", f32, cpu::lars_update},
    KernelEntry{"adamw_update", f32, cpu::adamw_update},
    KernelEntry{"ema_update", f32, cpu::ema_update},
    KernelEntry{"clip_factor", f64, cpu::clip_factor},
};

}  // namespace

std::span<const KernelEntry> cpu_kernels() { return table; }

}  // namespace lacuna
