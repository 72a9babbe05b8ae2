#include <iostream>

#include "stages/describe.h"
#include "stages/stage.h"

namespace lacuna {

ExitStatus inspect(const Arguments& arguments, StageContext&) {
  std::cout << describe_file(arguments.argument()) << std::flush;
  return ExitStatus::finished;
}

}  // namespace lacuna
