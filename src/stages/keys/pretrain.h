// Keys that pretrain reads itself, and what a run keeps of them for embed.
#pragma once

#include <vector>

#include "config/configuration.h"

namespace lacuna {

std::vector<Key> pretrain_keys();
std::vector<Key> snapshot_keys();  // watch.*
std::vector<Key> embed_keys();

}  // namespace lacuna
