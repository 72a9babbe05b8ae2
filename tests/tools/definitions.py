"""No two files of the program define a class of one full name: the linker would merge them
unseen."""

import pathlib
import re
import shutil
import tempfile
import unittest

PROJECT = pathlib.Path(__file__).resolve().parents[2]

OPENING = re.compile(r"^(?:inline )?namespace ?([\w:]*) ?\{$")
CLOSING = re.compile(r"^\}  // namespace")
DEFINITION = re.compile(r"^(?:class|struct|enum class|union) (\w+)(?: final)?(?: ?:[^:;].*)? ?\{")


def definitions(text):
    """Full names of the classes that a file defines outside functions and anonymous namespaces."""
    namespaces, found = [], []
    for line in text.splitlines():
        opening = OPENING.match(line)
        if opening:
            namespaces.append(opening.group(1))
        elif CLOSING.match(line) and namespaces:
            namespaces.pop()
        elif "" not in namespaces:
            definition = DEFINITION.match(line)
            if definition:
                found.append("::".join([*namespaces, definition.group(1)]))
    return found


def twice(root):
    """One line for every class that is defined in more than one file."""
    places = {}
    for folder in ("src", "kernels"):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix in (".h", ".cpp"):
                for name in definitions(file.read_text()):
                    places.setdefault(name, []).append(str(file.relative_to(root)))
    return [f"{name} is defined in {' and '.join(files)}" for name, files in places.items()
            if len(files) > 1]


class Definitions(unittest.TestCase):
    def test_each_class_is_defined_once(self):
        self.assertEqual(twice(PROJECT), [])

    def test_a_planted_second_definition_is_caught(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name in ("src", "kernels"):
                shutil.copytree(PROJECT / name, root / name)
            (root / "src/nn/planted.cpp").write_text(
                "namespace lacuna {\n\nclass State {\n  int a;\n};\n\n}  // namespace lacuna\n")
            self.assertEqual(twice(root), [
                "lacuna::State is defined in src/graph/state.h and src/nn/planted.cpp"])
