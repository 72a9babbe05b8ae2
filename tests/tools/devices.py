"""What knows of CUDA: the device's folder, its kernels, and the one list of devices. The rest of
the program does not know which device it runs on."""

import pathlib
import re
import shutil
import tempfile
import unittest

import support

KNOWING = ("src/backend/cuda/", "kernels/cuda/", "src/backend/list.cpp")
# Headers and calls of the libraries, conditionals, and the device's name as a text.
SIGNS = re.compile(
    r'#\s*include\s*[<"](?:cuda|cudnn|nccl|nvrtc|backend/cuda/|kernels/cuda/)|'
    r'#\s*(?:el)?if.*(?:CUDA|CUDNN|NCCL)|\b(?:cuda|cudnn|nccl)[A-Z]\w*\(|[!=]= "cuda"')


def found(root):
    """One line for each sign of a device outside of what may know it."""
    lines = []
    for folder in ("src", "kernels"):
        for file in sorted((root / folder).rglob("*")):
            name = file.relative_to(root).as_posix()
            if file.suffix not in (".h", ".cpp", ".inc") or name.startswith(KNOWING):
                continue
            for number, line in enumerate(file.read_text().splitlines(), 1):
                if SIGNS.search(line):
                    lines.append(f"{name}:{number}: {line.strip()}")
    return lines


class Devices(unittest.TestCase):
    def test_nothing_else_knows_the_device(self):
        self.assertEqual(found(support.SOURCE), [])

    def test_planted_signs_are_caught(self):
        with tempfile.TemporaryDirectory(prefix="lacuna-test-") as folder:
            root = pathlib.Path(folder)
            for part in ("src", "kernels"):
                shutil.copytree(support.SOURCE / part, root / part)
            before = len(found(root))
            with (root / "src/graph/executor.cpp").open("a") as file:
                for planted in ("#include <cuda_runtime.h>\n", "#ifdef LACUNA_CUDA\n",
                                "#if defined(LACUNA_CUDA)\n", "cudaStreamSynchronize(stream);\n",
                                'if (device.name() == "cuda") return;\n'):
                    file.write(planted)
            self.assertEqual(len(found(root)) - before, 5)


if __name__ == "__main__":
    unittest.main()
