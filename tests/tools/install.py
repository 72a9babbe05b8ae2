"""Configuring, building and installing, as a user without root does it."""

import os
import pathlib
import re
import shutil
import subprocess

import support

CTEST_TIMEOUT = 900  # seconds: one test builds the program

# Debian's packages that are unpacked into a foreign prefix: what apt-get would install for a build.
PACKAGES = """libopenmpi-dev libopenmpi3 openmpi-bin openmpi-common libhdf5-dev libhdf5-103-1
    zlib1g-dev zlib1g libboost1.74-dev libboost-program-options1.74-dev
    libboost-program-options1.74.0 libtomlplusplus-dev libdnnl-dev libdnnl2 libhwy-dev
    libhwy1""".split()
PACKAGE_FOLDER = pathlib.Path(os.environ.get("LACUNA_CACHE",
                                             "~/.cache/lacuna")).expanduser() / "debs"
COMPILERS = (f"-DCMAKE_C_COMPILER={os.environ.get('LACUNA_C', 'cc')}",
             f"-DCMAKE_CXX_COMPILER={os.environ.get('LACUNA_CXX', 'c++')}")


def package_files():
    """The packages' files; tools/test has fetched them before, else this does."""
    def found():
        return [file for name in PACKAGES for file in PACKAGE_FOLDER.glob(f"{name}_*.deb")]
    if len(found()) < len(PACKAGES):
        PACKAGE_FOLDER.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["apt-get", "-qq", "download", *PACKAGES], cwd=PACKAGE_FOLDER,
                              capture_output=True, text=True, timeout=240)
        if len(found()) < len(PACKAGES):
            raise AssertionError(
                f"{PACKAGE_FOLDER} lacks packages, and apt-get gives none: {done.stderr}")
    return found()


class Install(support.EndToEndTest):
    user = []  # what a command begins with to run as another user

    def run_command(self, *command, status=0, timeout=800, **env):
        environment = {
            **os.environ, "HOME": str(self.folder), "CCACHE_DIR": str(self.path("ccache")), **env}
        done = subprocess.run([*self.user, *map(str, command)], cwd=self.folder, env=environment,
                              capture_output=True, text=True, timeout=timeout)
        result = support.Result(command, done.returncode, done.stdout, done.stderr)
        self.assertEqual(done.returncode, status, result)
        return result

    def become_nobody(self):
        """From here on commands run without root; the test's folder is theirs."""
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", "65534:65534", self.folder], check=True)
            self.user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

    def copy_of_sources(self):
        copy = self.path("source")
        copy.mkdir()
        for name in ("CMakeLists.txt", "CMakePresets.json"):
            shutil.copy(support.SOURCE / name, copy)
        for name in ("src", "kernels", "tools", "jobs", "inputs"):
            if (support.SOURCE / name).is_dir():
                shutil.copytree(support.SOURCE / name, copy / name)
        return copy

    def check_tree(self, tree):
        """The installed tree is complete and works in this place, which is not where it was put."""
        version = self.run_command(tree / "bin/lacuna", "--version").stdout
        self.assertRegex(version, r"lacuna \d+\.\d+\.\d+")
        for folder in ("jobs", "inputs"):
            for file in (support.SOURCE / folder).glob("*.*"):
                self.assertTrue((tree / "share/lacuna" / folder / file.name).is_file(), file)
        dynamic = self.run_command("readelf", "-d", tree / "bin/lacuna").stdout
        paths = re.findall(r"\(R(?:UN)?PATH\).*\[(.*)\]", dynamic)
        self.assertEqual(len(paths), 1, dynamic)
        self.assertTrue(paths[0].startswith("$ORIGIN/../lib"), paths)
        self.assertNotIn(str(support.BUILD), paths[0])

    def test_installed_tree_can_be_moved(self):
        self.run_command("cmake", "--install", support.BUILD, "--prefix", self.path("first"))
        self.path("first").rename(self.path("second place"))
        self.check_tree(self.path("second place"))

    def test_all_that_is_missing_is_named_in_one_message(self):
        result = self.run_command(
            "cmake", "-S", support.SOURCE, "-B", self.path("build"), *COMPILERS,
            "-DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF",
            "-DCMAKE_FIND_USE_SYSTEM_ENVIRONMENT_PATH=OFF",
            f"-DCMAKE_MAKE_PROGRAM={shutil.which('ninja') or shutil.which('make')}", "-G",
            "Ninja" if shutil.which("ninja") else "Unix Makefiles", status=1)
        self.assertEqual(result.stderr.count("CMake Error"), 1, result)
        for name in ("libopenmpi-dev", "libhdf5-dev", "zlib1g-dev", "libboost-program-options-dev",
                     "libtomlplusplus-dev", "libdnnl-dev", "libhwy-dev", "catch2"):
            self.assertEqual(result.stderr.count(f"Debian {name};"), 1, result)
        self.assertIn("tools/spack.yaml", result.stderr)

    def test_without_tests_catch2_is_not_needed(self):
        without = ("cmake", "-S", support.SOURCE, "-B", self.path("build"), *COMPILERS,
                   "-DCMAKE_DISABLE_FIND_PACKAGE_Catch2=ON")
        self.assertIn("catch2", self.run_command(*without, status=1).stderr)
        self.run_command(*without, "-DBUILD_TESTING=OFF")

    def test_scripts_that_need_no_tests_configure_without_them(self):
        source = self.copy_of_sources()  # has no tests/: configuring with them fails
        script = f"source {source}/tools/common.sh; {{}} configure release"
        self.run_command("bash", "-c", script.format("with_tests=ON"), status=1)
        self.run_command("bash", "-c", script.format(""))
        cache = (source / "build/CMakeCache.txt").read_text()
        self.assertRegex(cache, r"(?m)^BUILD_TESTING:\w+=OFF$")

    def test_unprivileged_user_builds_from_a_foreign_prefix(self):  # needs 2 processors
        prefix = self.path("prefix")
        for file in package_files():
            subprocess.run(["dpkg", "-x", file, prefix], check=True)
        source = self.copy_of_sources()
        self.become_nobody()

        self.run_command("cmake", "--preset", "release", "-S", source, "-DBUILD_TESTING=OFF",
                         f"-DCMAKE_PREFIX_PATH={prefix}/usr", *COMPILERS,
                         "-DCMAKE_CXX_FLAGS_RELEASE=-O0")
        cache = (source / "build/CMakeCache.txt").read_text()
        for entry in ("LACUNA_MPI_mpi", "LACUNA_MPI_INCLUDE_DIR", "HDF5C_LIBRARY",
                      "HDF5C_INCLUDE_DIR", "ZLIB_LIBRARY_RELEASE", "ZLIB_INCLUDE_DIR",
                      "Boost_INCLUDE_DIR", "Boost_PROGRAM_OPTIONS_LIBRARY_RELEASE",
                      "TomlPlusPlus_INCLUDE_DIR", "OneDNN_LIBRARY", "OneDNN_INCLUDE_DIR",
                      "Highway_LIBRARY", "Highway_INCLUDE_DIR"):
            self.assertRegex(cache, rf"(?m)^{entry}:[A-Z]+={re.escape(str(prefix))}/usr/", entry)

        self.run_command("cmake", "--build", source / "build", "--parallel", "2")
        self.run_command("cmake", "--install", source / "build", "--prefix", self.path("first"))
        self.path("first").rename(self.path("second"))
        self.check_tree(self.path("second"))
        libraries = self.run_command("ldd", self.path("second/bin/lacuna")).stdout
        for name in ("libmpi.so", "libopen-rte.so", "libhdf5_serial.so", "libdnnl.so",
                     "libhwy.so", "libboost_program_options.so"):
            self.assertRegex(libraries, rf"{re.escape(name)}\S* => {re.escape(str(prefix))}/",
                             libraries)


if __name__ == "__main__":
    package_files()  # tools/test fetches them beforehand, while it has the network at hand
