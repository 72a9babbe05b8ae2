// Views of vectors (rows of a table): samples [D]. Corruption as SCARF's (Bahri et al. 2022): a
// random part of the features is replaced by values that the same features have in other samples.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "augment/augmentation.h"

namespace lacuna {

struct Key;
class Configuration;

struct VectorOptions {
  // Share of the features that are replaced, of view 0, 1, …; the last holds for the rest.
  std::vector<double> corrupt = {0, 0.6};
  double mask = 0.25;  // share of the features that the objective hides
};

// augment.*, of data.kind = "vector".
std::vector<Key> vector_augment_keys();
VectorOptions vector_augment_options(const Configuration& configuration);

// What is known of each feature, in units of the sample's values.
struct FeatureFacts {
  std::vector<float> mean, std;
  std::vector<float> marginals;  // [K, D]: K samples, each feature's value of which may replace it
};

// "view0", "view1", …: each with exactly round(corrupt * D) features replaced, normalised, [D].
std::unique_ptr<Augmentation> vector_views(const Shape& sample, int views,
                                           const VectorOptions& options, const FeatureFacts& facts);

// "view0", corrupted as view 0 is; "target", the sample itself (only where view 0 is corrupted);
// and "mask", float32 [D]: 1 on exactly round(mask * D) features.
std::unique_ptr<Augmentation> masked_vector(const Shape& sample, const VectorOptions& options,
                                            const FeatureFacts& facts);

// "view0": the sample itself, normalised.
std::unique_ptr<Augmentation> plain_vector(const Shape& sample, const FeatureFacts& facts);

}  // namespace lacuna
