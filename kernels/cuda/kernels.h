// The kernels of the CUDA device; what each computes stands in kernels/<family>.h.
#pragma once

#include "kernels/kernel.h"

namespace lacuna::cuda {

// kernels/elementwise.h
void accumulate(const Call& call);
void scale(const Call& call);
void multiply(const Call& call);
void hide(const Call& call);
void relu(const Call& call);
void relu_gradient(const Call& call);
void gelu(const Call& call);
void gelu_gradient(const Call& call);
void add_to_each(const Call& call);
void cast(const Call& call);
void squared_norm(const Call& call);
void count_correct(const Call& call);

// kernels/rows.h
void normalize_rows(const Call& call);
void normalize_rows_gradient(const Call& call);
void scale_rows(const Call& call);
void concatenate(const Call& call);
void place_rows(const Call& call);

// kernels/tokens.h
void prepend_token(const Call& call);
void take_tokens(const Call& call);
void place_tokens(const Call& call);

// kernels/matrix_product.h
void column_sum(const Call& call);

// kernels/batch_norm.h
void batch_norm_statistics(const Call& call);
void batch_norm_merge(const Call& call);
void batch_norm_fixed_moments(const Call& call);
void batch_norm_apply(const Call& call);
void batch_norm_gradient_statistics(const Call& call);
void batch_norm_gradient_apply(const Call& call);
void batch_norm_parameter_gradient(const Call& call);
void batch_norm_running_update(const Call& call);

// kernels/pooling.h
void max_pool(const Call& call);
void max_pool_gradient(const Call& call);
void average_pool(const Call& call);
void average_pool_gradient(const Call& call);
void upsample(const Call& call);
void upsample_gradient(const Call& call);

// kernels/nt_xent.h
void nt_xent(const Call& call);
void nt_xent_gradient(const Call& call);

// kernels/losses.h
void softmax_cross_entropy(const Call& call);
void softmax_cross_entropy_gradient(const Call& call);
void squared_error(const Call& call);
void squared_error_gradient(const Call& call);

// kernels/optimizers.h
void sgd_update(const Call& call);
void lars_update(const Call& call);
void adamw_update(const Call& call);
void ema_update(const Call& call);
void clip_factor(const Call& call);

}  // namespace lacuna::cuda
