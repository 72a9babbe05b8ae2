// Gaussian blur and Gaussian noise.
#pragma once

#include <array>
#include <cstddef>

#include "augment/draw.h"
#include "augment/image/view_spec.h"
#include "augment/image/work_image.h"
#include "kernels/views.h"

namespace lacuna {

inline constexpr int64_t max_blur_radius = 127;

// Floats of scratch memory that gaussian_blur needs.
size_t blur_scratch(const ViewSpec& spec);

// Separable blur with the kernel exp(-d^2 / (2 sigma^2)), |d| <= radius, made to sum to 1; edges
// are reflected without repeating the edge pixel. Needs radius < width and height. Weights below
// 1e-7 of the middle one are left out.
void gaussian_blur(WorkImage& view, int64_t radius, double sigma, float* scratch);

// Adds sigma times standard normal draws, one per value, and clamps to [0, 1]. Philox's inputs for
// the first values; see ViewDraws.
void gaussian_noise(WorkImage& view, float sigma, const std::array<uint32_t, 2>& key,
                    const std::array<uint32_t, 4>& counter);

void draw_blur(const ViewSpec& spec, const TransformDraws& draws, ViewDraws& drawn);
void draw_noise(const ViewSpec& spec, const TransformDraws& draws, ViewDraws& drawn);

void apply_blur(const ViewSpec& spec, const ViewDraws& drawn, WorkImage& view, float* scratch);
void apply_noise(const ViewSpec& spec, const ViewDraws& drawn, WorkImage& view, float* scratch);

}  // namespace lacuna
