// cuDNN's library handle with the plans made so far, and tensors of their graphs. This header alone
// includes NVIDIA's layer over the graph API.
#pragma once

#include <cudnn_frontend.h>

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernels/cuda/cudnn/operands.h"
#include "kernels/cuda/support/cudnn.h"

namespace lacuna {

namespace fe = cudnn_frontend;

// A graph with the plan that runs it. Its tensors are numbered from 1 on, in the order in which
// execute() is given their addresses.
class Cudnn::Library {
 public:
  struct ExecutionPlan {
    fe::graph::Graph graph;
    CudnnPlan description;
    size_t workspace = 0;
    bool to_be_timed = false;
    std::string refused;  // why the library has none
  };
  using Describe = std::function<void(fe::graph::Graph&)>;

  Library(cudaStream_t stream, const CudnnOptions& options);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  // `describe` fills a graph whose tensors are of `type`, where the problem is new. nullptr where
  // the library has no plan for it.
  ExecutionPlan* find(const std::string& problem, DType type, const Describe& describe);
  // For what nothing else computes: an Error where the library has no plan.
  ExecutionPlan& plan(const std::string& problem, DType type, const Describe& describe);

  void execute(ExecutionPlan& plan, std::initializer_list<const void*> operands, void* workspace) {
    execute(plan, std::span(operands.begin(), operands.size()), workspace);
  }
  void execute(ExecutionPlan& plan, std::span<const void* const> operands, void* workspace);

  // By problem; those that the library refuses have no engine.
  std::vector<CudnnPlan> descriptions() const;

 private:
  void find_properties();
  std::string build(ExecutionPlan& plan, DType type);
  fe::error_t build_candidates(ExecutionPlan& plan);
  void time_candidates(ExecutionPlan& plan, std::unordered_map<int64_t, void*>& addresses,
                       void* workspace);
  std::vector<fe::NumericalNote_t> unwanted(DType type) const;

  CudnnOptions options_;
  cudnnHandle_t handle_ = nullptr;
  std::shared_ptr<fe::DeviceProperties> properties_;
  int sm_version_ = 0;
  std::map<std::string, std::unique_ptr<ExecutionPlan>> plans_;
};

namespace cuda::library {

using fe::graph::Graph;
using GraphTensor = std::shared_ptr<fe::graph::Tensor_attributes>;
using ExecutionPlan = Cudnn::Library::ExecutionPlan;

// An input, and an output of the graph, under the number that execute() knows them by.
GraphTensor tensor(Graph& graph, int64_t number, DType dtype, const Sizes& sizes,
                   const Sizes& strides);
void set_output(const GraphTensor& y, int64_t number, DType dtype, const Sizes& sizes,
                const Sizes& strides);

}  // namespace cuda::library

}  // namespace lacuna
