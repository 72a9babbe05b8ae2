// cuDNN's graph API: the families that the library computes, their plans, and their execution. No
// header of cuDNN here: cudnn/library.h alone includes NVIDIA's layer over it.
//
// A plan is made by the library's heuristics when a problem is first seen, which takes
// milliseconds, or up to a second where the engine is compiled on the spot, and is kept for the
// life of the device.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/kernel.h"

namespace lacuna {

struct CudnnOptions {
  int device = 0;             // CUDA's number of the device at hand
  bool deterministic = true;  // only engines that give the same bits in every run
  bool tf32 = false;          // f32 operands may be rounded to 10 bits of mantissa
  // Engines by problem that are taken instead of the heuristics' first choice; one that is not
  // offered is bad_input.
  std::map<std::string, std::string> engines = {};
  bool time_plans =
      false;  // the fastest of the plans that are offered, found when a problem is first executed
  // Properties of a board as cuDNN writes them, in JSON: plans are made for it and not for the
  // device at hand. "" for that.
  std::string board = "";
  bool plans_only = false;  // there is no device: plans are made and not executed
};

// A plan, as tables of plans list it.
struct CudnnPlan {
  std::string problem;    // operation, types and sizes
  std::string engine;     // the library's name of engine and knobs; "": none, a kernel of ours runs
  int64_t workspace = 0;  // bytes
  int64_t candidates = 0;  // plans that the heuristics offered
};

class Cudnn {
 public:
  Cudnn(cudaStream_t stream, const CudnnOptions& options);
  ~Cudnn();
  const CudnnOptions& options() const { return options_; }
  // All plans made so far, by problem.
  std::vector<CudnnPlan> plans() const;
  // 91900 for 9.19.
  static size_t version();

  class Library;  // of cudnn/library.h
  Library& library() { return *library_; }

 private:
  CudnnOptions options_;
  std::unique_ptr<Library> library_;
};

// A kernel of the library, or else one of ours; nullptr if there is neither.
Kernel find_cuda_kernel(std::string_view operation, DType dtype);

// Operations that the library computes. Looked up before cuda_kernels(), whose kernels they fall
// back to where the library has no plan: f32 products without TF32, heads whose width is no
// multiple of 8.
std::span<const KernelEntry> cudnn_kernels();

}  // namespace lacuna
