// What a person needs to mend an operation on a device that is no longer at hand: which it was, on
// what, where it is wrong and by how much, by which plan of the device's library, and the numbers
// themselves.
#pragma once

#include <string>
#include <vector>

#include "ops/case.h"

namespace lacuna::test::ops {

// One result of a case, the output or a gradient, beside what the reference device computes.
struct Disagreement {
  std::string what;  // "output", "gradient by operand 1"
  Shape shape;
  std::vector<double> actual, expected;
  double error = 0, limit = 0;  // relative, as the suite compares
};

struct Failure {
  std::string name;                         // of the case, with its dtype
  std::vector<std::string> operations;      // of the recorded graph, in order
  std::vector<std::string> operands;        // type and shape
  std::vector<std::vector<double>> values;  // of the operands
  std::vector<Disagreement> wrong;
  std::vector<LibraryPlan> plans;  // that the case needed
};

// Sentences that say all but the numbers, with the element that is furthest off in each result.
std::string text_of(const Failure& failure);

// Adds the numbers to an HDF5 file as a group of the case's name: operands/0 …, and actual and
// expected of each wrong result. Closed each time, so that what was written outlives a crash;
// several processes may add to one file. Returns what became of it, for the text, and throws
// nothing: nothing is added where the file would grow beyond `most` bytes.
std::string dump(const Failure& failure, const std::string& file, size_t most = size_t{8} << 20);

}  // namespace lacuna::test::ops
