// Features: representations (or pixels) of samples with their targets, in host memory, as the tasks
// on fixed representations read them.
#pragma once

#include <cstdint>
#include <vector>

#include "base/host_tensor.h"
#include "tasks/targets.h"

namespace lacuna {

struct Features {
  HostTensor values;  // f32 [N, D]
  Targets targets;    // of N samples
  int64_t count() const { return values.shape()[0]; }
  int64_t dimension() const { return values.shape()[1]; }
};

// The rows named, in that order.
HostTensor select_rows(const HostTensor& all, const std::vector<int64_t>& rows);
Features select_rows(const Features& all, const std::vector<int64_t>& rows);

// Mean and standard deviation per dimension.
struct Standardisation {
  std::vector<double> mean, deviation;
};
Standardisation standardisation(const HostTensor& features);
// Each dimension to mean 0 and deviation 1 (as of `by`); constant dimensions become 0.
void standardise(HostTensor& features, const Standardisation& by);

int64_t class_count(const std::vector<int64_t>& labels);

}  // namespace lacuna
