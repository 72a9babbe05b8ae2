// One case of the conformance suite: an operation on operands of given shapes. The suite
// (conformance.cpp) runs each on every device and dtype; a family's cases stand in the file of its
// operations, tests/ops/<family>.cpp.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backend/device.h"
#include "base/random.h"
#include "graph/executor.h"
#include "graph/forward_context.h"

namespace lacuna::test::ops {

struct Operand {
  enum class Kind {
    activation,  // of the type under test
    parameter,   // f64 on the reference device, f32 elsewhere
    labels,      // i64
    small,       // i32
    value,       // f64
  };
  Kind kind;
  Shape shape;
  // Of element i, from its draw.
  std::function<double(const Draws&, uint32_t)> value;
  bool differentiable = true;
};

// Normal with this spread about this centre.
Operand activation(const Shape& shape, double spread = 1, double centre = 0);
Operand parameter(const Shape& shape, double spread = 1, double centre = 0);
// At least 0.1 away from 0, either side: for what has a kink there.
Operand off_zero(const Shape& shape);
// Variances, weights: uniform in [0.5, 1.5].
Operand positive(Operand::Kind kind, const Shape& shape);
// Uniform in [-1, classes): one label in (classes + 1) does not count.
Operand labels(int64_t rows, int64_t classes);
// Places among `count`, uniform in [-1, count); one in (count + 1) is none.
Operand places(const Shape& shape, int64_t count, Operand::Kind kind = Operand::Kind::labels);
// A value of the step, uniform in [0.5, 1.5].
Operand value_of_step(const Shape& shape);
// Ones and zeros, of which a third are zeros.
Operand mask(const Shape& shape);
Operand constant(Operand operand);  // no gradient is asked for

struct Case {
  std::string name;
  std::vector<Operand> operands;
  std::function<Tensor(const std::vector<Tensor>&)> build;
  bool differentiable = true;
  // Too large for finite differences: for the blocks and tails of fast kernels.
  bool large = false;
};

// A change of State: targets in groups (weights, momenta, …) of one tensor per shape.
struct UpdateCase {
  std::string name;
  std::vector<Shape> shapes;
  size_t groups;
  std::vector<double> values;  // learning rate, …: f64 []
  // sources: one tensor per shape, P; targets: group by group.
  std::function<Update(const std::vector<Tensor>& sources,
                       const std::vector<std::vector<State*>>& targets,
                       const std::vector<Tensor>& values)>
      build;
};

// All cases; the build joins those of <family>_cases() in each tests/ops/<family>.cpp.
std::vector<Case> all_cases();
std::vector<UpdateCase> all_update_cases();

// The elements of a tensor as double.
std::vector<double> to_doubles(const HostTensor& tensor);
HostTensor from_doubles(DType dtype, const Shape& shape, const std::vector<double>& values);
// |a - b| / |b| (Euclidean), or |a - b| / scale where |b| is below 1e-6 scale.
double relative_error(const std::vector<double>& a, const std::vector<double>& b, double scale = 0);

// Values of operands: drawn, then rounded as `compute` and its parameter type hold them.
std::vector<std::vector<double>> operand_values(const Case& test, DType compute);

// A case recorded on a device: output and, by a fixed random seed, gradients.
class CaseRun {
 public:
  CaseRun(const Case& test, Device& device, DType compute, PlanOptions options = {});
  // The graph's nodes (forward and backward), without leaves.
  std::vector<NodePointer> nodes() const;
  // Of the output, then of the gradients.
  std::vector<Shape> shapes() const;
  std::vector<std::string> operands() const;  // type and shape of each
  void set(const std::vector<std::vector<double>>& values);
  // Output alone.
  std::vector<double> forward();
  // Output, then gradients by each differentiable operand.
  std::vector<std::vector<double>> forward_and_gradients();
  // The weights of the output's elements: what the gradients are gradients of.
  const std::vector<double>& seed() const { return seed_values_; }

 private:
  Executor executor_;
  std::vector<HostTensor> hosts_;
  std::vector<Tensor> leaves_;
  Tensor output_;
  HostTensor seed_;
  std::vector<double> seed_values_;
  std::vector<Tensor> gradients_;
};

// The largest relative error of the case's gradients on the reference device against finite
// differences (fourth order, central), over its operands.
double gradient_error(const Case& test);

}  // namespace lacuna::test::ops
