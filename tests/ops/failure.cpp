#include "ops/failure.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "io/hdf5.h"

namespace lacuna::test::ops {

namespace {

// What is not finite is furthest off.
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

// Of processes that write to the same folder, one goes on at a time. Tests of one operation fail
// together.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder)
      : folder_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    ::flock(folder_, LOCK_EX);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock() { ::close(folder_); }

 private:
  int folder_;
};

size_t bytes_of(const Failure& failure) {
  constexpr size_t of_a_dataset = 1024;  // names, headers
  size_t bytes = 0;
  for (const auto& values : failure.values) bytes += values.size() * sizeof(double) + of_a_dataset;
  for (const Disagreement& wrong : failure.wrong)
    bytes += 2 * (wrong.actual.size() * sizeof(double) + of_a_dataset);
  return bytes;
}

void write(const Failure& failure, hdf5::Group group) {
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
}

// The case's name, with a number where an earlier run has left it.
std::string free_name(const hdf5::File& file, std::string name) {
  std::replace(name.begin(), name.end(), '/', '|');
  std::string free = name;
  for (int number = 2; file.has(free); ++number) free = concat(name, " (", number, ")");
  return free;
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

std::string dump(const Failure& failure, const std::string& file, size_t most) try {
  const FolderLock lock(std::filesystem::absolute(file).parent_path());
  const bool exists = std::filesystem::exists(file);
  if ((exists ? std::filesystem::file_size(file) : 0) + bytes_of(failure) > most)
    return concat("  numbers: not kept, ", file, " would be too large\n");
  hdf5::File to = exists ? hdf5::File::open_writable(file) : hdf5::File::create(file);
  const std::string name = free_name(to, failure.name);
  write(failure, to.create_group(name));
  to.close();
  return concat("  numbers: ", file, ", group ", name, "\n");
} catch (const std::exception& error) {
  return concat("  numbers: not kept: ", error.what(), "\n");
}

}  // namespace lacuna::test::ops
