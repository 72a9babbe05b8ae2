// Results of PyTorch in pytorch.h5 (make.py) and in files of an objective's or an encoder's own
// (simsiam.h5, by simsiam.py), and how ours are compared with them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "backend/device.h"
#include "graph/plan.h"
#include "io/hdf5.h"

namespace lacuna::golden {

// One group of the file: attributes that say what was computed, and its tensors by name.
class Case {
 public:
  struct Tensor {
    int64_t elements;
    std::vector<double> values;  // all elements, or the norm and projections
  };

  explicit Case(hdf5::Group group);

  std::string text(const std::string& name) const { return group_->text(name); }
  int64_t integer(const std::string& name) const { return group_->integer(name); }
  double number(const std::string& name) const { return group_->number(name); }
  bool has(const std::string& name) const { return group_->has_attribute(name); }

  std::map<std::string, Tensor> tensors;

 private:
  std::shared_ptr<const hdf5::Group> group_;
};

// Calls f(name, case) for each group below `kind` ("network", "optimizer", …) of every file; there
// must be some.
void for_each_case(const std::string& kind,
                   const std::function<void(const std::string&, const Case&)>& f);

// What we computed, by the same names.
using Results = std::map<std::string, std::vector<double>>;

struct Difference {
  std::string name;
  double relative;  // L2, of the norm of PyTorch's tensor; NaN where ours has other elements
};

// Of every tensor of either side, named like it. A gradient ("gradient/…") whose norm is below 1e-6
// of that of all gradients is compared with that. For tensors known by projections it is the
// estimate that random signs give: the root of the mean of the squared differences of the
// projections.
std::vector<Difference> differences(const Case& expected, const Results& ours);

// Largest differences allowed: of gradients, and of everything else.
struct Limits {
  double forward;
  double backward;
};

// The differences that are not within the limits (NaN never is).
std::vector<Difference> beyond(const std::vector<Difference>& all, const Limits& limits);

// The devices, with and without plans, that must agree with PyTorch, and how well.
struct Setting {
  std::string device;
  std::function<std::unique_ptr<Device>()> make;
  bool eager;
  Limits limits;
};
// Of the test program: golden/settings.cpp, cuda/device/golden.cpp.
std::vector<Setting> settings();
// " on the cpu, 2 threads, eager"
std::ostream& operator<<(std::ostream& out, const Setting& setting);

// Fails the test for what is beyond the limits, naming each; `where` goes into the message.
void check(const Case& expected, const Results& ours, const Limits& limits,
           const std::string& where);

// N(0, 1), rounded to float32: what make.py's test_normal(…).float() gives.
std::vector<double> rounded_normal(const std::string& name, int64_t count, uint64_t seed = 1,
                                   uint32_t detail = 0);

}  // namespace lacuna::golden
