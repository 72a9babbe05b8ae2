#!/usr/bin/env python3
"""driver.py STUB OUT: a libcuda.so.1 that is enough for cuDNN to compile engines at run time, as C: every symbol
of the toolkit's stub. Loading and asking for kernels succeeds, with handles that mean nothing; the rest gives
CUDA_ERROR_STUB_LIBRARY."""

import re
import subprocess
import sys

HANDLES = ("cuLibraryLoadData", "cuLibraryGetKernel", "cuLibraryGetModule", "cuKernelGetFunction",
           "cuModuleLoadData", "cuModuleLoadDataEx", "cuModuleGetFunction")
NUMBERS = ("cuKernelGetAttribute", "cuFuncGetAttribute")
NOTHING = ("cuLibraryUnload", "cuKernelSetAttribute", "cuFuncSetAttribute", "cuModuleUnload")


def body(name):
    if name in HANDLES:
        return f"int {name}(void** handle) {{ static int it; *handle = &it; return 0; }}"
    if name in NUMBERS:
        return f"int {name}(int* value) {{ *value = 0; return 0; }}"
    if name in NOTHING:
        return f"int {name}(void) {{ return 0; }}"
    if name == "cuLibraryGetGlobal":
        return (f"int {name}(void** address, unsigned long* bytes) "
                "{ static int it; if (address) *address = &it; if (bytes) *bytes = 4; return 0; }")
    return f"int {name}(void) {{ return 34; }}"


def main():
    stub, out = sys.argv[1:]
    listed = subprocess.run(["nm", "-D", "--defined-only", stub], capture_output=True, text=True, check=True).stdout
    names = sorted(set(re.findall(r" [TW] (cu\w+)", listed)))
    with open(out, "w", encoding="utf-8") as file:
        file.write("\n".join(body(name) for name in names) + "\n")


if __name__ == "__main__":
    main()
