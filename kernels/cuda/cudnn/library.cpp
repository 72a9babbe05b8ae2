#include "kernels/cuda/cudnn/library.h"

namespace lacuna {

namespace {

using fe::graph::Graph;

fe::DataType_t type_of(DType dtype) {
  if (dtype == DType::bf16) return fe::DataType_t::BFLOAT16;
  if (dtype == DType::f16) return fe::DataType_t::HALF;
  LACUNA_CHECK(dtype == DType::f32, name_of(dtype));
  return fe::DataType_t::FLOAT;
}

[[noreturn]] void refuse(const std::string& problem, const std::string& reason) {
  throw Error(ExitStatus::failed,
              concat("cuDNN ", cudnnGetVersion(), " refuses ", problem, ": ",
                     reason.substr(0, reason.find('\n')), "; another version may have it"));
}

void require(fe::error_t status, const std::string& problem) {
  if (status.is_bad()) refuse(problem, status.get_message());
}

void check(cudnnStatus_t status, const char* doing) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw Error(ExitStatus::failed,
              concat("cuDNN fails at ", doing, ": ", cudnnGetErrorString(status),
                     "; look whether its version fits the driver's"));
}

}  // namespace

Cudnn::Library::Library(cudaStream_t stream, const CudnnOptions& options) : options_(options) {
  if (!options.plans_only) {
    check(cudnnCreate(&handle_), "starting");
    check(cudnnSetStream(handle_, stream), "taking its stream");
  }
  if (fe::detail::get_backend_version() >= 90800) {
    find_properties();
  } else if (options_.plans_only) {
    bad_input("plans for a GPU that is not here need cuDNN 9.8 or newer, and this is ",
              fe::detail::get_backend_version(),
              ": use a newer one, or ask on the GPU itself with --device cuda");
  }
}

Cudnn::Library::~Library() {
  // It waits for the device, which may never be done while an error is on its way out.
  if (handle_ != nullptr && std::uncaught_exceptions() == 0) cudnnDestroy(handle_);
}

Cudnn::Library::ExecutionPlan* Cudnn::Library::find(const std::string& problem, DType type,
                                                    const Describe& describe) {
  const auto known = plans_.find(problem);
  if (known != plans_.end()) return known->second->refused.empty() ? known->second.get() : nullptr;
  auto made = std::make_unique<ExecutionPlan>();
  made->description.problem = problem;
  made->graph.set_io_data_type(type_of(type))
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  // Before the first node: attention asks for the device when it is added.
  if (properties_ != nullptr) made->graph.set_device_properties(properties_);
  if (sm_version_ > 0) made->graph.set_sm_version(sm_version_);
  describe(made->graph);
  made->refused = build(*made, type);
  ExecutionPlan* plan = plans_.emplace(problem, std::move(made)).first->second.get();
  return plan->refused.empty() ? plan : nullptr;
}

Cudnn::Library::ExecutionPlan& Cudnn::Library::plan(const std::string& problem, DType type,
                                                    const Describe& describe) {
  if (ExecutionPlan* found = find(problem, type, describe)) return *found;
  refuse(problem, plans_.at(problem)->refused);
}

void Cudnn::Library::execute(ExecutionPlan& plan, std::span<const void* const> operands,
                             void* workspace) {
  if (options_.plans_only) return;
  std::unordered_map<int64_t, void*> addresses;
  int64_t number = 0;
  for (const void* operand : operands) addresses[++number] = const_cast<void*>(operand);
  if (plan.to_be_timed) time_candidates(plan, addresses, workspace);
  require(plan.graph.execute(handle_, addresses, workspace), plan.description.problem);
}

std::vector<CudnnPlan> Cudnn::Library::descriptions() const {
  std::vector<CudnnPlan> all;
  for (const auto& [problem, plan] : plans_)
    all.push_back(plan->description);  // engine "": refused
  return all;
}

void Cudnn::Library::find_properties() {
  properties_ = std::make_shared<fe::DeviceProperties>();
  if (options_.board.empty()) {
    properties_->set_device_id(options_.device);
    require(properties_->build(), "this GPU");
    return;
  }
  require(properties_->deserialize({options_.board.begin(), options_.board.end()}), "the board");
  const size_t key = options_.board.find("\"deviceVer\"");
  const size_t digits = options_.board.find_first_of("0123456789", key);
  sm_version_ = std::stoi(options_.board.substr(digits)) / 10;
}

// Why there is no plan; "" when there is.
std::string Cudnn::Library::build(ExecutionPlan& plan, DType type) {
  Graph& graph = plan.graph;
  int64_t workspace = 0;
  const auto steps = {
      std::function([&] { return graph.validate(); }),
      std::function([&] {
        return properties_ != nullptr ? graph.build_operation_graph()
                                      : graph.build_operation_graph(handle_);
      }),
      std::function([&] {
        return graph.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK});
      }),
      std::function([&] {
        graph.deselect_numeric_notes(unwanted(type));
        return build_candidates(plan);
      }),
      std::function([&] {
        if (!plan.to_be_timed) return graph.get_workspace_size(workspace);
        workspace = graph.get_autotune_workspace_size();
        return fe::error_t{fe::error_code_t::OK, ""};
      }),
      std::function([&] { return graph.get_plan_name(plan.description.engine); }),
  };
  for (const auto& step : steps) {
    fe::error_t status = step();
    if (status.is_bad()) return concat(status.get_message(), " ");
  }
  plan.workspace = static_cast<size_t>(workspace);
  plan.description.workspace = workspace;
  plan.description.candidates = graph.get_execution_plan_count();
  return "";
}

// The one that was chosen before, all that are to be timed, or the heuristics' first.
fe::error_t Cudnn::Library::build_candidates(ExecutionPlan& plan) {
  Graph& graph = plan.graph;
  const auto chosen = options_.engines.find(plan.description.problem);
  if (chosen != options_.engines.end()) {
    for (int64_t i = 0; i < graph.get_execution_plan_count(); ++i) {
      std::string name;
      if (graph.get_plan_name_at_index(i, name).is_good() && name == chosen->second)
        return graph.build_plan_at_index(i);
    }
    throw Error(ExitStatus::bad_input,
                concat("cuDNN ", cudnnGetVersion(), " offers no engine ", chosen->second, " for ",
                       plan.description.problem,
                       ": make the file of train.plans anew on this GPU and with this version "
                       "(lacuna check --time-plans)"));
  }
  plan.to_be_timed = options_.time_plans && !options_.plans_only;
  return graph.build_plans(plan.to_be_timed ? fe::BuildPlanPolicy_t::ALL
                                            : fe::BuildPlanPolicy_t::HEURISTICS_CHOICE);
}

// Each candidate writes the results; whose stay is the fastest's, which runs once more.
void Cudnn::Library::time_candidates(ExecutionPlan& plan,
                                     std::unordered_map<int64_t, void*>& addresses,
                                     void* workspace) {
  plan.to_be_timed = false;
  require(plan.graph.autotune(handle_, addresses, workspace), plan.description.problem);
  require(plan.graph.get_plan_name(plan.description.engine), plan.description.problem);
}

// Sums are in f32 throughout, and operands keep their bits.
std::vector<fe::NumericalNote_t> Cudnn::Library::unwanted(DType type) const {
  std::vector<fe::NumericalNote_t> notes = {fe::NumericalNote_t::REDUCED_PRECISION_REDUCTION};
  if (options_.deterministic) notes.push_back(fe::NumericalNote_t::NONDETERMINISTIC);
  if (type == DType::f32 && !options_.tf32) {
    notes.push_back(fe::NumericalNote_t::TENSOR_CORE);
    notes.push_back(fe::NumericalNote_t::DOWN_CONVERT_INPUTS);
  }
  if (type == DType::f32) {  // sums of transformed operands lose bits
    for (const auto note : {fe::NumericalNote_t::WINOGRAD, fe::NumericalNote_t::WINOGRAD_TILE_4x4,
                            fe::NumericalNote_t::WINOGRAD_TILE_6x6,
                            fe::NumericalNote_t::WINOGRAD_TILE_13x13, fe::NumericalNote_t::FFT})
      notes.push_back(note);
  }
  return notes;
}

Cudnn::Cudnn(cudaStream_t stream, const CudnnOptions& options)
    : options_(options), library_(std::make_unique<Library>(stream, options)) {}
Cudnn::~Cudnn() = default;
std::vector<CudnnPlan> Cudnn::plans() const { return library_->descriptions(); }
size_t Cudnn::version() { return cudnnGetVersion(); }

namespace cuda::library {

GraphTensor tensor(Graph& graph, int64_t number, DType dtype, const Sizes& sizes,
                   const Sizes& strides) {
  return graph.tensor(fe::graph::Tensor_attributes()
                          .set_uid(number)
                          .set_dim(sizes)
                          .set_stride(strides)
                          .set_data_type(type_of(dtype)));
}
void set_output(const GraphTensor& y, int64_t number, DType dtype, const Sizes& sizes,
                const Sizes& strides) {
  y->set_output(true).set_uid(number).set_dim(sizes).set_stride(strides).set_data_type(
      type_of(dtype));
}

}  // namespace cuda::library

}  // namespace lacuna
