// What a user asks the program for with one command line.
#pragma once

#include <string>
#include <vector>

#include "config/command_line.h"
#include "stages/setup/stage.h"

namespace lacuna {

// The words behind the program's name, understood: either a text to print (help, version), or a
// stage and its arguments.
struct Invocation {
  std::string text;
  const Stage* stage = nullptr;  // in the list given; null when there is a text
  Arguments arguments;
};

// Error bad_input: no or an unknown stage, or what parse_arguments() refuses.
Invocation interpret(const std::vector<Stage>& stages, const std::vector<std::string>& words);

// Whether the words ask for nothing that needs other ranks: help, version, or a stage without
// ranks. Does not throw; words that interpret() refuses count as needing all ranks, so that one of
// them can speak for all, unless they name a stage without ranks.
bool runs_alone(const std::vector<Stage>& stages, const std::vector<std::string>& words);

// The text of "lacuna --version": versions of this program and of what it was built with and runs
// on.
std::string version_text();

}  // namespace lacuna
