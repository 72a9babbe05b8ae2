# Finds every library that Lacuna needs, in CMAKE_PREFIX_PATH first, and names all missing ones in a
# single message. Nothing is downloaded or built here.

# MPI from a prefix that has no mpicc, as where Debian's packages were unpacked by hand (mpicc is a
# link made at installation). FindMPI would pass over it and take the system's MPI, if there is one.
function(lacuna_find_mpi_without_mpicc)
  file(TO_CMAKE_PATH "$ENV{CMAKE_PREFIX_PATH}" prefixes)
  foreach(prefix ${CMAKE_PREFIX_PATH} ${prefixes})
    if(EXISTS ${prefix}/bin/mpicc)
      return()
    endif()
    set(lib ${prefix}/lib/${CMAKE_LIBRARY_ARCHITECTURE})
    foreach(flavour openmpi mpich)
      # libmpi looks for the other two where it was packaged to be, so they are named here as well.
      foreach(library mpi open-rte open-pal)
        find_library(LACUNA_MPI_${library} NAMES ${library} NO_DEFAULT_PATH
          PATHS ${lib}/${flavour}/lib ${lib})
        if(LACUNA_MPI_${library})
          list(APPEND libraries ${LACUNA_MPI_${library}})
        endif()
      endforeach()
      find_path(LACUNA_MPI_INCLUDE_DIR mpi.h NO_DEFAULT_PATH PATHS ${lib}/${flavour}/include
        ${prefix}/include/${CMAKE_LIBRARY_ARCHITECTURE}/${flavour})
      if(LACUNA_MPI_mpi AND LACUNA_MPI_INCLUDE_DIR)
        add_library(MPI::MPI_C INTERFACE IMPORTED GLOBAL)
        set_target_properties(MPI::MPI_C PROPERTIES
          INTERFACE_INCLUDE_DIRECTORIES ${LACUNA_MPI_INCLUDE_DIR} INTERFACE_LINK_LIBRARIES
          "-Wl,--push-state,--no-as-needed;${libraries};-Wl,--pop-state")
        find_program(MPIEXEC_EXECUTABLE NAMES mpiexec.${flavour} mpiexec.hydra mpiexec
          HINTS ${prefix}/bin)
        set(MPI_C_FOUND TRUE PARENT_SCOPE)
        return()
      endif()
    endforeach()
  endforeach()
endfunction()

# Libraries that our libraries need may lie in the same prefixes; the linker must find them there.
function(lacuna_search_prefixes_for_indirect_libraries target)
  file(TO_CMAKE_PATH "$ENV{CMAKE_PREFIX_PATH}" prefixes)
  foreach(prefix ${CMAKE_PREFIX_PATH} ${prefixes})
    foreach(folder lib lib64 lib/${CMAKE_LIBRARY_ARCHITECTURE})
      if(IS_DIRECTORY ${prefix}/${folder} AND NOT prefix STREQUAL "/usr")
        target_link_options(${target} INTERFACE -Wl,-rpath-link,${prefix}/${folder})
        list(APPEND folders ${prefix}/${folder})
      endif()
    endforeach()
  endforeach()
  if(folders)  # DT_RPATH, unlike DT_RUNPATH, also serves the libraries of libraries
    target_link_options(${target} INTERFACE -Wl,--disable-new-dtags)
    list(APPEND CMAKE_INSTALL_RPATH ${folders})
    list(APPEND CMAKE_BUILD_RPATH ${folders})
    set(CMAKE_INSTALL_RPATH ${CMAKE_INSTALL_RPATH} PARENT_SCOPE)
    set(CMAKE_BUILD_RPATH ${CMAKE_BUILD_RPATH} PARENT_SCOPE)
  endif()
endfunction()

set(LACUNA_MISSING "")
# lacuna_require(FOUND-VARIABLE "what" debian-package spack-package usual-module)
macro(lacuna_require found what debian spack module)
  if(NOT ${found})
    string(APPEND LACUNA_MISSING
      "\n  ${what}: Debian ${debian}; Spack ${spack}; module ${module}")
    list(APPEND LACUNA_MISSING_DEBIAN ${debian})
  endif()
endmacro()

lacuna_find_mpi_without_mpicc()
if(NOT MPI_C_FOUND)
  find_package(MPI 3.1 QUIET COMPONENTS C)
endif()
find_package(HDF5C 1.10 QUIET)
find_package(ZLIB QUIET)
find_package(Boost QUIET COMPONENTS program_options)
find_package(TomlPlusPlus QUIET)
find_package(OneDNN 2.6 QUIET)
find_package(Highway QUIET)
find_package(OpenMP QUIET COMPONENTS CXX)
find_package(LibDeflate QUIET)
# Optional: with nvcc (from PATH, CUDA_HOME, CUDA_PATH or /usr/local/cuda) the CUDA kernels are
# tested on the host; with cuDNN and its headers too, the CUDA device is built.
option(LACUNA_CUDA_DEVICE "Build the CUDA device where its libraries are found" ON)
find_program(LACUNA_NVCC nvcc
  HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
if(LACUNA_NVCC)
  set(LACUNA_CUDA ON)
  set(CUDAToolkit_ROOT "" CACHE PATH "The CUDA toolkit")
  find_package(CUDAToolkit 12.4 QUIET)
  find_package(CUDNN 9.5 QUIET)
  find_path(NCCL_INCLUDE_DIR nccl.h HINTS ENV NCCL_HOME ${CUDAToolkit_INCLUDE_DIRS}
    PATH_SUFFIXES include)
  find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS ENV NCCL_HOME ${CUDAToolkit_LIBRARY_DIR}
    ${CUDAToolkit_LIBRARY_ROOT} PATH_SUFFIXES lib lib64)
  if(NOT LACUNA_CUDA_DEVICE)
    set(LACUNA_CUDA_MISSING "LACUNA_CUDA_DEVICE is OFF")
  elseif(NOT CUDAToolkit_FOUND)
    set(LACUNA_CUDA_MISSING "CUDA toolkit 12.4 or newer")
  elseif(NOT CUDNN_LIBRARY OR NOT CUDNN_INCLUDE_DIR)
    set(LACUNA_CUDA_MISSING "cuDNN 9 (CUDNN_HOME)")
  elseif(NOT CUDNN_FRONTEND_INCLUDE_DIR)
    set(LACUNA_CUDA_MISSING "the headers of cudnn-frontend (CUDNN_FRONTEND_HOME)")
  elseif(NOT CUDNN_FOUND)
    set(LACUNA_CUDA_MISSING "cuDNN 9.5 or newer, not ${CUDNN_VERSION}")
  endif()
else()
  set(LACUNA_CUDA_MISSING "no nvcc in PATH, CUDA_HOME, CUDA_PATH or /usr/local/cuda")
endif()
find_library(LACUNA_CUDA_STUB cuda
  HINTS ${CUDAToolkit_LIBRARY_DIR} PATH_SUFFIXES stubs NO_DEFAULT_PATH)
unset(LACUNA_CUDA_MISSING CACHE)
if(LACUNA_CUDA_MISSING)
  set(LACUNA_CUDA_MISSING "${LACUNA_CUDA_MISSING}" CACHE INTERNAL "Why there is no CUDA device")
  message(STATUS "The CUDA device is not built: ${LACUNA_CUDA_MISSING}")
endif()
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

lacuna_require(MPI_C_FOUND "MPI 3.1 or newer" "libopenmpi-dev" "openmpi or mpich"
  "openmpi, mpich, cray-mpich")
lacuna_require(HDF5C_FOUND "HDF5 1.10 or newer, C library" "libhdf5-dev" "hdf5" "hdf5")
lacuna_require(ZLIB_FOUND "zlib" "zlib1g-dev" "zlib" "zlib")
lacuna_require(Boost_PROGRAM_OPTIONS_FOUND "Boost.Program_options"
  "libboost-program-options-dev" "boost +program_options" "boost")
lacuna_require(TomlPlusPlus_FOUND "toml++ 3" "libtomlplusplus-dev" "tomlplusplus" "tomlplusplus")
lacuna_require(OneDNN_FOUND "oneDNN 2.6 or newer" "libdnnl-dev" "onednn" "oneDNN")
lacuna_require(Highway_FOUND "Highway" "libhwy-dev" "highway" "Highway")
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  lacuna_require(OpenMP_CXX_FOUND "OpenMP for clang" "libomp-dev" "llvm-openmp" "llvm")
else()
  lacuna_require(OpenMP_CXX_FOUND "OpenMP" "g++" "gcc" "gcc")
endif()

if(BUILD_TESTING)
  find_package(Catch2 QUIET)
  if(LACUNA_CUDA)
    find_package(Boost QUIET COMPONENTS context)
    lacuna_require(Boost_CONTEXT_FOUND "Boost.Context (tests of CUDA kernels)"
      "libboost-context-dev" "boost +context" "boost")
  endif()
  lacuna_require(Catch2_FOUND "Catch2 2 or 3" "catch2" "catch2" "Catch2")
  # The first of these that has h5py: a Python of the user's own often comes before the system's.
  foreach(python "${LACUNA_PYTHON}" python3 /usr/bin/python3)
    find_program(python_path NAMES ${python} NO_CACHE)
    if(python_path)
      execute_process(COMMAND ${python_path} -c "import h5py, numpy" RESULT_VARIABLE status
        OUTPUT_QUIET ERROR_QUIET)
      if(status EQUAL 0)
        set(LACUNA_PYTHON ${python_path}
          CACHE FILEPATH "A Python with h5py and numpy, for the tests")
        set(LACUNA_PYTHON_FOUND TRUE)
        break()
      endif()
    endif()
    unset(python_path)
  endforeach()
  lacuna_require(LACUNA_PYTHON_FOUND "Python 3 with h5py and numpy (tests)" "python3-h5py"
    "py-h5py" "Python, h5py")
endif()

if(LACUNA_MISSING)
  string(REPLACE ";" " " LACUNA_MISSING_DEBIAN "${LACUNA_MISSING_DEBIAN}")
  set(without_tests "")
  if(BUILD_TESTING)
    set(without_tests "\n-DBUILD_TESTING=OFF needs neither Catch2 nor Python.")
  endif()
  message(FATAL_ERROR "Missing:${LACUNA_MISSING}\n"
    "As root: apt-get install ${LACUNA_MISSING_DEBIAN}\n"
    "Without root: load the modules, or make a Spack environment of tools/spack.yaml, or "
    "name the prefixes in CMAKE_PREFIX_PATH; then configure again.${without_tests}")
endif()
