"""No tracked file holds a line that git leaves where it could not merge."""

import pathlib
import re
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
