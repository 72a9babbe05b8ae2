// The devices there are.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "backend/boards.h"
#include "backend/device.h"
#include "backend/dry_run_device.h"
#include "kernels/convolution.h"

namespace lacuna {

// A device by its name. `threads` counts the compute threads of this rank.
// `most`: the instruction set that kernels may use; `convolutions`: CpuDevice has both.
// An unknown name is bad_input that lists what there is; "cuda" where it cannot be is bad_input
// that says what is missing.
std::unique_ptr<Device> make_device(std::string_view name, int threads, Isa most = detect_isa(),
                                    const GpuOptions& gpu = {},
                                    ConvolutionMethods convolutions = ConvolutionMethods::direct);

// The fastest device that this process can have. Without a GPU's driver it answers in a
// millisecond.
std::string fastest_device();

// Needs neither driver nor GPU; from then on this process has no CUDA device. bad_input where the
// program was built without one.
std::unique_ptr<DryRunDevice> make_dry_run_device(const Board& board, const GpuOptions& options);

}  // namespace lacuna
