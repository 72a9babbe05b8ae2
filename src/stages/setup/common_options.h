// Options that several stages take.
#pragma once

#include <string>

#include "config/command_line.h"

namespace lacuna {

Option settings_option();    // --set
Option run_folder_option();  // --run
// --force, which moves `what` aside.
Option force_option(const std::string& what);

}  // namespace lacuna
