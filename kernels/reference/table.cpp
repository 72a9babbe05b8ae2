// The reference device's one table of kernels.
#include "kernels/reference/table.h"

#include <array>

#include "kernels/reference/kernels.h"

namespace lacuna {

namespace {

constexpr std::array table = {
    KernelEntry{"accumulate", DType::f64, reference::accumulate},
    KernelEntry{"scale", DType::f64, reference::scale},
    KernelEntry{"multiply", DType::f64, reference::multiply},
    KernelEntry{"hide", DType::f64, reference::hide},
    KernelEntry{"relu", DType::f64, reference::relu},
    KernelEntry{"relu_gradient", DType::f64, reference::relu_gradient},
    KernelEntry{"gelu", DType::f64, reference::gelu},
    KernelEntry{"gelu_gradient", DType::f64, reference::gelu_gradient},
    KernelEntry{"add_to_each", DType::f64, reference::add_to_each},
    KernelEntry{"cast", DType::f64, reference::cast},
    KernelEntry{"cast", DType::f32, reference::cast},
    KernelEntry{"cast", DType::bf16, reference::cast},
    KernelEntry{"cast", DType::i64, reference::cast},
    KernelEntry{"cast", DType::u8, reference::cast},
    KernelEntry{"squared_norm", DType::f64, reference::squared_norm},
    KernelEntry{"count_correct", DType::f64, reference::count_correct},
    KernelEntry{"normalize_rows", DType::f64, reference::normalize_rows},
    KernelEntry{"normalize_rows_gradient", DType::f64, reference::normalize_rows_gradient},
    KernelEntry{"scale_rows", DType::f64, reference::scale_rows},
    KernelEntry{"concatenate", DType::f64, reference::concatenate},
    KernelEntry{"place_rows", DType::f64, reference::place_rows},
    KernelEntry{"prepend_token", DType::f64, reference::prepend_token},
    KernelEntry{"take_tokens", DType::f64, reference::take_tokens},
    KernelEntry{"place_tokens", DType::f64, reference::place_tokens},
    KernelEntry{"layer_norm", DType::f64, reference::layer_norm},
    KernelEntry{"layer_norm_gradient", DType::f64, reference::layer_norm_gradient},
    KernelEntry{"attention", DType::f64, reference::attention},
    KernelEntry{"attention_gradient", DType::f64, reference::attention_gradient},
    KernelEntry{"matrix_product", DType::f64, reference::matrix_product},
    KernelEntry{"product_added", DType::f64, reference::product_added},
    KernelEntry{"product_gelu", DType::f64, reference::product_gelu},
    KernelEntry{"product_gelu_gradient", DType::f64, reference::product_gelu_gradient},
    KernelEntry{"column_sum", DType::f64, reference::column_sum},
    KernelEntry{"convolution", DType::f64, reference::convolution},
    KernelEntry{"convolution_data_gradient", DType::f64, reference::convolution_data_gradient},
    KernelEntry{"convolution_weight_gradient", DType::f64, reference::convolution_weight_gradient},
    KernelEntry{"batch_norm_statistics", DType::f64, reference::batch_norm_statistics},
    KernelEntry{"batch_norm_merge", DType::f64, reference::batch_norm_merge},
    KernelEntry{"batch_norm_fixed_moments", DType::f64, reference::batch_norm_fixed_moments},
    KernelEntry{"batch_norm_apply", DType::f64, reference::batch_norm_apply},
    KernelEntry{"batch_norm_gradient_statistics", DType::f64,
                reference::batch_norm_gradient_statistics},
    KernelEntry{"batch_norm_gradient_apply", DType::f64, reference::batch_norm_gradient_apply},
    KernelEntry{"batch_norm_parameter_gradient", DType::f64,
                reference::batch_norm_parameter_gradient},
    KernelEntry{"batch_norm_running_update", DType::f64, reference::batch_norm_running_update},
    KernelEntry{"max_pool", DType::f64, reference::max_pool},
    KernelEntry{"max_pool_gradient", DType::f64, reference::max_pool_gradient},
    KernelEntry{"average_pool", DType::f64, reference::average_pool},
    KernelEntry{"average_pool_gradient", DType::f64, reference::average_pool_gradient},
    KernelEntry{"upsample", DType::f64, reference::upsample},
    KernelEntry{"upsample_gradient", DType::f64, reference::upsample_gradient},
    KernelEntry{"nt_xent", DType::f64, reference::nt_xent},
    KernelEntry{"nt_xent_gradient", DType::f64, reference::nt_xent_gradient},
    KernelEntry{"softmax_cross_entropy", DType::f64, reference::softmax_cross_entropy},
    KernelEntry{"softmax_cross_entropy_gradient", DType::f64,
                reference::softmax_cross_entropy_gradient},
    KernelEntry{"squared_error", DType::f64, reference::squared_error},
    KernelEntry{"squared_error_gradient", DType::f64, reference::squared_error_gradient},
    KernelEntry{"sgd_update", DType::f64, reference::sgd_update},
    KernelEntry{"lars_norms", DType::f64, reference::lars_norms},
    KernelEntry{"lars_update", DType::f64, reference::lars_update},
    KernelEntry{"adamw_update", DType::f64, reference::adamw_update},
    KernelEntry{"ema_update", DType::f64, reference::ema_update},
    KernelEntry{"make_views", DType::u8, reference::make_views},
    KernelEntry{"make_views", DType::u16, reference::make_views},
    KernelEntry{"make_views", DType::i16, reference::make_views},
    KernelEntry{"clip_factor", DType::f64, reference::clip_factor},
};

}  // namespace

std::span<const KernelEntry> reference_kernels() { return table; }

}  // namespace lacuna
