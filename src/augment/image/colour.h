// Operations on colours. Brightness, contrast and saturation clamp to [0, 1], as torchvision's do.
// "Grey" is 0.2989 R + 0.587 G + 0.114 B where a view has three channels and otherwise the mean
// over its channels.
#pragma once

#include "augment/draw.h"
#include "augment/image/view_spec.h"
#include "augment/image/work_image.h"
#include "kernels/views.h"

namespace lacuna {

void adjust_brightness(WorkImage& view, float factor);  // x * factor
void adjust_contrast(WorkImage& view,
                     float factor);  // from the view's mean grey: m + (x - m) * factor
void adjust_contrast_of_channels(WorkImage& view, float factor);  // from each channel's mean
void adjust_saturation(WorkImage& view,
                       float factor);          // from the pixel's grey: g + (x - g) * factor
void adjust_hue(WorkImage& view, float turn);  // of the colour circle, in [-0.5, 0.5]; 3 channels
void to_grey(WorkImage& view);                 // all channels become the pixel's grey
void solarise(WorkImage& view, float threshold);  // x >= threshold becomes 1 - x
void fill_channel(WorkImage& view, int64_t channel, float value);

// Colour jitter: one factor for each of the four, in random order.
void draw_jitter(const ViewSpec& spec, const TransformDraws& draws, ViewDraws& drawn);
void draw_greyscale(const ViewSpec& spec, const TransformDraws& draws, ViewDraws& drawn);
void draw_solarise(const ViewSpec& spec, const TransformDraws& draws, ViewDraws& drawn);
void draw_channel_drop(const ViewSpec& spec, const TransformDraws& draws, ViewDraws& drawn);

void apply_jitter(const ViewSpec& spec, const ViewDraws& drawn, WorkImage& view, float* scratch);
void apply_greyscale(const ViewSpec& spec, const ViewDraws& drawn, WorkImage& view, float* scratch);
void apply_solarise(const ViewSpec& spec, const ViewDraws& drawn, WorkImage& view, float* scratch);
// One channel becomes its mean, so 0 after normalisation.
void apply_channel_drop(const ViewSpec& spec, const ViewDraws& drawn, WorkImage& view,
                        float* scratch);

}  // namespace lacuna
