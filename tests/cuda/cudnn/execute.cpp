#include "execute.h"

#include <cudnn.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "../doubles/runtime.h"
#include "interpret.h"

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

namespace cudnn_double {
namespace {

// So that the library compiles engines at run time: it looks for a driver when it first plans.
[[maybe_unused]] const void* const planning_driver =
    dlopen(LACUNA_PLANNING_DRIVER, RTLD_NOW | RTLD_LOCAL);

// What a variant pack was given: it does not tell.
struct Pack {
  std::vector<int64_t> ids;
  std::vector<void*> pointers;
  void* workspace = nullptr;
};

struct PlanAndWorkspace {
  Plan plan;
  size_t workspace_bytes = 0;
};

struct State {
  std::mutex mutex;
  std::set<cudnnHandle_t> handles;
  std::map<cudnnBackendDescriptor_t, Pack> packs;
  // By descriptor, since describing a plan takes longer than many an execution. A finalised plan
  // does not change, and what is destroyed is forgotten.
  std::map<cudnnBackendDescriptor_t, std::shared_ptr<const PlanAndWorkspace>> plans;
};

State& state() {
  static auto* const it = new State;  // outlives what is destroyed at exit
  return *it;
}

thread_local std::string refusal;

cudnnStatus_t refuse(const std::string& reason) {
  refusal = reason;
  std::fprintf(stderr, "cuDNN double: %s\n", reason.c_str());
  return CUDNN_STATUS_BAD_PARAM;
}

template <class Function>
Function* library(const char* name) {
  static_assert(std::is_function_v<Function>);
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

cudnnStatus_t note(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                   int64_t count, const void* elements) {
  State& all = state();
  const std::lock_guard lock(all.mutex);
  if (name == CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS) {
    const auto* ids = static_cast<const int64_t*>(elements);
    all.packs[descriptor].ids.assign(ids, ids + count);
  } else if (name == CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS) {
    const auto* pointers = static_cast<void* const*>(elements);
    all.packs[descriptor].pointers.assign(pointers, pointers + count);
  } else if (name == CUDNN_ATTR_VARIANT_PACK_WORKSPACE) {
    all.packs[descriptor].workspace = *static_cast<void* const*>(elements);
  } else if (name >= CUDNN_ATTR_VARIANT_PACK_INTERMEDIATES &&
             name < CUDNN_ATTR_LAYOUT_INFO_TENSOR_UID && count > 0) {
    return refuse("attribute " + std::to_string(int(name)) + " of a variant pack is not known");
  }
  return CUDNN_STATUS_SUCCESS;
}

std::string describe(cudnnBackendDescriptor_t plan) {
  const auto name = CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION;
  int64_t size = 0;
  auto status = cudnnBackendGetAttribute(plan, name, CUDNN_TYPE_CHAR, 0, &size, nullptr);
  std::string text(size_t(size), '\0');
  if (status == CUDNN_STATUS_SUCCESS) {
    status = cudnnBackendGetAttribute(plan, name, CUDNN_TYPE_CHAR, size, &size, text.data());
  }
  if (status != CUDNN_STATUS_SUCCESS) throw Refused("the plan does not describe itself");
  return text;
}

size_t workspace_of(cudnnBackendDescriptor_t plan) {
  int64_t bytes = 0, count = 0;
  if (cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                               &count, &bytes) != CUDNN_STATUS_SUCCESS) {
    throw Refused("the plan does not say what workspace it needs");
  }
  return size_t(bytes);
}

std::shared_ptr<const PlanAndWorkspace> find_plan(cudnnBackendDescriptor_t descriptor) {
  State& all = state();
  {
    const std::lock_guard lock(all.mutex);
    if (const auto found = all.plans.find(descriptor); found != all.plans.end())
      return found->second;
  }
  const auto plan = std::make_shared<const PlanAndWorkspace>(
      PlanAndWorkspace{interpret(describe(descriptor)), workspace_of(descriptor)});
  const std::lock_guard lock(all.mutex);
  return all.plans[descriptor] = plan;
}

Pack find_pack(cudnnBackendDescriptor_t descriptor) {
  State& all = state();
  const std::lock_guard lock(all.mutex);
  const auto found = all.packs.find(descriptor);
  if (found == all.packs.end()) throw Refused("the variant pack is empty");
  if (found->second.ids.size() != found->second.pointers.size()) {
    throw Refused("the variant pack has not as many pointers as names");
  }
  return found->second;
}

void check_memory(const Tensor& tensor, const void* data) {
  const std::string name = "tensor " + std::to_string(tensor.id);
  if (!data) throw Refused(name + " has no pointer");
  const bool on_device = cuda_double::is_device_memory(data, tensor.span_bytes());
  if (tensor.by_value) {
    if (cuda_double::is_device_memory(data, 1))
      throw Refused(name + " is passed by value, on the device");
    return;
  }
  if (!on_device) {
    throw Refused(name + ", " + std::to_string(tensor.span_bytes()) +
                  " bytes, does not lie in one allocation of the device");
  }
  if (reinterpret_cast<uintptr_t>(data) % uintptr_t(tensor.alignment)) {
    throw Refused(name + " is not aligned to " + std::to_string(tensor.alignment) + " bytes");
  }
}

// One for each tensor; null for those that have no memory.
std::vector<void*> pointers_of(const Plan& plan, const Pack& pack) {
  std::map<int64_t, void*> named;
  for (size_t i = 0; i < pack.ids.size(); ++i) named[pack.ids[i]] = pack.pointers[i];
  std::vector<void*> pointers;
  for (const Tensor& tensor : plan.tensors) {
    pointers.push_back(tensor.is_virtual ? nullptr : named[tensor.id]);
    if (!tensor.is_virtual) check_memory(tensor, pointers.back());
  }
  return pointers;
}

bool in_place(const Tensor& output, const void* to, const Tensor& input, const void* from) {
  return to == from && output.element_bytes() == input.element_bytes() && !input.read_across;
}

void check_overlaps(const Plan& plan, const std::vector<void*>& pointers) {
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    const Tensor& output = plan.tensors[i];
    if (output.is_virtual || !output.is_output) continue;
    for (size_t j = 0; j < plan.tensors.size(); ++j) {
      const Tensor& other = plan.tensors[j];
      if (other.is_virtual || other.by_value || (other.is_output && j <= i)) continue;
      if (!other.is_output && in_place(output, pointers[i], other, pointers[j])) continue;
      if (share_memory(output, pointers[i], other, pointers[j])) {
        throw Refused("tensor " + std::to_string(output.id) + " is written over tensor " +
                      std::to_string(other.id));
      }
    }
  }
}

void check_workspace(const PlanAndWorkspace& plan, const std::vector<void*>& pointers,
                     const void* workspace) {
  const size_t bytes = plan.workspace_bytes;
  if (bytes == 0) return;
  if (!workspace) throw Refused("the plan needs a workspace");
  if (!cuda_double::is_device_memory(workspace, bytes)) {
    throw Refused("the workspace has not the " + std::to_string(bytes) + " bytes of the plan");
  }
  Tensor whole;
  whole.type = Type::brain16;
  whole.dims = {int64_t(bytes + 1) / 2};
  whole.strides = {1};
  for (size_t i = 0; i < pointers.size(); ++i) {
    const Tensor& tensor = plan.plan.tensors[i];
    if (!tensor.is_virtual && !tensor.by_value &&
        share_memory(whole, workspace, tensor, pointers[i])) {
      throw Refused("the workspace lies over tensor " + std::to_string(tensor.id));
    }
  }
}

struct Execution {
  std::shared_ptr<const PlanAndWorkspace> plan;
  std::vector<void*> pointers;
  std::vector<Array> arrays;  // those of scalars are there from the start
  void* workspace = nullptr;

  bool is_read(const void* data) const {
    for (size_t i = 0; i < pointers.size(); ++i) {
      if (plan->plan.tensors[i].is_input && pointers[i] == data) return true;
    }
    return false;
  }

  void operator()() {
    const std::vector<Tensor>& tensors = plan->plan.tensors;
    if (workspace) std::memset(workspace, 0xff, plan->workspace_bytes);
    for (size_t i = 0; i < tensors.size(); ++i) {
      const bool written = tensors[i].is_output && !tensors[i].is_virtual;
      if (written && !is_read(pointers[i])) poison(tensors[i], pointers[i]);
    }
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].is_input && !tensors[i].by_value) arrays[i] = load(tensors[i], pointers[i]);
    }
    for (const auto& step : plan->plan.steps) step(arrays);
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].is_output && !tensors[i].is_virtual) store(tensors[i], arrays[i], pointers[i]);
    }
    arrays.clear();
  }
};

void execute(cudaStream_t stream, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack) {
  const Pack given = find_pack(pack);
  Execution execution;
  execution.plan = find_plan(plan);
  const Plan& graph = execution.plan->plan;
  execution.pointers = pointers_of(graph, given);
  check_overlaps(graph, execution.pointers);
  check_workspace(*execution.plan, execution.pointers, given.workspace);
  execution.workspace = execution.plan->workspace_bytes ? given.workspace : nullptr;
  execution.arrays.resize(graph.tensors.size());
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    if (!graph.tensors[i].by_value) continue;
    execution.arrays[i] = load(graph.tensors[i], execution.pointers[i]);
    execution.pointers[i] = nullptr;  // may be gone by the time the stream runs
  }
  cuda_double::enqueue(stream, "cudnnBackendExecute", std::move(execution));
}

bool stream_of(cudnnHandle_t handle, cudaStream_t& stream) {
  State& all = state();
  const std::lock_guard lock(all.mutex);
  if (!all.handles.contains(handle)) return false;
  stream = handle->stream;
  return true;
}

}  // namespace

std::string last_refusal() { return refusal; }

}  // namespace cudnn_double

using cudnn_double::state;

extern "C" {

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  const std::lock_guard lock(state().mutex);
  *handle = new cudnnContext;
  state().handles.insert(*handle);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  const std::lock_guard lock(state().mutex);
  if (!state().handles.erase(handle)) return cudnn_double::refuse("destroyed what is no handle");
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  const std::lock_guard lock(state().mutex);
  if (!state().handles.contains(handle))
    return cudnn_double::refuse("a stream for what is no handle");
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t* stream) {
  if (!cudnn_double::stream_of(handle, *stream)) {
    return cudnn_double::refuse("the stream of what is no handle");
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void* elements) {
  static auto* const real = cudnn_double::library<decltype(cudnnBackendSetAttribute)>(__func__);
  if (type == CUDNN_TYPE_HANDLE) {
    return cudnn_double::refuse("plans come from a device's properties, not from a handle");
  }
  const auto noted = cudnn_double::note(descriptor, name, count, elements);
  return noted == CUDNN_STATUS_SUCCESS ? real(descriptor, name, type, count, elements) : noted;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  static auto* const real =
      cudnn_double::library<decltype(cudnnBackendDestroyDescriptor)>(__func__);
  {
    const std::lock_guard lock(state().mutex);
    state().packs.erase(descriptor);
    state().plans.erase(descriptor);
  }
  return real(descriptor);
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  cudaStream_t stream = nullptr;
  if (!cudnn_double::stream_of(handle, stream)) {
    return cudnn_double::refuse("an execution by what is no handle");
  }
  try {
    cudnn_double::execute(stream, plan, pack);
    return CUDNN_STATUS_SUCCESS;
  } catch (const std::exception& error) {
    return cudnn_double::refuse(error.what());
  }
}

}  // extern "C"
