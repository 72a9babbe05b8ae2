# Run at every build: writes OUTPUT, the source file that says what the program was built from, and
# touches it only when something changed. Without git, or outside a checkout, the commit is "".
find_program(GIT git)
set(commit "")
if(GIT AND EXISTS ${SOURCE_DIR}/.git)
  execute_process(COMMAND ${GIT} -c safe.directory=* -C ${SOURCE_DIR} describe --always --dirty
    --abbrev=12 --exclude=* OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [=[// Made by tools/cmake/build-info.cmake.
#include "base/build_info.h"

namespace lacuna {

BuildInfo build_info() { return {"@VERSION@", "@commit@", "@COMPILER@", "@BUILD_TYPE@"}; }

}  // namespace lacuna
]=])
