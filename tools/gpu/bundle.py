"""Puts what a build has made into a folder that runs where nothing can be installed; called by
tools/gpu-bundle.

The folder holds launchers (bin/) and one archive, which the first launcher unpacks beside the
folder: programs, the CUDA module, the GPU tests with the files that they read, and every shared
library that is neither glibc's nor NVIDIA's. All of them find each other relative to where they
lie.
"""
import argparse
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
MOST = 48 << 20  # bytes of the folder

# Where they lie in the build, and whether the bundle is of use without.
PROGRAMS = {
    "lacuna": "lacuna", "train-step": "tools/benchmarks/train-step",
    "write-samples": "tools/benchmarks/write-samples",
    "gpu-ceilings": "tools/benchmarks/gpu-ceilings", "lacuna-gpu-tests": "tests/lacuna-gpu-tests"}
MODULES = ("liblacuna_cuda.so", "liblacuna_planning_driver.so")
SCRIPTS = ("tools/gpu/check.py", "tools/gpu/parts.py", "tools/gpu/results.py",
           "tools/gpu/kernels.py", "tools/benchmarks/on_paper.py", "tools/benchmarks/flops.py",
           "tools/benchmarks/turns.py", "tools/benchmarks/train_step.py",
           "tools/benchmarks/resnet.py", "tools/benchmarks/vit.py")
READ = ("tests/golden/pytorch.h5", "tests/golden/augment.h5", "inputs")  # by tests and runs

# What a program needs of the machine: glibc's libraries, and NVIDIA's.
GLIBC = re.compile(
    r"(ld-linux.*|lib(c|m|dl|rt|pthread|resolv|util|mvec|anl|BrokenLocale))\.so\.\d+$")
NVIDIA = re.compile(r"lib(cuda|cudart|cudnn\w*|nccl|nvrtc\S*|cublas|cublasLt|nvJitLink)\.so")

# Open MPI's components that ranks of one node need, without a network: starting them (ess to
# state), shared memory (btl, shmem), and what the ranks call (coll, pml, topo).
COMPONENTS = """
allocator_basic allocator_bucket bml_r2 btl_self btl_vader coll_basic coll_inter coll_libnbc
coll_self coll_sm coll_sync coll_tuned errmgr_default_app errmgr_default_hnp errmgr_default_orted
ess_env ess_hnp ess_pmi ess_singleton grpcomm_direct iof_hnp iof_orted mpool_hugepage odls_default
oob_tcp op_avx patcher_overwrite plm_isolated pmix_ext3x pmix_isolated pml_ob1 pstat_linux
rcache_grdma reachable_weighted regx_fwd regx_naive regx_reverse rmaps_ppr rmaps_round_robin rml_oob
routed_binomial routed_direct routed_radix rtc_hwloc schizo_ompi schizo_orte shmem_mmap shmem_posix
state_app state_hnp state_novm state_orted topo_basic
""".split()


def fail(sentence):
    sys.exit(f"lacuna: {sentence}")


def output(*command):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True,
                          text=True).stdout


def needed(file):
    return output("patchelf", "--print-needed", file).split()


def is_elf(file):
    with open(file, "rb") as opened:
        return opened.read(4) == b"\x7fELF"


def libraries_of(files):
    """Name and place of every library that the loader finds for them, without glibc's and
    NVIDIA's."""
    found = {}
    for file in files:
        for line in output("ldd", file).splitlines():
            match = re.match(r"\s*(\S+) => (\S+) \(", line)
            if match and not GLIBC.match(match[1]) and not NVIDIA.match(match[1]):
                found[match[1]] = pathlib.Path(match[2])
            elif line.endswith("not found") and not NVIDIA.match(line.strip()):
                fail(
                    f"{file} needs {line.split()[0]}, which the loader does not find here: install "
                    "it, then start this again")
    return found


class OpenMpi:
    """The parts of the Open MPI that the build is linked with."""

    def __init__(self):
        if not shutil.which("ompi_info"):
            fail("the bundle takes Open MPI along, and ompi_info is not here: install openmpi-bin")
        paths = dict(
            re.findall(r"^path:(\w+):(.*)$", output("ompi_info", "--parsable", "--path", "all"),
                       re.MULTILINE))
        self.components = pathlib.Path(paths["pkglibdir"])
        self.messages = pathlib.Path(paths["pkgdatadir"])
        missing = [name for name in COMPONENTS if not self.component(name).exists()]
        if missing:
            fail(
                f"the bundle knows Open MPI 4.1 as Debian 12 builds it; in {self.components} there "
                f"is no {missing[0]}")
        self.programs = {"orted": shutil.which("orted"), "mpirun": shutil.which("orterun")}

    def component(self, name):
        return self.components / f"mca_{name}.so"


class Tree:
    """The files of the archive, in a folder that is being filled."""

    def __init__(self, root):
        self.root = root

    def add(self, source, to):
        target = self.root / to
        target.parent.mkdir(parents=True, exist_ok=True)
        if pathlib.Path(source).is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(os.path.realpath(source), target)
            shutil.copymode(os.path.realpath(source), target)
        return target

    def add_elf(self, source, to):
        """Without names for debuggers, and with the bundle's libraries found before all others."""
        target = self.add(source, to)
        target.chmod(0o755)
        subprocess.run(["strip", "--strip-unneeded", target], check=True)
        lib = os.path.relpath(self.root / "lib", target.parent)
        subprocess.run(["patchelf", "--force-rpath", "--set-rpath",
                        "$ORIGIN" if lib == "." else f"$ORIGIN/{lib}", target], check=True)

    def elfs(self):
        return [file for file in sorted(self.root.rglob("*")) if file.is_file() and is_elf(file)]


def fill(tree, build, source):
    mpi = OpenMpi()
    programs = {name: build / where for name, where in PROGRAMS.items()}
    for name, file in programs.items():
        if not file.exists():
            fail(f"{file} is not built, which the bundle holds")
        tree.add_elf(file, f"bin/{name}")
    for name, file in mpi.programs.items():
        tree.add_elf(file, f"bin/{name}")
    for name in MODULES:
        tree.add_elf(build / name, f"lib/{name}")
    for name in COMPONENTS:
        tree.add_elf(mpi.component(name), f"lib/openmpi/mca_{name}.so")
    tree.add(mpi.messages, "share/openmpi")
    libraries = libraries_of([
        *programs.values(), *(build / name for name in MODULES), *mpi.programs.values(),
        *map(mpi.component, COMPONENTS)])
    if "libmpi.so.40" not in libraries:
        fail(
            "the build is not linked with Open MPI, which the bundle takes along: configure it "
            "with Debian's libopenmpi-dev")
    for name, file in libraries.items():
        tree.add_elf(file, f"lib/{name}")
    pmix = pathlib.Path(os.path.realpath(libraries["libpmix.so.2"])).parent
    for component in (pmix / "pmix").glob("*.so"):
        tree.add_elf(component, f"lib/pmix/{component.name}")
    tree.add(pmix.parent / "share/pmix", "share/pmix")
    for script in SCRIPTS:
        tree.add(source / script, f"scripts/{pathlib.Path(script).name}")
    for name in READ:
        tree.add(source / name, name)


def check(tree, forbidden):
    """What the files need is among them, glibc's or NVIDIA's, and none names a path of this
    machine."""
    there = {file.name for file in (tree.root / "lib").iterdir()}
    from_nvidia = set()
    for file in tree.elfs():
        for name in needed(file):
            if NVIDIA.match(name):
                from_nvidia.add(name)
            elif name not in there and not GLIBC.match(name):
                fail(
                    f"{file.name} needs {name}, which the bundle does not hold: this is a defect "
                    "of tools/gpu/bundle.py")
    for file in tree.root.rglob("*"):
        if not file.is_file():
            continue
        content = file.read_bytes()
        for path in forbidden:
            if path.encode() in content:
                fail(
                    f"{file.relative_to(tree.root)} names {path}, a path of this machine, which "
                    "another does not have")
    return sorted(from_nvidia)


def pack(tree, archive):
    """The same bytes for the same files."""
    with open(archive, "wb") as raw:
        process = subprocess.Popen(["gzip", "-n"], stdin=subprocess.PIPE, stdout=raw)
        with tarfile.open(fileobj=process.stdin, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
            for file in sorted(tree.root.rglob("*")):
                info = tar.gettarinfo(file, file.relative_to(tree.root))
                info.uid = info.gid = info.mtime = 0
                info.uname = info.gname = ""
                with open(file, "rb") if file.is_file() else open(os.devnull, "rb") as content:
                    tar.addfile(info, content if file.is_file() else None)
        process.stdin.close()
        if process.wait() != 0:
            fail(f"{archive} could not be written; is the disk full?")
    return hashlib.sha256(archive.read_bytes()).hexdigest()[:16]


def mebibytes(count):
    return f"{count / 2**20:.1f} MiB"


def contents(tree, from_nvidia):
    lines = [
        f"{mebibytes(file.stat().st_size):>10}  {file.relative_to(tree.root)}"
        for file in sorted(tree.root.rglob("*")) if file.is_file() and "share/" not in str(file)]
    return "\n".join([
        *lines, "", "of NVIDIA's, found where they are: " + " ".join(from_nvidia), ""])


def main():
    parser = argparse.ArgumentParser(prog="tools/gpu-bundle", description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--forbid", action="append", default=[])
    parser.add_argument("out", type=pathlib.Path)
    options = parser.parse_args()
    if options.out.exists() and not (options.out / "files.tar.gz").exists() and any(
            options.out.iterdir()):
        fail(
            f"{options.out} holds something else than a bundle: name a folder that is empty or not "
            "there")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory(
            dir=options.out.parent) as beside:
        tree = Tree(pathlib.Path(scratch) / "files")
        fill(tree, options.build, options.source)
        from_nvidia = check(tree, options.forbid)
        made = pathlib.Path(beside) / "bundle"
        shutil.copytree(HERE / "launchers", made / "bin")
        (made / "bin" / "README").rename(made / "README")
        (made / "contents").write_text(contents(tree, from_nvidia))
        (made / "nvidia").write_text("\n".join([*from_nvidia, "libcuda.so.1"]) + "\n")
        (made / "version").write_text(pack(tree, made / "files.tar.gz") + "\n")
        size = sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
        if size > MOST:
            fail(
                f"the bundle takes {mebibytes(size)}, and {mebibytes(MOST)} is the most that "
                f"travels: {made / 'contents'} "
                "lists what it holds")
        shutil.rmtree(options.out, ignore_errors=True)
        for unpacked in pathlib.Path(f"{options.out}.files").glob(
                "[0-9a-f]" * 16):  # by launchers of one made before
            shutil.rmtree(unpacked)
        made.rename(options.out)
    print((options.out / "contents").read_text(), end="")
    print(
        f"{options.out}: {mebibytes(size)}, of {mebibytes(MOST)} at most; {options.out}/README "
        "says how it is used")


if __name__ == "__main__":
    main()
