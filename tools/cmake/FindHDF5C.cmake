# HDF5's C library, of a serial or a parallel build. CMake's own FindHDF5 asks the wrapper h5cc,
# which holds absolute paths; header and library are enough. Debian keeps both builds in folders of
# their own.
set(hdf5_hints ENV HDF5_ROOT ENV HDF5_DIR ENV HDF5_HOME)
set(hdf5_flavours serial openmpi mpich)
list(TRANSFORM hdf5_flavours PREPEND hdf5/ OUTPUT_VARIABLE hdf5_lib_suffixes)
list(TRANSFORM hdf5_flavours PREPEND include/hdf5/ OUTPUT_VARIABLE hdf5_include_suffixes)
find_path(HDF5C_INCLUDE_DIR NAMES hdf5.h HINTS ${hdf5_hints}
  PATH_SUFFIXES ${hdf5_include_suffixes} ${hdf5_lib_suffixes})
if(HDF5C_INCLUDE_DIR MATCHES "hdf5/(serial|openmpi|mpich)$")  # the library of the same build
  set(hdf5_lib_suffixes hdf5/${CMAKE_MATCH_1})
  set(hdf5_names hdf5_${CMAKE_MATCH_1})
endif()
find_library(HDF5C_LIBRARY NAMES ${hdf5_names} hdf5 HINTS ${hdf5_hints}
  PATH_SUFFIXES ${hdf5_lib_suffixes})
if(HDF5C_INCLUDE_DIR)
  file(GLOB hdf5_config ${HDF5C_INCLUDE_DIR}/H5pubconf*.h)
  foreach(file ${hdf5_config})
    file(STRINGS ${file} line REGEX "^#define H5_PACKAGE_VERSION ")
    string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" HDF5C_VERSION "${line}")
    file(STRINGS ${file} HDF5C_IS_PARALLEL REGEX "^#define H5_HAVE_PARALLEL 1")
    if(HDF5C_VERSION)
      break()
    endif()
  endforeach()
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(HDF5C REQUIRED_VARS HDF5C_LIBRARY HDF5C_INCLUDE_DIR
  VERSION_VAR HDF5C_VERSION)
if(HDF5C_FOUND AND NOT TARGET HDF5C::HDF5C)
  add_library(HDF5C::HDF5C UNKNOWN IMPORTED)
  set_target_properties(HDF5C::HDF5C PROPERTIES IMPORTED_LOCATION ${HDF5C_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${HDF5C_INCLUDE_DIR})
  if(HDF5C_IS_PARALLEL)  # its hdf5.h includes mpi.h
    set_property(TARGET HDF5C::HDF5C PROPERTY INTERFACE_LINK_LIBRARIES MPI::MPI_C)
  endif()
  if(HDF5C_LIBRARY MATCHES "\\.a$")  # a static library does not say what it needs
    set_property(TARGET HDF5C::HDF5C APPEND PROPERTY
      INTERFACE_LINK_LIBRARIES ZLIB::ZLIB ${CMAKE_DL_LIBS} m)
  endif()
endif()
mark_as_advanced(HDF5C_INCLUDE_DIR HDF5C_LIBRARY)
