#include <iostream>

#include "stages/inspect/describe.h"
#include "stages/inspect/stage.h"
#include "stages/setup/stage.h"

namespace lacuna {

namespace {

Syntax inspect_syntax() {
  return {.stage = "inspect",
          .argument = "ANY.h5",
          .argument_doc = "A data set, a checkpoint, representations or metrics.",
          .summary = "Tells in plain words what an HDF5 file holds.",
          .options = {}};
}

ExitStatus inspect(const Arguments& arguments, StageContext&) {
  std::cout << describe_file(arguments.argument()) << std::flush;
  return ExitStatus::finished;
}

}  // namespace

Stage inspect_stage() { return {inspect_syntax(), false, inspect}; }

}  // namespace lacuna
