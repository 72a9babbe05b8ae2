"""What nvcc says of the kernels, without a GPU: they compile for every architecture without a warning, and
none spills registers or keeps arrays in local memory."""

import concurrent.futures
import os
import re
import subprocess
import unittest

import support

NVCC = os.environ["LACUNA_NVCC"]
ARCHITECTURES = ("80", "90", "100")
SOURCES = sorted((support.SOURCE / "kernels/cuda").glob("*.cu"))


def supported(architectures):
    """Those that this toolkit knows: 100 came with CUDA 12.8."""
    listed = subprocess.run([NVCC, "--list-gpu-arch"], capture_output=True, text=True, check=True).stdout
    return [a for a in architectures if f"compute_{a}" in listed]


def compile_kernels(source, to):
    known = supported(ARCHITECTURES)
    targets = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in known]
    targets.append(f"-gencode=arch=compute_{known[-1]},code=compute_{known[-1]}")  # PTX for what comes later
    return subprocess.run([NVCC, "-std=c++20", "-O3", "-I", support.SOURCE / "src", "-I", support.SOURCE,
                           *targets, "-Xptxas", "-v", "-Werror", "all-warnings", "-c", source, "-o", to],
                          capture_output=True, text=True, timeout=280)


def local_memory(messages):
    """Bytes of stack and of spills, over all kernels that ptxas lists."""
    found = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", messages)
    return len(found), sum(sum(map(int, numbers)) for numbers in found)


class Static(support.EndToEndTest):
    def check(self, source):
        done = compile_kernels(source, self.path(f"{source.stem}.o"))
        self.assertEqual(done.returncode, 0, done.stderr)
        return local_memory(done.stderr)

    def test_kernels_compile_for_every_architecture_without_local_memory(self):
        self.assertTrue(SOURCES)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for source, (kernels, bytes_used) in zip(SOURCES, pool.map(self.check, SOURCES)):
                self.assertGreater(kernels, 0, source)
                self.assertEqual(bytes_used, 0, source)

    def test_an_array_in_local_memory_is_caught(self):
        fault = self.path("fault.cu")
        fault.write_text("__global__ void k(int* y, int n) {\n"
                         "  int a[64];\n"
                         "  for (int i = 0; i < 64; ++i) a[i] = y[i * n];\n"
                         "  for (int i = 0; i < 64; ++i) a[y[i + 64] & 63] += i;\n"
                         "  y[0] = a[y[1] & 63] + a[y[2] & 63];\n"
                         "}\n")
        kernels, bytes_used = self.check(fault)
        self.assertGreater(kernels, 0)
        self.assertGreater(bytes_used, 0)


if __name__ == "__main__":
    unittest.main()
