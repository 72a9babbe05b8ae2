# Sourced by the launchers of this folder. Unpacks what it holds, once, and finds NVIDIA's libraries where they are:
# those that the loader finds by itself, the toolkit's, then those of the packages of the python3 on PATH.

fail() {
  echo "lacuna: $*" >&2
  exit 2
}

given=${LD_LIBRARY_PATH:-}
bundle=$(cd "$(dirname "$0")/.." && pwd -P)
version=$(cat "$bundle/version") || fail "$bundle is no bundle of tools/gpu-bundle"
files=${LACUNA_BUNDLE_FILES:-$bundle.files}

# By another name first, so that nobody finds half of it.
unpack() {
  half=$files.$$
  trap 'rm -rf "$half"' EXIT
  mkdir -p "$half" 2> /dev/null ||
    fail "$half cannot be made, where this bundle unpacks itself: name a folder that you may write in LACUNA_BUNDLE_FILES"
  gzip -dc "$bundle/files.tar.gz" | tar -xf - -C "$half" && echo "$version" > "$half/version" ||
    fail "$bundle/files.tar.gz could not be unpacked to $half: look at the messages above"
  rm -rf "$files"
  mv -T "$half" "$files" 2> /dev/null || [ "$(cat "$files/version" 2> /dev/null)" = "$version" ] ||
    fail "$files is in the way: remove it, or name another folder in LACUNA_BUNDLE_FILES"
  rm -rf "$half"
  trap - EXIT
}
[ "$(cat "$files/version" 2> /dev/null)" = "$version" ] || unpack

# The folders of packages that pip installs NVIDIA's libraries to.
folders_of_python() {
  command -v python3 > /dev/null && python3 -c '
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
    for home in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda "$toolkit"; do
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
export OPAL_PREFIX="$files" OPAL_BINDIR="$files/bin" OPAL_LIBDIR="$files/lib" OPAL_PKGLIBDIR="$files/lib/openmpi"
export OPAL_DATADIR="$files/share" OPAL_PKGDATADIR="$files/share/openmpi" OPAL_SYSCONFDIR="$files/etc"
export PMIX_PREFIX="$files" PMIX_INSTALL_PREFIX="$files" PMIX_LIBDIR="$files/lib" PMIX_PKGLIBDIR="$files/lib/pmix"
export PMIX_PKGDATADIR="$files/share/pmix" PMIX_SYSCONFDIR="$files/etc"
export HWLOC_HIDE_ERRORS=2 # it complains where there is no /sys, and goes on
export LACUNA_SOURCE="$files"
