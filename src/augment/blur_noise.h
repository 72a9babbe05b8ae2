// Gaussian blur and Gaussian noise.
#pragma once

#include <cstddef>

#include "augment/draw.h"
#include "augment/view_plan.h"
#include "augment/work_image.h"

namespace lacuna {

inline constexpr int64_t max_blur_radius = 127;

// Floats of scratch memory that gaussian_blur needs.
size_t blur_scratch(const ViewPlan& plan);

// Separable blur with the kernel exp(-d^2 / (2 sigma^2)), |d| <= radius, made to sum to 1; edges
// are reflected without repeating the edge pixel. Needs radius < width and height. Weights below
// 1e-7 of the middle one are left out.
void gaussian_blur(WorkImage& view, int64_t radius, double sigma, float* scratch);

// Adds sigma times standard normal draws, one per value, and clamps to [0, 1].
void gaussian_noise(WorkImage& view, float sigma, const TransformDraws& draws);

void random_blur(const ViewPlan& plan, const TransformDraws& draws, WorkImage& view,
                 float* scratch);
void random_noise(const ViewPlan& plan, const TransformDraws& draws, WorkImage& view,
                  float* scratch);

}  // namespace lacuna
