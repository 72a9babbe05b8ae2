"""Every #include of the project points downwards, as docs/architecture.md lists the folders."""

import pathlib
import re
import shutil
import tempfile
import unittest

import support

PROJECT_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def layers(root):
    """The folders of the list in docs/architecture.md, top to bottom, as in 'src/nn', 'kernels'."""
    page = (root / "docs/architecture.md").read_text()
    page = page[:page.find("\n## ", page.find("\n## The folders") + 1)]  # others list files too
    listed = re.findall(r"^    (src/[a-z/]+(?:\.cpp|\b)|kernels)/? ", page, re.MULTILINE)
    return [name.rstrip("/") for name in listed]


def layer_of(path, order):
    """The longest entry of the list that a file belongs to: 'src/data/load' for
    src/data/load/loader.h, 'src/backend/list' for src/backend/list.cpp, 'kernels' for
    kernels/cpu/relu.cpp. None for a file that only the list of a folder above it would cover: every
    folder is listed by itself."""
    path = str(path)
    stem = path.rsplit(".", 1)[0]
    if path in order or stem in order:
        return path if path in order else stem
    folder = path.rsplit("/", 1)[0]
    if folder.split("/")[0] == "kernels":
        folder = "kernels"
    return folder if folder in order else None


def target_of(root, source, included):
    """The file, relative to root, that an #include "..." in `source` names; None if not of ours."""
    for base in (root / source.parent, root / "src", root):
        file = (base / included).resolve()
        if file.is_file() and root in file.parents:
            return file.relative_to(root)
    return None


def allowed(source, target, order):
    """Whether a file of layer `source` may include one of layer `target`."""
    if source == target:
        return True
    if source == "kernels":  # bodies of operations know no tensor, no file and no rank
        return target == "src/base"
    if source == "src/base":  # below the kernels for the compiler, whatever the list shows
        return False
    return order.index(source) < order.index(target)


def violations(root):
    """One line for every #include that points upwards, or into the dark."""
    root = root.resolve()
    order = layers(root)
    found = []
    files = [file for folder in ("src", "kernels") for file in sorted((root / folder).rglob("*"))
             if file.suffix in (".h", ".cpp", ".inc", ".cu", ".cuh")]
    for file in files:
        source = file.relative_to(root)
        if layer_of(source, order) is None:
            found.append(f"{source}: docs/architecture.md does not list {source.parent}")
            continue
        for included in PROJECT_INCLUDE.findall(file.read_text()):
            target = target_of(root, source, included)
            if target is None:
                if not included.startswith(("hwy/", "oneapi/")):
                    found.append(
                        f'{source} includes "{included}", which is no file of the project: '
                        "use <> for the libraries")
            elif layer_of(target, order) is None:
                found.append(f"{source} includes {target}, which is in no listed folder")
            elif not allowed(layer_of(source, order), layer_of(target, order), order):
                found.append(f"{source} includes {target}, which is above it")
    return found


def circles(root):
    """One line for every circle of modules, a module being a header and its source:
    'src/nn/a -> src/nn/b -> src/nn/a', from the first of them by name on."""
    root = root.resolve()
    includes = {}
    for folder in ("src", "kernels"):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in (".h", ".cpp", ".inc", ".cu", ".cuh"):
                continue
            source = file.relative_to(root)
            targets = includes.setdefault(str(source.with_suffix("")), set())
            for included in PROJECT_INCLUDE.findall(file.read_text()):
                target = target_of(root, source, included)
                if target is not None and target.with_suffix("") != source.with_suffix(""):
                    targets.add(str(target.with_suffix("")))
    found, done = [], set()

    def follow(module, way):
        if module in way:
            circle = way[way.index(module):]
            first = circle.index(min(circle))
            found.append(" -> ".join(circle[first:] + circle[:first + 1]))
        elif module not in done:
            for target in sorted(includes.get(module, ())):
                follow(target, way + [module])
            done.add(module)

    for module in sorted(includes):
        follow(module, [])
    return found


class Layers(unittest.TestCase):
    def test_list_of_folders_is_read(self):
        order = layers(support.SOURCE)
        self.assertEqual(order[0], "src/main.cpp")
        self.assertEqual(order[-2:], ["src/base", "kernels"])
        self.assertGreaterEqual(len(order), 14)

    def test_every_include_points_downwards(self):
        self.assertEqual(violations(support.SOURCE), [])

    def plant(self, path, text, rule=violations, others={}):
        """What `rule` finds more when `text` is added to the file `path` in a copy of it all,
        beside the files `others`."""
        with tempfile.TemporaryDirectory(prefix="lacuna-test-") as folder:
            root = pathlib.Path(folder) / "copy"
            for part in ("src", "kernels", "docs"):
                if (support.SOURCE / part).is_dir():
                    shutil.copytree(support.SOURCE / part, root / part)
            before = rule(root)
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            with (root / path).open("a") as file:
                file.write(text)
            for other, content in others.items():
                (root / other).write_text(content)
            return [line for line in rule(root) if line not in before]

    def test_planted_violations_are_caught(self):
        for path, text in (
                ("src/base/planted.h", '#include "comm/communicator.h"\n'),
                ("src/base/text.h", '  #  include  "comm/communicator.h"\n'),
                ("src/data/planted.cpp", '#include "../train/planted.h"\n'),
                ("src/data/order/planted.cpp", '#include "data/load/loader.h"\n'),
                ("src/stages/setup/planted.cpp", '#include "stages/embed/stage.h"\n'),
                ("src/data/unlisted/planted.cpp", "\n"),
                ("src/backend/planted.cpp", '#include "backend/list.h"\n'),
                ("src/comm/planted.cpp", '#include "base/text.h"\n#include "graph/planted.h"\n'),
                ("src/base/planted.cpp", '#include "kernels/reference/planted.h"\n'),
                ("kernels/cpu/planted.cpp", '#include "comm/communicator.h"\n'),
                ("src/unlisted/planted.cpp", "\n"),
                ("src/base/planted.cpp", '#include "base/no_such_file.h"\n')):
            with self.subTest(path=path, text=text):
                found = self.plant(path, text)
                self.assertEqual(len(found), 1, found)
                self.assertIn(pathlib.PurePath(path).name, found[0])

    def test_planted_downward_include_is_none(self):
        self.assertEqual(self.plant("src/main.cpp", '#include "base/text.h"\n'), [])

    def test_no_modules_include_each_other_in_a_circle(self):
        self.assertEqual(circles(support.SOURCE), [])

    def test_planted_circle_is_caught(self):
        found = self.plant("src/base/text.h", '#include "base/planted.h"\n', circles, {
            "src/base/planted.h": '#include "base/text.h"\n'})
        self.assertEqual(found, ["src/base/planted -> src/base/text -> src/base/planted"])
