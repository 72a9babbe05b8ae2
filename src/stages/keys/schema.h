// Which keys a configuration may hold: the modules' lists of keys, put together per stage.
#pragma once

#include <string>

#include "config/configuration.h"

namespace lacuna {

// The keys that the TOML of a stage ("pretrain", "finetune", ...) may hold. Keys of other stages
// only are named as theirs in messages.
Schema schema_of(const std::string& stage);

// The keys of all stages: what docs/configuration.md lists.
Schema full_schema();

}  // namespace lacuna
