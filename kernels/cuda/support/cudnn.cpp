#include "kernels/cuda/support/cudnn.h"

#include <cudnn_frontend.h>

#include <array>
#include <functional>
#include <map>

#include "kernels/attention.h"
#include "kernels/convolution.h"
#include "kernels/cuda/support/context.h"
#include "kernels/cuda/support/errors.h"
#include "kernels/cuda/support/table.h"
#include "kernels/cuda/support/weights.h"
#include "kernels/layer_norm.h"
#include "kernels/matrix_product.h"
#include "kernels/product_gelu.h"

namespace lacuna {

namespace fe = cudnn_frontend;

namespace {

using fe::graph::Graph;
using GraphTensor = std::shared_ptr<fe::graph::Tensor_attributes>;
using Sizes = std::vector<int64_t>;

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

}  // namespace

// A graph with the plan that runs it. Its tensors are numbered from 1 on, in the order in which
// execute() is given their addresses.
class Cudnn::Library {
 public:
  struct Plan {
    Graph graph;
    CudnnPlan description;
    size_t workspace = 0;
    bool to_be_timed = false;
    std::string refused;  // why the library has none
  };

  Library(cudaStream_t stream, const CudnnOptions& options) : options_(options) {
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
  ~Library() {
    // It waits for the device, which may never be done while an error is on its way out.
    if (handle_ != nullptr && std::uncaught_exceptions() == 0) cudnnDestroy(handle_);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  // `describe` fills a graph whose tensors are of `type`, where the problem is new. nullptr where
  // the library has no plan for it.
  template <typename Describe>
  Plan* find(const std::string& problem, DType type, const Describe& describe) {
    const auto known = plans_.find(problem);
    if (known != plans_.end())
      return known->second->refused.empty() ? known->second.get() : nullptr;
    auto made = std::make_unique<Plan>();
    made->description.problem = problem;
    made->graph.set_io_data_type(type_of(type))
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    // Before the first node: attention asks for the device when it is added.
    if (properties_ != nullptr) made->graph.set_device_properties(properties_);
    if (sm_version_ > 0) made->graph.set_sm_version(sm_version_);
    describe(made->graph);
    made->refused = build(*made, type);
    Plan* plan = plans_.emplace(problem, std::move(made)).first->second.get();
    return plan->refused.empty() ? plan : nullptr;
  }
  // For what nothing else computes: an Error where the library has no plan.
  template <typename Describe>
  Plan& plan(const std::string& problem, DType type, const Describe& describe) {
    if (Plan* found = find(problem, type, describe)) return *found;
    refuse(problem, plans_.at(problem)->refused);
  }

  void execute(Plan& plan, std::initializer_list<const void*> operands, void* workspace) {
    execute(plan, std::span(operands.begin(), operands.size()), workspace);
  }
  void execute(Plan& plan, std::span<const void* const> operands, void* workspace) {
    if (options_.plans_only) return;
    std::unordered_map<int64_t, void*> addresses;
    int64_t number = 0;
    for (const void* operand : operands) addresses[++number] = const_cast<void*>(operand);
    if (plan.to_be_timed) time_candidates(plan, addresses, workspace);
    require(plan.graph.execute(handle_, addresses, workspace), plan.description.problem);
  }

  std::vector<CudnnPlan> descriptions() const {
    std::vector<CudnnPlan> all;
    for (const auto& [problem, plan] : plans_)
      all.push_back(plan->description);  // engine "": refused
    return all;
  }

 private:
  static void check(cudnnStatus_t status, const char* doing) {
    if (status == CUDNN_STATUS_SUCCESS) return;
    throw Error(ExitStatus::failed,
                concat("cuDNN fails at ", doing, ": ", cudnnGetErrorString(status),
                       "; look whether its version fits the driver's"));
  }

  void find_properties() {
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
  std::string build(Plan& plan, DType type) {
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
  fe::error_t build_candidates(Plan& plan) {
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
  void time_candidates(Plan& plan, std::unordered_map<int64_t, void*>& addresses, void* workspace) {
    plan.to_be_timed = false;
    require(plan.graph.autotune(handle_, addresses, workspace), plan.description.problem);
    require(plan.graph.get_plan_name(plan.description.engine), plan.description.problem);
  }

  // Sums are in f32 throughout, and operands keep their bits.
  std::vector<fe::NumericalNote_t> unwanted(DType type) const {
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

  CudnnOptions options_;
  cudnnHandle_t handle_ = nullptr;
  std::shared_ptr<fe::DeviceProperties> properties_;
  int sm_version_ = 0;
  std::map<std::string, std::unique_ptr<Plan>> plans_;
};

Cudnn::Cudnn(cudaStream_t stream, const CudnnOptions& options)
    : options_(options), library_(std::make_unique<Library>(stream, options)) {}
Cudnn::~Cudnn() = default;
std::vector<CudnnPlan> Cudnn::plans() const { return library_->descriptions(); }
size_t Cudnn::version() { return cudnnGetVersion(); }

namespace cuda::library {

namespace {

using Plan = Cudnn::Library::Plan;

CudaContext& context(const Call& call) { return static_cast<CudaContext&>(call.context); }
Cudnn::Library& library(const Call& call) { return context(call).cudnn().library(); }

// By a kernel of kernels/cuda.
void run_ours(std::string_view operation, const Call& call) {
  const Kernel kernel = find_kernel(cuda_kernels(), operation, call.in[0].dtype);
  LACUNA_CHECK(kernel != nullptr, operation, " of ", name_of(call.in[0].dtype));
  kernel(call);
}

size_t bytes_of(DType dtype, int64_t count) { return static_cast<size_t>(count) * size_of(dtype); }

void clear(const Call& call, const View& view) {
  if (!context(call).starts_kernels()) return;
  cuda::check(
      cudaMemsetAsync(view.data, 0, bytes_of(view.dtype, view.count()), context(call).stream()),
      "clearing a gradient");
}

// Parts of one scratch block: sizes first, then addresses.
class Parts {
 public:
  // Where the part will begin; 0 bytes take no place.
  size_t add(size_t bytes) {
    const size_t at = end_;
    end_ += (bytes + alignment - 1) / alignment * alignment;
    return at;
  }
  void take(const Call& call) {
    begin_ = static_cast<char*>(call.context.scratch(std::max<size_t>(end_, 1)));
  }
  void* at(size_t part) const { return begin_ + part; }

 private:
  static constexpr size_t alignment = 256;
  size_t end_ = 0;
  char* begin_ = nullptr;
};

bool is_aligned(const void* data) { return reinterpret_cast<uintptr_t>(data) % 16 == 0; }
bool all_aligned(const Call& call) {
  const auto aligned = [](const View& view) { return is_aligned(view.data); };
  return std::all_of(call.in.begin(), call.in.end(), aligned) &&
         std::all_of(call.out.begin(), call.out.end(), aligned);
}

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

// Of [N, C, spatial…] with the channels innermost.
Sizes channels_last(const Sizes& sizes) {
  Sizes strides(sizes.size());
  int64_t stride = sizes[1];
  strides[1] = 1;
  for (size_t i = sizes.size(); i-- > 2; stride *= sizes[i]) strides[i] = stride;
  strides[0] = stride;
  return strides;
}
// The last axis innermost.
Sizes contiguous(const Sizes& sizes) {
  Sizes strides(sizes.size());
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0; stride *= sizes[i]) strides[i] = stride;
  return strides;
}

// ---- Convolution. The library's fast engines want channels in multiples of 8 elements of 16 bits
// and filters with the channels innermost: where operands are not so, they are brought into this
// form in scratch.

struct ConvolutionProblem {
  Convolution sizes;
  DType type;    // of activations
  int64_t c, k;  // channels as the library sees them
  int64_t taps = 1;
  int64_t rows_in, rows_out;
  Sizes x, w, y;  // NCHW order
  Sizes stride, padding, dilation;

  ConvolutionProblem(const Convolution& s, DType dtype) : sizes(s), type(dtype) {
    const int64_t multiple = size_of(dtype) == 2 ? 8 : 1;
    const auto padded = [&](int64_t n) { return (n + multiple - 1) / multiple * multiple; };
    c = padded(s.in_channels);
    k = padded(s.out_channels);
    x = {s.batch, c};
    w = {k, c};
    y = {s.batch, k};
    rows_in = rows_out = s.batch;
    for (int64_t i = s.axes == 3 ? 0 : 1; i < 3; ++i) {
      x.push_back(s.in[i]);
      w.push_back(s.kernel[i]);
      y.push_back(s.out[i]);
      stride.push_back(s.stride[i]);
      padding.push_back(s.padding[i]);
      dilation.push_back(s.dilation[i]);
      taps *= s.kernel[i];
      rows_in *= s.in[i];
      rows_out *= s.out[i];
    }
  }
  std::string text(const char* operation) const {
    std::string result = concat(operation, " ", name_of(type), " x");
    for (const int64_t n : x) result += concat(" ", n);
    result += " w";
    for (const int64_t n : w) result += concat(" ", n);
    result += " stride";
    for (const int64_t n : stride) result += concat(" ", n);
    result += " padding";
    for (const int64_t n : padding) result += concat(" ", n);
    if (std::all_of(dilation.begin(), dilation.end(), [](int64_t n) { return n == 1; }))
      return result;
    result += " dilation";
    for (const int64_t n : dilation) result += concat(" ", n);
    return result;
  }
  template <typename Options>
  Options options() const {
    return Options()
        .set_pre_padding(padding)
        .set_post_padding(padding)
        .set_stride(stride)
        .set_dilation(dilation);
  }
};

// Activations as the library takes them: where they lie, or a copy in scratch.
class Activations {
 public:
  Activations(const View& view, int64_t rows, int64_t channels, int64_t padded, Parts& parts)
      : view_(view),
        rows_(rows),
        channels_(channels),
        padded_(padded),
        copied_(channels != padded || !is_aligned(view.data)),
        part_(copied_ ? parts.add(bytes_of(view.dtype, rows * padded)) : 0) {}
  const void* read(const Call& call, const Parts& parts) const {
    if (!copied_) return view_.data;
    pad_channels(call, view_.data, parts.at(part_), view_.dtype, rows_, channels_, padded_);
    return parts.at(part_);
  }
  void* place(const Parts& parts) const { return copied_ ? parts.at(part_) : view_.data; }
  void written(const Call& call, const Parts& parts) const {
    if (copied_)
      drop_channels(call, parts.at(part_), view_.data, view_.dtype, rows_, channels_, padded_);
  }

 private:
  View view_;
  int64_t rows_, channels_, padded_;
  bool copied_;
  size_t part_;
};

// Filters and their gradient: PyTorch's layout outside, the library's inside.
class Filters {
 public:
  Filters(const View& view, const ConvolutionProblem& problem, Parts& parts)
      : view_(view),
        problem_(problem),
        copied_(view.dtype != problem.type || problem.k != problem.sizes.out_channels ||
                problem.c != problem.sizes.in_channels || (problem.c > 1 && problem.taps > 1) ||
                !is_aligned(view.data)),
        part_(copied_ ? parts.add(bytes_of(problem.type, problem.k * problem.taps * problem.c))
                      : 0) {}
  const void* read(const Call& call, const Parts& parts) const {
    if (!copied_) return view_.data;
    const Convolution& s = problem_.sizes;
    to_channels_last(call, view_.data, view_.dtype, parts.at(part_), problem_.type, s.out_channels,
                     s.in_channels, problem_.taps, problem_.k, problem_.c);
    return parts.at(part_);
  }
  void* place(const Parts& parts) const { return copied_ ? parts.at(part_) : view_.data; }
  void written(const Call& call, const Parts& parts) const {
    if (!copied_) return;
    const Convolution& s = problem_.sizes;
    from_channels_last(call, parts.at(part_), problem_.type, view_.data, view_.dtype,
                       s.out_channels, s.in_channels, problem_.taps, problem_.k, problem_.c);
  }

 private:
  View view_;
  const ConvolutionProblem& problem_;
  bool copied_;
  size_t part_;
};

Plan* forward_plan(const Call& call, const ConvolutionProblem& p, const View* bias) {
  const std::string text =
      concat(p.text("convolution"), bias != nullptr ? concat(" bias ", name_of(bias->dtype)) : "");
  const auto describe = [&](Graph& graph) {
    const GraphTensor x = tensor(graph, 1, p.type, p.x, channels_last(p.x));
    const GraphTensor w = tensor(graph, 2, p.type, p.w, channels_last(p.w));
    GraphTensor y = graph.conv_fprop(x, w, p.options<fe::graph::Conv_fprop_attributes>());
    if (bias != nullptr) {
      Sizes sizes(p.x.size(), 1);
      sizes[1] = p.k;
      y->set_data_type(fe::DataType_t::FLOAT);
      y = graph.pointwise(y, tensor(graph, 4, bias->dtype, sizes, channels_last(sizes)),
                          fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::ADD));
    }
    set_output(y, 3, p.type, p.y, channels_last(p.y));
  };
  if (bias != nullptr) return library(call).find(text, p.type, describe);
  return &library(call).plan(text, p.type, describe);
}

// y [rows, K] += bias, by our own kernel.
void add_bias(const Call& call, const View& bias) {
  View y = call.out[0];
  y.shape = Shape{y.count() / bias.count(), bias.count()};
  View added = bias;
  if (bias.dtype != DType::f32) {
    added = {call.context.scratch(bytes_of(DType::f32, bias.count())), DType::f32, bias.shape};
    convert(call, bias.data, bias.dtype, added.data, added.dtype, bias.count());
  }
  const View in[] = {y, added};
  run_ours("add_to_each", {in, {&y, 1}, call.attributes, call.context});
}

}  // namespace

void convolution(const Call& call) {
  using Operand = operands::Convolution;
  const auto sizes = call.attributes.as<Convolution>();
  if (call.out[Operand::y].count() == 0) return;
  const ConvolutionProblem p(sizes, call.in[Operand::x].dtype);
  const View* bias = sizes.bias != 0 ? &call.in[Operand::bias] : nullptr;
  Plan* plan = forward_plan(call, p, bias);
  const bool fused = bias != nullptr && plan != nullptr;
  if (plan == nullptr) plan = forward_plan(call, p, nullptr);
  Parts parts;
  const Activations x(call.in[Operand::x], p.rows_in, sizes.in_channels, p.c, parts);
  const Filters w(call.in[Operand::w], p, parts);
  const Activations y(call.out[Operand::y], p.rows_out, sizes.out_channels, p.k, parts);
  const size_t workspace = parts.add(plan->workspace);
  if (fused) {
    const Activations added(*bias, 1, sizes.out_channels, p.k, parts);
    parts.take(call);
    library(call).execute(
        *plan, {x.read(call, parts), w.read(call, parts), y.place(parts), added.read(call, parts)},
        parts.at(workspace));
  } else {
    parts.take(call);
    library(call).execute(*plan, {x.read(call, parts), w.read(call, parts), y.place(parts)},
                          parts.at(workspace));
  }
  y.written(call, parts);
  if (bias != nullptr && !fused) add_bias(call, *bias);
}

void convolution_data_gradient(const Call& call) {
  if (call.out[0].count() == 0) return;
  const auto sizes = call.attributes.as<Convolution>();
  const ConvolutionProblem p(sizes, call.in[0].dtype);
  Plan& plan = library(call).plan(p.text("convolution_data_gradient"), p.type, [&](Graph& graph) {
    const GraphTensor dy = tensor(graph, 1, p.type, p.y, channels_last(p.y));
    const GraphTensor w = tensor(graph, 2, p.type, p.w, channels_last(p.w));
    set_output(graph.conv_dgrad(dy, w, p.options<fe::graph::Conv_dgrad_attributes>()), 3, p.type,
               p.x, channels_last(p.x));
  });
  Parts parts;
  const Activations dy(call.in[0], p.rows_out, sizes.out_channels, p.k, parts);
  const Filters w(call.in[1], p, parts);
  const Activations dx(call.out[0], p.rows_in, sizes.in_channels, p.c, parts);
  const size_t workspace = parts.add(plan.workspace);
  parts.take(call);
  library(call).execute(plan, {dy.read(call, parts), w.read(call, parts), dx.place(parts)},
                        parts.at(workspace));
  dx.written(call, parts);
}

// The library writes it in the type of activations (f32 from bf16 it has only as a fused cast of
// slower engines): each element is rounded once, after its sum in f32.
void convolution_weight_gradient(const Call& call) {
  const auto sizes = call.attributes.as<Convolution>();
  if (call.in[0].count() == 0 || call.in[1].count() == 0) return clear(call, call.out[0]);
  const ConvolutionProblem p(sizes, call.in[0].dtype);
  Plan& plan = library(call).plan(p.text("convolution_weight_gradient"), p.type, [&](Graph& graph) {
    const GraphTensor x = tensor(graph, 1, p.type, p.x, channels_last(p.x));
    const GraphTensor dy = tensor(graph, 2, p.type, p.y, channels_last(p.y));
    set_output(graph.conv_wgrad(dy, x, p.options<fe::graph::Conv_wgrad_attributes>()), 3, p.type,
               p.w, channels_last(p.w));
  });
  Parts parts;
  const Activations x(call.in[0], p.rows_in, sizes.in_channels, p.c, parts);
  const Activations dy(call.in[1], p.rows_out, sizes.out_channels, p.k, parts);
  const Filters dw(call.out[0], p, parts);
  const size_t workspace = parts.add(plan.workspace);
  parts.take(call);
  library(call).execute(plan, {x.read(call, parts), dy.read(call, parts), dw.place(parts)},
                        parts.at(workspace));
  dw.written(call, parts);
}

namespace {

// ---- Matrix products.

// What follows a product and its bias.
enum class Epilogue { none, added, gelu, gelu_gradient };

const char* name_of(Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::none:
      return "matrix_product";
    case Epilogue::added:
      return "product_added";
    case Epilogue::gelu:
      return "product_gelu";
    case Epilogue::gelu_gradient:
      return "product_gelu_gradient";
  }
  return "";
}

fe::graph::Pointwise_attributes pointwise(fe::PointwiseMode_t mode) {
  return fe::graph::Pointwise_attributes().set_mode(mode);
}

// Tensors: a, b, y; with a bias that; with an epilogue what is added, z that is kept, or z that
// was.
Plan* product_plan(const Call& call, const MatrixProduct& s, Epilogue epilogue) {
  using Operand = operands::MatrixProduct;
  const View& a = call.in[Operand::a];
  const DType out = call.out[Operand::y].dtype;
  const View* bias = s.bias != 0 ? &call.in[Operand::bias] : nullptr;
  const std::string text = concat(
      name_of(epilogue), " ", lacuna::name_of(a.dtype), " m ", s.m, " n ", s.n, " k ", s.k,
      s.transpose_a != 0 ? " a^T" : "", s.transpose_b != 0 ? " b^T" : "", " to ",
      lacuna::name_of(out), bias != nullptr ? concat(" bias ", lacuna::name_of(bias->dtype)) : "");
  return library(call).find(text, a.dtype, [&](Graph& graph) {
    const auto strides = [](int64_t rows, int64_t columns, bool transposed) {
      return transposed ? Sizes{rows * columns, 1, rows} : Sizes{rows * columns, columns, 1};
    };
    GraphTensor y = graph.matmul(
        tensor(graph, 1, a.dtype, {1, s.m, s.k}, strides(s.m, s.k, s.transpose_a != 0)),
        tensor(graph, 2, a.dtype, {1, s.k, s.n}, strides(s.k, s.n, s.transpose_b != 0)),
        fe::graph::Matmul_attributes());
    int64_t number = 3;
    const auto in_f32 = [&] { y->set_data_type(fe::DataType_t::FLOAT); };
    const Sizes all{1, s.m, s.n};
    const Sizes rows{s.m * s.n, s.n, 1};
    if (bias != nullptr) {
      in_f32();
      y = graph.pointwise(y, tensor(graph, ++number, bias->dtype, {1, 1, s.n}, {s.n, s.n, 1}),
                          pointwise(fe::PointwiseMode_t::ADD));
    }
    ++number;
    if (epilogue == Epilogue::added) {
      in_f32();
      y = graph.pointwise(y, tensor(graph, number, out, all, rows),
                          pointwise(fe::PointwiseMode_t::ADD));
    } else if (epilogue == Epilogue::gelu) {
      set_output(y, number, out, all, rows);
      y = graph.pointwise(y, pointwise(fe::PointwiseMode_t::GELU_FWD));
    } else if (epilogue == Epilogue::gelu_gradient) {
      in_f32();
      y = graph.pointwise(y, tensor(graph, number, out, all, rows),
                          pointwise(fe::PointwiseMode_t::GELU_BWD));
    }
    set_output(y, 3, out, all, rows);
  });
}

// The product alone, and what follows it, in kernels of ours.
void compose_product(const Call& call, Epilogue epilogue) {
  const std::span<const View> y = call.out.first(1);
  const auto product = [&](std::span<const View> to) {
    run_ours("matrix_product", {call.in, to, call.attributes, call.context});
  };
  const Attributes none;
  switch (epilogue) {
    case Epilogue::none:
      return product(y);
    case Epilogue::added: {
      product(y);
      const View terms[] = {y[0], call.in.back()};
      return run_ours("accumulate", {terms, y, none, call.context});
    }
    case Epilogue::gelu:
      product(call.out.subspan(1));
      return run_ours("gelu", {call.out.subspan(1), y, none, call.context});
    case Epilogue::gelu_gradient: {
      product(y);
      const View behind[] = {y[0], call.in[operands::ProductGeluGradient::z]};
      return run_ours("gelu_gradient", {behind, y, none, call.context});
    }
  }
}

// Operands that do not begin at 16 bytes, and sums of nothing, are rare: they go to our own
// kernels.
void product(const Call& call, Epilogue epilogue) {
  using Operand = operands::MatrixProduct;
  const auto sizes = call.attributes.as<MatrixProduct>();
  const View& a = call.in[Operand::a];
  const View& b = call.in[Operand::b];
  const bool exact = a.dtype == DType::f32 && !context(call).cudnn().options().tf32;
  if (exact || sizes.m * sizes.n * sizes.k == 0 || !all_aligned(call))
    return compose_product(call, epilogue);
  Plan* plan = product_plan(call, sizes, epilogue);
  if (plan == nullptr) return compose_product(call, epilogue);
  const bool converted = b.dtype != a.dtype;
  Parts parts;
  const size_t copy = converted ? parts.add(bytes_of(a.dtype, b.count())) : 0;
  const size_t workspace = parts.add(plan->workspace);
  parts.take(call);
  if (converted) convert(call, b.data, b.dtype, parts.at(copy), a.dtype, b.count());
  std::vector<const void*> operands = {a.data, converted ? parts.at(copy) : b.data,
                                       call.out[Operand::y].data};
  if (sizes.bias != 0) operands.push_back(call.in[Operand::bias].data);
  if (epilogue == Epilogue::gelu) operands.push_back(call.out[1].data);
  if (epilogue == Epilogue::added || epilogue == Epilogue::gelu_gradient)
    operands.push_back(call.in.back().data);
  library(call).execute(*plan, operands, parts.at(workspace));
}

}  // namespace

void matrix_product(const Call& call) { product(call, Epilogue::none); }
void product_added(const Call& call) { product(call, Epilogue::added); }
void product_gelu(const Call& call) { product(call, Epilogue::gelu); }
void product_gelu_gradient(const Call& call) { product(call, Epilogue::gelu_gradient); }

namespace {

// ---- Layer norm: x as [N, D, 1, 1].

std::string layer_norm_text(const char* operation, const View& x, double epsilon) {
  const int64_t features = x.shape[-1];
  return concat(operation, " ", name_of(x.dtype), " n ", x.count() / features, " d ", features,
                " epsilon ", epsilon);
}

}  // namespace

void layer_norm(const Call& call) {
  using Operand = operands::LayerNorm;
  const View& x = call.in[Operand::x];
  if (x.count() == 0) return;
  const double epsilon = call.attributes.as<LayerNormAttributes>().epsilon;
  const int64_t d = x.shape[-1];
  const int64_t n = x.count() / d;
  const Sizes all{n, d, 1, 1};
  const Sizes features{1, d, 1, 1};
  const Sizes rows{n, 1, 1, 1};
  Plan* plan =
      library(call).find(layer_norm_text("layer_norm", x, epsilon), x.dtype, [&](Graph& graph) {
        GraphTensor added = graph.tensor(static_cast<float>(epsilon));
        const auto [y, mean, rstd] =
            graph.layernorm(tensor(graph, 1, x.dtype, all, channels_last(all)),
                            tensor(graph, 2, DType::f32, features, channels_last(features)),
                            tensor(graph, 3, DType::f32, features, channels_last(features)),
                            fe::graph::Layernorm_attributes()
                                .set_forward_phase(fe::NormFwdPhase_t::TRAINING)
                                .set_epsilon(added));
        set_output(y, 4, x.dtype, all, channels_last(all));
        set_output(mean, 5, DType::f32, rows, channels_last(rows));
        set_output(rstd, 6, DType::f32, rows, channels_last(rows));
      });
  if (plan == nullptr) return run_ours("layer_norm", call);
  Parts parts;
  const Activations source(x, n, d, d, parts);
  const Activations result(call.out[Operand::y], n, d, d, parts);
  const size_t workspace = parts.add(plan->workspace);
  parts.take(call);
  library(call).execute(
      *plan,
      {source.read(call, parts), call.in[Operand::gamma].data, call.in[Operand::beta].data,
       result.place(parts), call.out[Operand::mean].data, call.out[Operand::rstd].data},
      parts.at(workspace));
  result.written(call, parts);
}

void layer_norm_gradient(const Call& call) {
  using Operand = operands::LayerNormGradient;
  const View& x = call.in[Operand::x];
  if (x.count() == 0) {
    clear(call, call.out[Operand::dgamma]);
    return clear(call, call.out[Operand::dbeta]);
  }
  const int64_t d = x.shape[-1];
  const int64_t n = x.count() / d;
  const Sizes all{n, d, 1, 1};
  const Sizes features{1, d, 1, 1};
  const Sizes rows{n, 1, 1, 1};
  Plan* plan =
      library(call).find(layer_norm_text("layer_norm_gradient", x, 0), x.dtype, [&](Graph& graph) {
        const auto [dx, dgamma, dbeta] = graph.layernorm_backward(
            tensor(graph, 1, x.dtype, all, channels_last(all)),
            tensor(graph, 2, x.dtype, all, channels_last(all)),
            tensor(graph, 5, DType::f32, features, channels_last(features)),
            fe::graph::Layernorm_backward_attributes().set_saved_mean_and_inv_variance(
                tensor(graph, 3, DType::f32, rows, channels_last(rows)),
                tensor(graph, 4, DType::f32, rows, channels_last(rows))));
        set_output(dx, 6, x.dtype, all, channels_last(all));
        set_output(dgamma, 7, DType::f32, features, channels_last(features));
        set_output(dbeta, 8, DType::f32, features, channels_last(features));
      });
  if (plan == nullptr) return run_ours("layer_norm_gradient", call);
  Parts parts;
  const Activations dy(call.in[Operand::dy], n, d, d, parts);
  const Activations source(x, n, d, d, parts);
  const Activations dx(call.out[Operand::dx], n, d, d, parts);
  const size_t workspace = parts.add(plan->workspace);
  parts.take(call);
  library(call).execute(
      *plan,
      {dy.read(call, parts), source.read(call, parts), call.in[Operand::mean].data,
       call.in[Operand::rstd].data, call.in[Operand::gamma].data, dx.place(parts),
       call.out[Operand::dgamma].data, call.out[Operand::dbeta].data},
      parts.at(workspace));
  dx.written(call, parts);
}

namespace {

// ---- Attention on packed queries, keys and values.

struct AttentionProblem {
  DType type;
  int64_t b, l, h, d;
  double scale;
  Sizes heads, packed, rows,
      lse;  // sizes [B, H, L, D] and their strides in qkv and in y; lse's sizes

  AttentionProblem(const View& qkv, const Attention& attributes)
      : type(qkv.dtype),
        b(qkv.shape[0]),
        l(qkv.shape[1]),
        h(attributes.heads),
        d(qkv.shape[2] / (3 * attributes.heads)),
        scale(attributes.scale),
        heads{b, h, l, d},
        packed{l * 3 * h * d, d, 3 * h * d, 1},
        rows{l * h * d, d, h * d, 1},
        lse{b, h, l, 1} {}
  std::string text(const char* operation) const {
    return concat(operation, " ", name_of(type), " b ", b, " h ", h, " l ", l, " d ", d, " scale ",
                  scale);
  }
};

// Queries, keys and values of packed rows: one behind the other in each token.
const void* section(const void* packed, const AttentionProblem& p, int64_t which) {
  return static_cast<const char*>(packed) + bytes_of(p.type, which * p.h * p.d);
}

}  // namespace

void attention(const Call& call) {
  const AttentionProblem p(call.in[0], call.attributes.as<Attention>());
  if (call.in[0].count() == 0 || !all_aligned(call)) return run_ours("attention", call);
  Plan* plan = library(call).find(p.text("attention"), p.type, [&](Graph& graph) {
    const auto packed = [&](int64_t number) {
      return tensor(graph, number, p.type, p.heads, p.packed);
    };
    const auto [y, lse] =
        graph.sdpa(packed(1), packed(2), packed(3),
                   fe::graph::SDPA_attributes().set_generate_stats(true).set_attn_scale(
                       static_cast<float>(p.scale)));
    set_output(y, 4, p.type, p.heads, p.rows);
    set_output(lse, 5, DType::f32, p.lse, contiguous(p.lse));
  });
  if (plan == nullptr) return run_ours("attention", call);
  const void* qkv = call.in[0].data;
  library(call).execute(*plan,
                        {section(qkv, p, 0), section(qkv, p, 1), section(qkv, p, 2),
                         call.out[0].data, call.out[1].data},
                        call.context.scratch(std::max<size_t>(plan->workspace, 1)));
}

void attention_gradient(const Call& call) {
  using Operand = operands::AttentionGradient;
  const AttentionProblem p(call.in[Operand::qkv], call.attributes.as<Attention>());
  if (call.in[Operand::qkv].count() == 0 || !all_aligned(call))
    return run_ours("attention_gradient", call);
  const bool deterministic = context(call).cudnn().options().deterministic;
  Plan* plan = library(call).find(p.text("attention_gradient"), p.type, [&](Graph& graph) {
    const auto packed = [&](int64_t number) {
      return tensor(graph, number, p.type, p.heads, p.packed);
    };
    const auto [dq, dk, dv] = graph.sdpa_backward(
        packed(1), packed(2), packed(3), tensor(graph, 4, p.type, p.heads, p.rows),
        tensor(graph, 5, p.type, p.heads, p.rows),
        tensor(graph, 6, DType::f32, p.lse, contiguous(p.lse)),
        fe::graph::SDPA_backward_attributes()
            .set_attn_scale(static_cast<float>(p.scale))
            .set_deterministic_algorithm(deterministic));
    int64_t number = 7;
    for (const GraphTensor& gradient : {dq, dk, dv})
      set_output(gradient, number++, p.type, p.heads, p.packed);
  });
  if (plan == nullptr) return run_ours("attention_gradient", call);
  const void* qkv = call.in[Operand::qkv].data;
  const void* dqkv = call.out[Operand::dqkv].data;
  library(call).execute(
      *plan,
      {section(qkv, p, 0), section(qkv, p, 1), section(qkv, p, 2), call.in[Operand::y].data,
       call.in[Operand::dy].data, call.in[Operand::lse].data, section(dqkv, p, 0),
       section(dqkv, p, 1), section(dqkv, p, 2)},
      call.context.scratch(std::max<size_t>(plan->workspace, 1)));
}

}  // namespace cuda::library

namespace {

using enum DType;

constexpr std::array library_table = {
    KernelEntry{"convolution", {f32, bf16, f16}, cuda::library::convolution},
    KernelEntry{
        "convolution_data_gradient", {f32, bf16, f16}, cuda::library::convolution_data_gradient},
    KernelEntry{"convolution_weight_gradient",
                {f32, bf16, f16},
                cuda::library::convolution_weight_gradient},
    KernelEntry{"matrix_product", {f32, bf16, f16}, cuda::library::matrix_product},
    KernelEntry{"product_added", {bf16, f16}, cuda::library::product_added},
    KernelEntry{"product_gelu", {bf16, f16}, cuda::library::product_gelu},
    KernelEntry{"product_gelu_gradient", {bf16, f16}, cuda::library::product_gelu_gradient},
    KernelEntry{"layer_norm", {f32, bf16, f16}, cuda::library::layer_norm},
    KernelEntry{"layer_norm_gradient", {f32, bf16, f16}, cuda::library::layer_norm_gradient},
    KernelEntry{"attention", {bf16, f16}, cuda::library::attention},
    KernelEntry{"attention_gradient", {bf16, f16}, cuda::library::attention_gradient},
};

}  // namespace

std::span<const KernelEntry> cudnn_kernels() { return library_table; }

Kernel find_cuda_kernel(std::string_view operation, DType dtype) {
  const Kernel of_library = find_kernel(cudnn_kernels(), operation, dtype);
  return of_library != nullptr ? of_library : find_kernel(cuda_kernels(), operation, dtype);
}

}  // namespace lacuna
