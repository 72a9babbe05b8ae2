// What the program and its CUDA module know of each other. No header of CUDA.
#pragma once

#include "backend/dry_run_device.h"

namespace lacuna {

// Found by the program's run path: beside it in a build, in the library folder of an installation.
constexpr const char* cuda_module_file = "liblacuna_cuda.so";
constexpr const char* cuda_module_entry = "lacuna_make_cuda_device";
// Of type int: CUDA's version that it was built with, 1000 major + 10 minor.
constexpr const char* cuda_module_version = "lacuna_cuda_version";
constexpr const char* dry_run_device_entry = "lacuna_make_dry_run_device";
// What kernels are built for at the least: compute capability 8.0.
constexpr int least_capability = 8;
// A driver that only lets plans be made (planning_driver.c), under the driver's name once it is
// open.
constexpr const char* planning_driver_file = "liblacuna_planning_driver.so";

// The caller owns the device. Errors are thrown.
using MakeCudaDevice = Device* (*)(const GpuOptions& options);
using MakeDryRunDevice = DryRunDevice* (*)(const GpuOptions& options);

}  // namespace lacuna
