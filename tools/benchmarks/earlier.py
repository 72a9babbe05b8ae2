"""Programs of an earlier commit, built beside this tree's."""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Where commits are built; kept from one call to the next.
WORK = pathlib.Path(os.environ.get("LACUNA_CACHE",
                                   pathlib.Path.home() / ".cache/lacuna")) / "same-bits"


def run_command(command, cwd):
    result = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True)
    if result.returncode != 0:
        sys.exit(
            f"lacuna: {' '.join(map(str, command))} ended with status "
            f"{result.returncode}:\n{result.stdout}")
    return result.stdout


def commit_id(name):
    found = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"],
        stdout=subprocess.PIPE, text=True)
    if found.returncode != 0:
        sys.exit(f"lacuna: {name} is no commit of {ROOT}: name one that `git log` lists")
    return found.stdout.strip()


def _generator():
    return ["-G", "Ninja"] if shutil.which("ninja") else []


def _build(folder, targets, cwd):
    run_command(["cmake", "--build", folder, "--parallel", str(os.cpu_count()), "--target",
                 *targets], cwd)
    return folder


def build_commit(commit, work, targets=("lacuna",)):
    """The build folder of the commit, in a folder of its own, with these targets made."""
    folder = work / commit
    source = folder / "source"
    if not source.exists():
        part = folder / "source.part"
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        run_command(["git", "clone", "--quiet", "--shared", "--no-checkout", ROOT, part], ROOT)
        run_command(["git", "checkout", "--quiet", "--detach", commit], part)
        part.rename(source)
    run_command([
        "cmake", "--preset", "release", *_generator(), "-B", folder / "build",
        "-DBUILD_TESTING=OFF", "-DLACUNA_CUDA_DEVICE=OFF"], source)
    return _build(folder / "build", targets, source)


def build_this(targets=("lacuna",)):
    """This tree's build/, as it is configured there, with these targets made."""
    if not (ROOT / "build/CMakeCache.txt").exists():
        run_command(["cmake", "--preset", "release", *_generator(), "-DBUILD_TESTING=OFF"], ROOT)
    return _build(ROOT / "build", targets, ROOT)
