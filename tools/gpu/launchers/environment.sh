# Sourced by the launchers of this folder. Unpacks what it holds, once, and finds NVIDIA's libraries
# where they are: those that the loader finds by itself, the toolkit's, the driver's, then those of
# the packages of Python.

fail() {
  echo "lacuna: $*" >&2
  exit 2
}

given=${LD_LIBRARY_PATH:-}
python=${LACUNA_PYTHON:-python3}
bundle=$(cd "$here/.." && pwd -P)
version=$(cat "$bundle/version") || fail "$bundle is no bundle of tools/gpu-bundle"
# In a folder of its version's name: nothing that lies beside it is touched.
places=${LACUNA_BUNDLE_FILES:-$bundle.files}
case $places in /*) ;; *) places=$PWD/$places ;; esac
export LACUNA_BUNDLE_FILES="$places"
files=$places/$version

# By another name first, so that nobody finds half of it. Who comes second keeps what is there.
unpack() {
  half=$places/.$version.$$
  trap 'rm -rf "$half"' EXIT
  trap 'exit 1' HUP INT TERM
  mkdir -p "$half" 2> /dev/null ||
    fail "$half cannot be made, where this bundle unpacks itself: name a folder that you may" \
      "write in LACUNA_BUNDLE_FILES"
  gzip -dc "$bundle/files.tar.gz" | tar -xf - -C "$half" && [ -x "$half/bin/lacuna" ] ||
    fail "$bundle/files.tar.gz could not be unpacked to $half: look at the messages above"
  mv -T "$half" "$files" 2> /dev/null || [ -x "$files/bin/lacuna" ] ||
    fail "$files is in the way: remove it, or name another folder in LACUNA_BUNDLE_FILES"
  rm -rf "$half"
  trap - EXIT HUP INT TERM
}
[ -x "$files/bin/lacuna" ] || unpack

# The folders of packages that pip installs NVIDIA's libraries to.
folders_of_python() {
  command -v "$python" > /dev/null && "$python" -c '
import glob, sys
for place in sys.path:
    for folder in sorted(glob.glob(glob.escape(place) + "/nvidia/*/lib")):
        print(folder)'
}

find_nvidia() {
  known=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2> /dev/null)
  toolkit=$(command -v nvcc) && toolkit=$(dirname "$(dirname "$toolkit")")
  of_python=unknown
  while read -r library; do
    case $known in *"$library "*) continue ;; esac
    found=false
    old_ifs=$IFS
    IFS=:
    for folder in ${LD_LIBRARY_PATH:-}; do
      if [ -e "$folder/$library" ]; then found=true; fi
    done
    IFS=$old_ifs
    $found && continue
    for home in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda "$toolkit" /usr/local/nvidia; do
      for folder in "$home/lib64" "$home/lib" "$home/targets/x86_64-linux/lib"; do
        if [ -n "$home" ] && ! $found && [ -e "$folder/$library" ]; then
          LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
          found=true
        fi
      done
    done
    $found && continue
    if [ "$of_python" = unknown ]; then of_python=$(folders_of_python); fi
    while read -r folder; do
      if ! $found && [ -e "$folder/$library" ]; then
        LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
        found=true
      fi
    done << END
$of_python
END
  done < "$bundle/nvidia"
  if [ -n "${LD_LIBRARY_PATH:-}" ]; then export LD_LIBRARY_PATH; fi
}
find_nvidia

# Open MPI and PMIx are where they were unpacked, and not where they were built for.
export OPAL_PREFIX="$files" OPAL_BINDIR="$files/bin" OPAL_LIBDIR="$files/lib"
export OPAL_PKGLIBDIR="$files/lib/openmpi" OPAL_SYSCONFDIR="$files/etc"
export OPAL_DATADIR="$files/share" OPAL_PKGDATADIR="$files/share/openmpi"
export PMIX_PREFIX="$files" PMIX_INSTALL_PREFIX="$files" PMIX_LIBDIR="$files/lib"
export PMIX_PKGLIBDIR="$files/lib/pmix"
export PMIX_PKGDATADIR="$files/share/pmix" PMIX_SYSCONFDIR="$files/etc"
if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
export HWLOC_HIDE_ERRORS=2 # it complains where there is no /sys, and goes on
export LACUNA_SOURCE="$files"
