// How labels (data/labels.h) become the targets of a task: numbers and names of classes, marks of
// classes in rows of 0 and 1, measurements, and what means that a sample has none.
//
//   classes  names and numbers are sorted and numbered from 0 on; a row of 0 and 1 with one 1 is
//            the class of its place (one-hot)
//   values   numbers as they are
//   marks    rows of 0 and 1
//
// A sample has no label where that is negative (but of values), NaN, an empty text, the column's
// _FillValue or missing_value, a row of zeros where rows mark one class, or given as such.
#pragma once

#include <string>
#include <vector>

#include "data/labels.h"
#include "tasks/targets.h"

namespace lacuna {

struct LabelTargets {
  Targets train, test;
  // Of each class; empty where classes have their numbers from 0 on.
  std::vector<std::string> class_names = {};
  std::vector<std::string> lines = {}, warnings = {};  // what the user should know
};

// The classes are those of the training labels; a test sample of another one gets a number beyond
// them. `given`: labels, as texts, that mean that there is none. bad_input where labels are no such
// targets, with what to do then; and where no sample has one.
LabelTargets label_targets(TargetType type, const LabelColumn& train, const LabelColumn& test,
                           const std::vector<std::string>& given);

}  // namespace lacuna
