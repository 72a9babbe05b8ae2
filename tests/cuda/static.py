"""What nvcc says of the kernels, without a GPU: they compile for every architecture without a
warning, none spills registers or keeps arrays in local memory, and each needs the registers that
registers.tsv lists (which LACUNA_WRITE_PAGES=1 writes anew)."""

import concurrent.futures
import os
import re
import subprocess
import unittest

import support

CTEST_TIMEOUT = 600  # four minutes of one processor

NVCC = os.environ["LACUNA_NVCC"]
ARCHITECTURES = ("80", "90", "100")
SOURCES = sorted((support.SOURCE / "kernels/cuda").rglob("*.cu"), key=lambda file: file.stem)
TABLE = support.SOURCE / "tests/cuda/registers.tsv"
ENTRY = re.compile(
    r"Compiling entry function '(\S+)' for 'sm_(\d+)'\n.*?\n\s*(\d+) bytes stack frame, "
    r"(\d+) bytes spill stores, (\d+) bytes spill loads\n.*?Used (\d+) registers")


def toolkit():
    found = subprocess.run([NVCC, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"release ([\d.]+)", found)[1]


def supported(architectures):
    """Those that this toolkit knows: 100 came with CUDA 12.8."""
    listed = subprocess.run([NVCC, "--list-gpu-arch"], capture_output=True, text=True,
                            check=True).stdout
    return [a for a in architectures if f"compute_{a}" in listed]


def compile_kernels(source, to):
    known = supported(ARCHITECTURES)
    targets = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in known]
    targets.append(
        f"-gencode=arch=compute_{known[-1]},code=compute_{known[-1]}")  # PTX for what comes later
    return subprocess.run([
        NVCC, "-std=c++20", "-O3", "--expt-relaxed-constexpr", "-I", support.SOURCE / "src", "-I",
        support.SOURCE, *targets, "-Xptxas", "-v", "-Werror", "all-warnings", "-c", source, "-o", to
    ], capture_output=True, text=True, timeout=280)


def readable(names):
    """Kernels' names without namespaces and parameters; those of unnamed namespaces are nvcc's
    own."""
    demangled = subprocess.run(["c++filt", *names], capture_output=True, text=True,
                               check=True).stdout
    result = []
    for name in demangled.splitlines():
        depth = 0
        for at in range(len(name) - 1, -1, -1):  # the parameters are the last pair of parentheses
            depth += {")": 1, "(": -1}.get(name[at], 0)
            if depth == 0 and name[at] == "(":
                name = name[:at]
                break
        name = re.sub(r"_GLOBAL__N_\w+::|\(anonymous namespace\)::|lacuna::|cuda::|^void ", "",
                      name)
        result.append(name)
    return result


def kernels_of(messages):
    """{(kernel, architecture): (bytes of stack and spills, registers)}, as ptxas lists them."""
    found = ENTRY.findall(messages)
    names = readable([entry[0] for entry in found]) if found else []
    return {(name, entry[1]): (sum(map(int, entry[2:5])), int(entry[5]))
            for name, entry in zip(names, found)}


class Static(support.EndToEndTest):
    def check(self, source):
        done = compile_kernels(source, self.path(f"{source.stem}.o"))
        self.assertEqual(done.returncode, 0, done.stderr)
        return kernels_of(done.stderr)

    def test_kernels_compile_for_every_architecture_without_local_memory(self):
        self.assertTrue(SOURCES)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            found = list(pool.map(self.check, SOURCES))
        lines = [
            f"# CUDA {toolkit()}",
            "\t".join(["source", "kernel", *(f"sm_{a}" for a in ARCHITECTURES)])]
        for source, kernels in zip(SOURCES, found):
            self.assertTrue(kernels, source)
            self.assertEqual({k: v for k, v in kernels.items() if v[0] != 0}, {}, source)
            for name in sorted({name for name, _ in kernels}):
                registers = [
                    str(kernels[name, a][1]) if (name, a) in kernels else "" for a in ARCHITECTURES]
                lines.append("\t".join([source.stem, name, *registers]))
        if os.environ.get("LACUNA_WRITE_PAGES") == "1":
            TABLE.write_text("\n".join(lines) + "\n")
        listed = TABLE.read_text().splitlines()
        if listed[0] != lines[0]:  # another toolkit gives other numbers, of the same kernels
            lines, listed = ([line.split("\t")[:2] for line in of[1:]] for of in (lines, listed))
        self.assertEqual(lines, listed)

    def test_an_array_in_local_memory_is_caught(self):
        fault = self.path("fault.cu")
        fault.write_text("__global__ void k(int* y, int n) {\n"
                         "  int a[64];\n"
                         "  for (int i = 0; i < 64; ++i) a[i] = y[i * n];\n"
                         "  for (int i = 0; i < 64; ++i) a[y[i + 64] & 63] += i;\n"
                         "  y[0] = a[y[1] & 63] + a[y[2] & 63];\n"
                         "}\n")
        kernels = self.check(fault)
        self.assertEqual({name for name, _ in kernels}, {"k"})
        for bytes_used, _ in kernels.values():
            self.assertGreater(bytes_used, 0)


if __name__ == "__main__":
    unittest.main()
