// What a plan of cuDNN computes, on the host: the operation graph that the plan describes, node by
// node, with every result rounded to its tensor's type. What is not known is refused, never left
// out.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "arrays.h"

namespace cudnn_double {

struct Plan {
  std::vector<Tensor> tensors;
  std::vector<std::function<void(std::vector<Array>&)>> steps;  // on one array per tensor
};

// `description` is a plan's JSON, which further bytes may follow. Throws Refused.
Plan interpret(const std::string& description);

}  // namespace cudnn_double
