// Files of a library's plans (train.plans; docs/formats.md): which engine a GPU takes for each
// problem.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backend/device.h"

namespace lacuna {

class Communicator;

// Engines by problem. Collective: rank 0 reads; bad_input on every rank for a file that is none.
// "": no file, none.
std::map<std::string, std::string> read_plan_file(const std::string& file,
                                                  Communicator& communicator);

// For how many of the device's problems `engines` has a plan, in words.
std::string plans_taken(const std::map<std::string, std::string>& engines,
                        const std::vector<LibraryPlan>& plans);

// Replaces the file at once or not at all. `where`: the GPU and the library's version. Problems
// without an engine of the library's are left out.
void write_plan_file(const std::string& file, const std::string& where,
                     const std::vector<LibraryPlan>& plans);

}  // namespace lacuna
