// Multilayer perceptron: linear layers, each with batch normalisation and ReLU, for vectors.
#pragma once

#include "encoders/encoder.h"

namespace lacuna {

std::vector<Key> mlp_keys();
std::unique_ptr<Encoder> make_mlp(const Configuration& configuration, const Shape& sample,
                                  Scope scope);

}  // namespace lacuna
