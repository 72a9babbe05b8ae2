// What the program and its CUDA module know of each other. No header of CUDA.
#pragma once

#include "backend/device.h"

namespace lacuna {

// Found by the program's run path: beside it in a build, in the library folder of an installation.
constexpr const char* cuda_module_file = "liblacuna_cuda.so";
constexpr const char* cuda_module_entry = "lacuna_make_cuda_device";

// The caller owns the device. Errors are thrown.
using MakeCudaDevice = Device* (*)(const GpuOptions& options);

}  // namespace lacuna
