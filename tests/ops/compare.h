// How the conformance suite compares a device with the reference.
#pragma once

#include "ops/case.h"

namespace lacuna::test::ops {

// CHECKs output and gradients of a case on a device against the reference device's on the same
// operands: f32 to 1e-5 forward and 1e-4 backward, bf16 to 1e-2, f16 to 2e-3 (Euclidean norms;
// gradients that hardly count, of all).
void compare_with_reference(const Case& test, Device& device, DType dtype, PlanOptions options);

// The same as text: "" where they agree, else what a person needs to mend it (ops/failure.h). The
// numbers go to the HDF5 file that LACUNA_DUMP names, if it does.
std::string difference_from_reference(const Case& test, Device& device, DType dtype,
                                      PlanOptions options);

// Targets after one update.
std::vector<std::vector<double>> updated(const UpdateCase& test, Device& device);

}  // namespace lacuna::test::ops
