# Sourced by the scripts of this folder: packages, Python, launcher. Not a program of its own.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
  echo "lacuna: $*" >&2
  exit 2
}

# What each purpose needs of Debian 12.
packages_build="g++ cmake ninja-build ccache libopenmpi-dev openmpi-bin libhdf5-dev zlib1g-dev
  libboost-program-options-dev libtomlplusplus-dev libdnnl-dev libhwy-dev libdeflate-dev"
packages_data="python3 python3-h5py dataset-fashion-mnist"
packages_test="git clang-format catch2 libboost-context-dev python3 python3-numpy python3-h5py
  python3-matplotlib hdf5-tools dataset-fashion-mnist"
packages_sanitize="clang libclang-rt-dev libomp-dev"
packages_ci="$packages_sanitize libmpich-dev mpich"
packages_bench="python3-venv"
packages_slurm="slurm-wlm munge"
packages_bundle="patchelf"

# The packages among the arguments that are not here. What is here in another form counts as here.
missing_packages() {
  local package
  for package in "$@"; do
    case $package in
      g++) command -v g++ > /dev/null && continue ;;
      cmake | ccache | clang | clang-format | git) command -v "$package" > /dev/null && continue ;;
      ninja-build) command -v ninja > /dev/null && continue ;;
      libopenmpi-dev | openmpi-bin)
        command -v mpicc > /dev/null && command -v mpiexec > /dev/null && continue
        ;;
    esac
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] ||
      printf '%s ' "$package"
  done
}

# need_packages PACKAGE...: installs what is missing, as root or through sudo. Returns 1, having
# said in one sentence what is missing and where else to get it, when there is neither; 0 when
# nothing is missing. Without Debian's dpkg nothing is known here, and CMake says what it does not
# find.
need_packages() {
  command -v apt-get > /dev/null || return 0
  local missing as_root=""
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ]; then
    if ! sudo -n true 2> /dev/null; then
      echo "lacuna: missing: ${missing% }; with neither root nor sudo, load them as modules" \
        "(\`module avail\`) or build them with Spack (\`spack env create lacuna tools/spack.yaml" \
        "&& spack -e lacuna install\`), then start this again." >&2
      return 1
    fi
    as_root="sudo -n"
  fi
  echo "installing ${missing% }" >&2
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086 # a list of words
  { $as_root apt-get -qq update && $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
    install --no-install-recommends $missing < /dev/null > /dev/null; } ||
    fail "apt-get could not install ${missing% }; look at its messages above."
}

# The first Python that has the named modules: a user's own often comes before the system's.
python_with() {
  local python modules
  modules=$(IFS=, && echo "$*")
  for python in "${LACUNA_PYTHON:-python3}" python3 /usr/bin/python3; do
    if "$python" -c "import $modules" 2> /dev/null; then
      echo "$python"
      return
    fi
  done
  fail "no python3 here has $modules (Debian: python3-h5py, python3-venv; else a module, or pip" \
    "in a venv); name one in LACUNA_PYTHON."
}

# NVIDIA's headers over cuDNN for CMake, from PyPI, fetched once into $LACUNA_CACHE where there is
# nvcc. What cannot be fetched is left out, and the CUDA device with it: CMake says so.
cudnn_frontend_version=1.32.0
find_cudnn_frontend() {
  [ -z "${CUDNN_FRONTEND_HOME:-}" ] || return 0
  command -v nvcc > /dev/null ||
    [ -x "${CUDA_HOME:-${CUDA_PATH:-/usr/local/cuda}}/bin/nvcc" ] || return 0
  local home=${LACUNA_CACHE:-$HOME/.cache/lacuna}/cudnn-frontend-$cudnn_frontend_version
  local wheels python
  if [ ! -e "$home/include/cudnn_frontend.h" ]; then
    need_packages python3-pip || return 0
    python=$(python_with pip) || return 0
    wheels=$(mktemp -d)
    if "$python" -m pip download -q --no-deps --dest "$wheels" \
      "nvidia-cudnn-frontend==$cudnn_frontend_version" >&2; then
      mkdir -p "$home"
      "$python" - "$wheels" "$home" << 'END'
import glob, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if name.startswith("include/")])
END
    fi
    rm -rf "$wheels"
  fi
  [ ! -e "$home/include/cudnn_frontend.h" ] || export CUDNN_FRONTEND_HOME=$home
}

# The Python of a venv with the peer that benchmarks measure against: PyTorch as PyPI has it, made
# once in $LACUNA_CACHE (default ~/.cache/lacuna). pip's own settings (PIP_INDEX_URL, …) hold.
peer_python() {
  local venv=${LACUNA_CACHE:-$HOME/.cache/lacuna}/peer-venv base
  if ! "$venv/bin/python" -c "import torch, torchvision, numpy, h5py" 2> /dev/null; then
    echo "making $venv with PyTorch (some GB, once)" >&2
    base=$(python_with venv ensurepip) || exit
    { mkdir -p "$(dirname "$venv")" && "$base" -m venv "$venv" &&
      "$venv/bin/python" -m pip install -q torch torchvision numpy h5py >&2; } ||
      fail "the venv $venv could not be made; look at the messages above, or make it yourself:" \
        "python3 -m venv $venv && $venv/bin/pip install torch torchvision numpy h5py"
  fi
  echo "$venv/bin/python"
}

# What the launcher found needs for root and for more ranks than cores. Open MPI 4 reads OMPI_, Open
# MPI 5 PRTE_; MPICH has no such options. Lacuna itself needs none of them.
set_launcher_environment() {
  if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    export PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
  fi
  export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
}

# configure PRESET: with Ninja where it is present. A folder configured before keeps its choice of
# tests; a new one leaves them out, with what they alone need, unless with_tests=ON.
configure() {
  local tests=${with_tests:-}
  [ -e "$root/build/build.ninja" ] || [ -e "$root/build/Makefile" ] || tests=${tests:-OFF}
  find_cudnn_frontend
  command -v ninja > /dev/null && export CMAKE_GENERATOR="${CMAKE_GENERATOR:-Ninja}"
  (cd "$root" && cmake --preset "$1" ${tests:+-DBUILD_TESTING=$tests} > /dev/null)
}

# build PRESET [TARGET...]: configures and builds.
build() {
  local preset=$1
  shift
  configure "$preset" &&
    (cd "$root" && cmake --build --preset "$preset" --parallel "$(nproc)" ${1:+--target "$@"})
}

# Ends the script with one sentence where no GPU can be used.
need_gpu() {
  command -v nvidia-smi > /dev/null && nvidia-smi -L > /dev/null 2>&1 ||
    fail "this machine shows no NVIDIA GPU (nvidia-smi -L); start this where there is one"
}

# build_for_gpu TARGET...: the targets and the CUDA module, which must be there.
build_for_gpu() {
  configure release || return
  if grep -q '^LACUNA_CUDA_MISSING:' "$root/build/CMakeCache.txt"; then
    fail "the CUDA device cannot be built: missing: $(sed -n 's/^LACUNA_CUDA_MISSING:[A-Z]*=//p' \
      "$root/build/CMakeCache.txt"); docs/gpu.md says where CMake looks"
  fi
  build release "$@" lacuna_cuda
}
