# Writes the source OUTPUT, which defines what HEADER declares: TYPE INSIDE::FUNCTION(), all
# elements (of ELEMENT) of what NAMESPACE::<stem>_SUFFIX() of each of FILES returns, in the order of
# their names. So a new family is a new file and no line elsewhere.
function(lacuna_join_families)
  cmake_parse_arguments(PARSE_ARGV 0 ARG ""
    "OUTPUT;HEADER;FUNCTION;TYPE;ELEMENT;SUFFIX;NAMESPACE;INSIDE" "FILES")
  set(declarations "")
  set(calls "")
  foreach(file ${ARG_FILES})
    get_filename_component(stem ${file} NAME_WE)
    string(APPEND declarations "${ARG_TYPE} ${stem}_${ARG_SUFFIX}();\n")
    string(APPEND calls "             ${ARG_NAMESPACE}::${stem}_${ARG_SUFFIX}(),\n")
  endforeach()
  file(CONFIGURE OUTPUT ${ARG_OUTPUT} @ONLY CONTENT [=[// Made by tools/cmake/Families.cmake.
#include "@ARG_HEADER@"

#include <vector>

namespace @ARG_NAMESPACE@ {

@declarations@
}  // namespace @ARG_NAMESPACE@

namespace @ARG_INSIDE@ {

@ARG_TYPE@ @ARG_FUNCTION@() {
  static const std::vector<@ARG_ELEMENT@> all = [] {
    std::vector<@ARG_ELEMENT@> joined;
    for (const @ARG_TYPE@& family : {
@calls@         }) {
      joined.insert(joined.end(), family.begin(), family.end());
    }
    return joined;
  }();
  return all;
}

}  // namespace @ARG_INSIDE@
]=])
endfunction()

# The table of the kernels of kernels/<device>, its sources but those in support/.
function(lacuna_kernel_table device output)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/${device}/*.c*)
  lacuna_join_families(OUTPUT ${output} HEADER kernels/${device}/support/table.h
    FUNCTION ${device}_kernels TYPE "std::span<const KernelEntry>" ELEMENT KernelEntry
    SUFFIX kernels NAMESPACE lacuna::${device} INSIDE lacuna
    FILES ${files})
endfunction()
