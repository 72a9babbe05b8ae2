// Vision transformers (Dosovitskiy et al. 2021, "An image is worth 16x16 words", as Touvron et al.
// 2021, DeiT, size them): ViT-Ti, S and B, of any patch size, with a class token or the mean over
// patches, with learned or sine positions, with stochastic depth. Parameter names are timm's.
#pragma once

#include "encoders/encoder.h"

namespace lacuna {

std::vector<Key> vit_keys();
std::unique_ptr<Encoder> make_vit(const Configuration& configuration, const Shape& sample,
                                  Scope scope);

struct VitOptions {
  int64_t features = 192;  // D; a multiple of heads, and of 4 for sine positions
  int64_t depth = 12;
  int64_t heads = 3;
  int64_t patch = 16;       // pixels along either side of a patch
  bool class_token = true;  // else the mean over patches is the representation
  bool sine_positions = false;
  double drop_path = 0;  // of the last block; of several it grows linearly from 0 at the first
};

// "vit_tiny", "vit_small" or "vit_base".
VitOptions vit_size(std::string_view name);

// For samples [H, W, C], H and W multiples of the patch.
std::unique_ptr<Encoder> make_vit(const VitOptions& options, const Shape& sample, Scope scope);

// Sine and cosine positions in two dimensions, as He et al. 2022 (MAE) have them: [rows * columns,
// D] in row-major order, D / 4 frequencies 10000^(-4 k / D): sin and cos of the column, then of the
// row.
std::vector<double> sine_positions(int64_t rows, int64_t columns, int64_t features);

}  // namespace lacuna
