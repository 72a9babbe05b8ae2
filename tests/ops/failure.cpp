#include "ops/failure.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "data/hdf5.h"

namespace lacuna::test::ops {

namespace {

// What is no number is furthest off.
size_t furthest(const Disagreement& wrong) {
  size_t worst = 0;
  double most = -1;
  for (size_t i = 0; i < wrong.actual.size(); ++i) {
    const double off = std::abs(wrong.actual[i] - wrong.expected[i]);
    if (off <= most) continue;
    worst = i;
    if (std::isnan(off)) break;
    most = off;
  }
  return worst;
}

std::string place(size_t index, const Shape& shape) {
  std::string text;
  auto left = static_cast<int64_t>(index);
  for (int axis = shape.rank() - 1; axis >= 0; left /= shape[axis], --axis)
    text = concat(left % shape[axis], text.empty() ? "" : ", ", text);
  return concat("[", text, "]");
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += concat(text.empty() ? "" : ", ", word);
  return text;
}

}  // namespace

std::string text_of(const Failure& failure) {
  std::string text = concat(failure.name, "\n  operations: ", joined(failure.operations),
                            "\n  operands: ", joined(failure.operands), "\n");
  for (const Disagreement& wrong : failure.wrong) {
    const size_t at = furthest(wrong);
    text += concat("  ", wrong.what, " ", wrong.shape, ": relative error ", wrong.error,
                   ", at most ", wrong.limit, "; furthest off at ", place(at, wrong.shape), ": ",
                   wrong.actual.at(at), " instead of ", wrong.expected.at(at), "\n");
  }
  for (const LibraryPlan& plan : failure.plans) {
    text += concat("  plan: ", plan.problem, ": ",
                   plan.engine.empty() ? "none, a kernel of Lacuna's" : plan.engine, ", workspace ",
                   plan.workspace, " of ", plan.candidates, " offered\n");
  }
  return text;
}

std::string dump(const Failure& failure, const std::string& file, size_t most) {
  constexpr size_t of_a_dataset = 1024;  // names, headers
  const bool exists = std::filesystem::exists(file);
  size_t bytes = exists ? std::filesystem::file_size(file) : 0;
  for (const auto& values : failure.values) bytes += values.size() * sizeof(double) + of_a_dataset;
  for (const Disagreement& wrong : failure.wrong)
    bytes += 2 * (wrong.actual.size() * sizeof(double) + of_a_dataset);
  if (bytes > most) return concat("  numbers: not kept, ", file, " would be too large\n");
  hdf5::File to = exists ? hdf5::File::open_writable(file) : hdf5::File::create(file);
  std::string name = failure.name;
  std::replace(name.begin(), name.end(), '/', '|');
  if (to.has(name)) return concat("  numbers: ", file, " has a group ", name, " already\n");
  hdf5::Group group = to.create_group(name);
  const auto add = [&](const std::string& path, const std::vector<double>& values,
                       const Shape& shape) {
    group.create_dataset(path, DType::f64, shape).write(values.data(), DType::f64);
  };
  for (size_t i = 0; i < failure.values.size(); ++i) {
    add(concat("operands/", i), failure.values[i],
        Shape{static_cast<int64_t>(failure.values[i].size())});
  }
  for (const Disagreement& wrong : failure.wrong) {
    add(concat(wrong.what, "/actual"), wrong.actual, wrong.shape);
    add(concat(wrong.what, "/expected"), wrong.expected, wrong.shape);
  }
  to.close();
  return concat("  numbers: ", file, ", group ", name, "\n");
}

}  // namespace lacuna::test::ops
