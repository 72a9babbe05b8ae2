#include "ops/list.h"

#include <array>

#include "graph/differentiate.h"
#include "ops/attention.h"
#include "ops/batch_norm.h"
#include "ops/collectives.h"
#include "ops/convolution.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/layer_norm.h"
#include "ops/matrix_product.h"
#include "ops/normalize.h"
#include "ops/nt_xent.h"
#include "ops/pooling.h"
#include "ops/shape.h"
#include "ops/squared_error.h"
#include "ops/tokens.h"
#include "ops/updates.h"
#include "ops/views.h"

namespace lacuna {

namespace {

constexpr std::array all = {
    // elementwise
    &accumulate_operation,
    &scale_operation,
    &multiply_operation,
    &hide_operation,
    &relu_operation,
    &relu_gradient_operation,
    &gelu_operation,
    &gelu_gradient_operation,
    &add_to_each_operation,
    &scale_rows_operation,
    &cast_operation,
    &squared_norm_operation,
    &count_correct_operation,
    // views of images
    &make_views_operation,
    // shape
    &reshape_operation,
    &stop_gradient_operation,
    &rows_operation,
    &place_rows_operation,
    &concatenate_operation,
    &prepend_token_operation,
    &take_tokens_operation,
    &place_tokens_operation,
    // matrix products and convolution
    &matrix_product_operation,
    &product_added_operation,
    &product_gelu_operation,
    &product_gelu_gradient_operation,
    &column_sum_operation,
    &convolution_operation,
    &convolution_data_gradient_operation,
    &convolution_weight_gradient_operation,
    // attention
    &attention_operation,
    &attention_gradient_operation,
    // normalisation
    &layer_norm_operation,
    &layer_norm_gradient_operation,
    &batch_norm_statistics_operation,
    &batch_norm_merge_operation,
    &batch_norm_fixed_moments_operation,
    &batch_norm_apply_operation,
    &batch_norm_gradient_statistics_operation,
    &batch_norm_gradient_apply_operation,
    &batch_norm_parameter_gradient_operation,
    &batch_norm_running_update_operation,
    &normalize_rows_operation,
    &normalize_rows_gradient_operation,
    // pooling
    &max_pool_operation,
    &max_pool_gradient_operation,
    &average_pool_operation,
    &average_pool_gradient_operation,
    &upsample_operation,
    &upsample_gradient_operation,
    // losses
    &nt_xent_operation,
    &nt_xent_gradient_operation,
    &softmax_cross_entropy_operation,
    &softmax_cross_entropy_gradient_operation,
    &squared_error_operation,
    &squared_error_gradient_operation,
    // over ranks
    &all_gather_operation,
    &reduce_scatter_sum_operation,
    &all_reduce_sum_operation,
    &all_reduce_bucket_operation,
    &scatter_sums_operation,
    &gather_slices_operation,
    // updates
    &sgd_update_operation,
    &lars_norms_operation,
    &lars_update_operation,
    &adamw_update_operation,
    &ema_update_operation,
    &clip_factor_operation,
};

}  // namespace

std::span<const Operation* const> operations() { return all; }

}  // namespace lacuna
