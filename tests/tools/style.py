"""What every tracked file keeps to: no line that git leaves where it could not merge; C, C++ and
CUDA as clang-format has it with the repository's .clang-format; at most 100 columns; a header
begins with a comment that says what it is for. See also layers.py."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import support

# Seven of the same sign at a line's beginning: then a space and a branch's name, or, between the
# two texts, nothing.
MARKER = re.compile(rb"^(?:(?:<{7}|>{7}|\|{7})(?:[ \t].*)?|={7})\r?$", re.MULTILINE)


def tracked(root):
    """The files that git knows below root, changed or not."""
    command = ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z"]
    listed = subprocess.run(command, check=True, capture_output=True)
    files = (root / name for name in listed.stdout.decode().split("\0") if name)
    return [file for file in files if file.is_file()]


def markers(root):
    """FILE:LINE of every such line."""
    found = []
    for file in tracked(root):
        content = file.read_bytes()
        found += [f"{file.relative_to(root)}:{content.count(bytes([10]), 0, marker.start()) + 1}"
                  for marker in MARKER.finditer(content)]
    return found


CODE = (".h", ".c", ".cpp", ".cu", ".cuh", ".inc")
SCRIPTS = (".py", ".sh", ".sbatch", ".cmake")
COLUMNS = 100
LINES = 600


def code(root):
    return [file for file in tracked(root) if file.suffix in CODE]


def scripts(root):
    """Python, shell and CMake, by their names or by their first line."""
    return [
        file for file in tracked(root) if file.suffix in SCRIPTS or file.name == "CMakeLists.txt"
        or file.read_bytes().startswith(b"#!")]


def long_lines(root, files):
    """FILE:LINE of every line of the files that is too long."""
    return [
        f"{file.relative_to(root)}:{number}" for file in files
        for number, line in enumerate(file.read_text().splitlines(), 1) if len(line) > COLUMNS]


def long_files(root):
    """Every text that has too many lines."""
    contents = {file: file.read_bytes() for file in tracked(root)}
    return [
        str(file.relative_to(root)) for file, content in contents.items()
        if b"\0" not in content and content.count(b"\n") > LINES]


def headers_without_comment(root):
    return [str(file.relative_to(root)) for file in code(root)
            if file.suffix in (".h", ".cuh") and not file.read_text().startswith(("// ", "/* "))]


def unformatted(root):
    """FILE:LINE of what clang-format would change."""
    files = [str(file.relative_to(root)) for file in code(root) if file.suffix != ".inc"]
    tried = subprocess.run(["clang-format", "--dry-run", *files], cwd=root, capture_output=True,
                           text=True, check=True)
    return sorted(set(re.findall(r"^(\S+:\d+):\d+: warning: .*clang-format", tried.stderr,
                                 re.MULTILINE)))


class Style(unittest.TestCase):
    def test_no_line_of_code_is_longer_than_100_columns(self):
        files = code(support.SOURCE) + scripts(support.SOURCE)
        self.assertEqual(long_lines(support.SOURCE, files), [])

    def test_no_file_is_longer_than_600_lines(self):
        self.assertEqual(long_files(support.SOURCE), [])

    def test_every_header_begins_with_a_comment(self):
        self.assertEqual(headers_without_comment(support.SOURCE), [])

    def test_code_is_as_clang_format_has_it(self):
        self.assertEqual(unformatted(support.SOURCE), [])

    def test_planted_violations_of_style_are_found(self):
        with tempfile.TemporaryDirectory(prefix="lacuna-test-") as folder:
            root = pathlib.Path(folder)
            shutil.copy(support.SOURCE / ".clang-format", root)
            (root / "good.h").write_text("// Good.\n#pragma once\n\nint good(int x);\n")
            (root / "bare.h").write_text("#pragma once\n")
            (root / "long.cpp").write_text("// good\n// " + "x" * 98 + "\n// " + "\u2026" * 97)
            (root / "loose.cu").write_text("int f(int x) {\n    return x ;\n}\n")
            (root / "tool").write_text("#!/bin/sh\necho " + "x" * 96 + "\n")
            (root / "CMakeLists.txt").write_text("# " + "x" * 99)
            (root / "page.md").write_text("x" * 101 + "\n" * 601)
            (root / "just.txt").write_text("\n" * 600)
            (root / "binary").write_bytes(b"\0" + b"\n" * 601)
            subprocess.run(["git", "init", "--quiet", root], check=True)
            subprocess.run(["git", "-C", root, "add", "."], check=True)
            self.assertEqual(long_lines(root, code(root)), ["long.cpp:2"])
            self.assertEqual(long_lines(root, scripts(root)), ["CMakeLists.txt:1", "tool:2"])
            self.assertEqual(long_files(root), ["page.md"])
            self.assertEqual(headers_without_comment(root), ["bare.h"])
            self.assertEqual(unformatted(root), ["loose.cu:1", "loose.cu:2"])


class MergeMarkers(unittest.TestCase):
    def test_no_tracked_file_has_merge_markers(self):
        self.assertGreater(len(tracked(support.SOURCE)), 300)
        self.assertEqual(markers(support.SOURCE), [])

    def test_planted_merge_markers_are_found(self):
        lines = ["one", "<" * 7 + " HEAD", "two", "|" * 7 + " 0123abc", "=" * 7, "three",
                 ">" * 7 + " topic", "four"]
        harmless = ["=" * 8, "=" * 7 + " of 7", " " + "=" * 7, "<" * 8, "a " + ">" * 7, "> > >"]
        with tempfile.TemporaryDirectory(prefix="lacuna-test-") as folder:
            root = pathlib.Path(folder)
            (root / "docs").mkdir()
            (root / "docs/page.md").write_text("\n".join(lines))
            (root / "windows.txt").write_text("\r\n".join(lines[4:]))
            (root / "harmless.txt").write_text("\n".join(harmless))
            (root / "untracked.md").write_text("\n".join(lines))
            subprocess.run(["git", "init", "--quiet", root], check=True)
            added = ["docs", "windows.txt", "harmless.txt"]
            subprocess.run(["git", "-C", root, "add", *added], check=True)
            self.assertEqual(markers(root), [
                "docs/page.md:2", "docs/page.md:4", "docs/page.md:5", "docs/page.md:7",
                "windows.txt:1", "windows.txt:3"])
