// The rows that an augmentation makes of one sample.
#pragma once

#include <vector>

#include "augment/augmentation.h"

namespace lacuna::test {

// Every field, as floats.
inline std::vector<std::vector<float>> augmented(const Augmentation& augmentation,
                                                 const std::vector<float>& sample,
                                                 const SampleKey& key = {}) {
  std::vector<HostTensor> fields;
  std::vector<void*> to;
  for (const OutputField& field : augmentation.outputs())
    to.push_back(fields.emplace_back(field.dtype, field.shape).data());
  Scratch scratch;
  augmentation.apply(sample.data(), key, to, scratch);
  std::vector<std::vector<float>> rows;
  for (const HostTensor& field : fields)
    rows.emplace_back(field.as<float>().begin(), field.as<float>().end());
  return rows;
}

}  // namespace lacuna::test
