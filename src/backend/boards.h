// GPUs by name, for plans made where there is none.
#pragma once

#include <span>
#include <string_view>

namespace lacuna {

struct Board {
  std::string_view name;  // "h100"
  std::string_view what;  // "NVIDIA H100 80GB HBM3"
  double gigabytes;       // of memory
  // As cuDNN reads it (CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION): the published figures.
  std::string_view properties;
};

std::span<const Board> boards();
// nullptr: none of that name.
const Board* find_board(std::string_view name);

}  // namespace lacuna
