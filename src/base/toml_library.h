// toml++ as it is to be included: 3.3 asserts, before it refuses it in order, what malformed text can break ("[+a]");
// under NDEBUG it would even let the compiler rely on it. Neither is wanted. For implementation files only.
#pragma once

#undef NDEBUG
#define TOML_ASSERT(condition) static_cast<void>(0)
#include <toml++/toml.h>
