"""Flags of the C++ compiler: a Release build's own, and those that a user or a preset names."""

import json
import os
import re
import subprocess

import support


class CompilerFlags(support.EndToEndTest):
    def flags(self, name, *options, cxxflags=""):
        """Optimization level, debugging information and NDEBUG of src/main.cpp, as configured."""
        compilers = (f"-DCMAKE_C_COMPILER={os.environ.get('LACUNA_C', 'cc')}",
                     f"-DCMAKE_CXX_COMPILER={os.environ.get('LACUNA_CXX', 'c++')}")
        done = subprocess.run(
            ["cmake", *options, "-B", self.path(name), *compilers, "-DBUILD_TESTING=OFF",
             "-DLACUNA_CUDA_DEVICE=OFF"], cwd=support.SOURCE, capture_output=True, text=True,
            env={**os.environ, "CXXFLAGS": cxxflags}, timeout=100)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        commands = json.loads((self.path(name) / "compile_commands.json").read_text())
        command, = [each["command"] for each in commands if each["file"].endswith("/src/main.cpp")]
        return re.findall(r" (-O\S*|-g\d?|-DNDEBUG|-march=\S+)(?= )", command)

    def test_release_flags(self):
        self.assertEqual(self.flags("build", "-S", "."), ["-O2", "-DNDEBUG"])

    def test_users_release_flags_replace_them(self):
        options = ("-S", ".", "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -g")
        self.assertEqual(self.flags("build", *options), ["-O1", "-g"])

    def test_cxxflags_have_effect(self):
        self.assertEqual(self.flags("level", "-S", ".", cxxflags="-O3 -march=x86-64"),
                         ["-O3", "-march=x86-64", "-DNDEBUG"])
        self.assertEqual(self.flags("no-level", "-S", ".", cxxflags="-g1"),
                         ["-g1", "-O2", "-DNDEBUG"])

    def test_presets_release_flags(self):
        self.assertEqual(self.flags("sanitized", "--preset", "asan"), ["-O1", "-g1"])
        self.assertEqual(self.flags("release", "--preset", "release"), ["-O2", "-DNDEBUG"])
