// Crop, resize, flips and turns: all four only decide where a view lies in its sample; one
// resampling then reads it, and one transpose writes it out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "augment/draw.h"
#include "augment/image/view_spec.h"
#include "augment/image/work_image.h"
#include "kernels/views.h"

namespace lacuna {

// The largest centred box with the proportions of the view.
CropPlacement centred_box(const ViewSpec& spec);

// Turns the view counter-clockwise by quarters x 90 degrees (as numpy.rot90).
void turn(CropPlacement& placement, uint64_t quarters);

// Random resized crop (Szegedy et al. 2015; Inception's): area uniform in options.crop, proportion
// log-uniform in options.crop_ratio; ten attempts, then the largest centred box with an allowed
// ratio.
void random_crop(const ViewSpec& spec, const TransformDraws& draws, CropPlacement& placement);
void random_flip(const ViewSpec& spec, const TransformDraws& draws, CropPlacement& placement);
void random_vertical_flip(const ViewSpec& spec, const TransformDraws& draws,
                          CropPlacement& placement);
void random_turn(const ViewSpec& spec, const TransformDraws& draws, CropPlacement& placement);

// Floats of scratch memory that resample() needs for any box of the sample.
size_t resample_scratch(const ViewSpec& spec);

// Reads the box of `sample` [spec.height, spec.width, channels] into `view`, whose sizes are set,
// by separable bilinear interpolation with half-pixel centres; where it shrinks, the triangle is
// widened by the factor (antialias, as torchvision's and Pillow's). Mirroring included,
// transposition not. An unchanged size copies exactly.
void resample(const ViewSpec& spec, const float* sample, const CropPlacement& placement,
              WorkImage& view, float* scratch);

// Writes the view channels-last to `to` [out_height, out_width, channels], normalised by
// (x - mean[c]) * inverse_std[c]; rows and columns exchanged if asked. `mean`, `inverse_std`: one
// value per element of a row, out_width * channels of each.
void write_view(const WorkImage& view, bool transposed, const float* mean, const float* inverse_std,
                float* to);

}  // namespace lacuna
