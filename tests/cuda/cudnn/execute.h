// Execution of cuDNN's plans without a device. The library checks, plans and compiles; defined
// here, before its own, are the calls that need a device: a handle that remembers its stream, and
// an Execute that computes on the host what the plan's description says (interpret.h), in the
// stream's order (doubles/runtime.h).
#pragma once

#include <string>

namespace cudnn_double {

// Why this thread's last refused execution was refused; empty where none was.
std::string last_refusal();

}  // namespace cudnn_double
