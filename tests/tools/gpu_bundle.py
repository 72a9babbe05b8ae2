"""The bundle of tools/gpu-bundle where nothing is installed: in a root of its own that holds a
shell, a few tools, glibc and Python, and nothing of what Lacuna needs.

As a program it does the same in roots of debootstrap, and gpu-check's tests over doubles too, as
root with Debian's archive in reach, a few minutes each:  tests/tools/gpu_bundle.py bookworm trixie
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LACUNA_BUILD", SOURCE / "build"))
sys.path.append(str(SOURCE / "tools/gpu"))
import bundle  # noqa: E402

TOOLS = ("sh", "cat", "mkdir", "mv", "rm", "dirname", "readlink", "env", "id", "gzip", "tar", "ls",
         "uname", "sleep")
GLIBC = re.compile(r"linux-vdso|ld-linux|lib(c|m|dl|rt|pthread|resolv|util|mvec)\.so")
NVIDIA = re.compile(r"lib(cudnn|nccl|nvrtc|cublas|cuda)")


def make_bundle(folder):
    result = subprocess.run([
        sys.executable, "-B", SOURCE / "tools/gpu/bundle.py", "--build", BUILD, "--source", SOURCE,
        "--forbid", SOURCE, folder], capture_output=True, text=True)
    if result.returncode != 0:
        raise AssertionError(result.stdout + result.stderr)
    return result.stdout


def copy_with_libraries(program, root):
    found = os.path.realpath(shutil.which(program))
    shutil.copy(found, root / "usr/bin" / pathlib.Path(program).name)
    listed = subprocess.run(["ldd", found], capture_output=True, text=True).stdout
    for library in re.findall(r"(/\S+) \(", listed):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(library), target)


def make_small_root(root):
    """A shell, glibc, and the system's Python with its modules."""
    for name in ("usr/bin", "usr/lib", "usr/lib64", "dev", "proc", "tmp", "opt"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for tool in TOOLS:
        copy_with_libraries(tool, root)
    copy_with_libraries("/usr/bin/python3", root)
    python = pathlib.Path(os.path.realpath("/usr/bin/python3"))
    for library in pathlib.Path("/usr/lib/x86_64-linux-gnu").glob("lib*.so.*"):
        if GLIBC.match(library.name):
            shutil.copy(library, root / "usr/lib" / library.name)
    modules = next(pathlib.Path("/usr/lib").glob(f"{python.name}*"))
    shutil.copytree(
        modules, root / "usr/lib" / modules.name, symlinks=False, ignore_dangling_symlinks=True,
        ignore=shutil.ignore_patterns("__pycache__", "test", "idlelib", "dist-packages"))


class Root:
    """Commands inside a root, with /dev and /proc, which end with it."""

    def __init__(self, folder):
        self.folder = folder
        self.user = [] if os.geteuid() == 0 else ["--map-root-user"]

    def run(self, *words, status=0, **env):
        inside = (f"mount --rbind /dev {self.folder}/dev && "
                  f"mount -t proc proc {self.folder}/proc && exec chroot {self.folder} \"$@\"")
        command = [
            "unshare", "--mount", "--pid", "--fork", "--kill-child", *self.user, "sh", "-c", inside,
            "sh", "/usr/bin/env", "-i", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/tmp",
            *(f"{name}={value}" for name, value in env.items()), *map(str, words)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=280)
        if result.returncode != status:
            raise AssertionError(
                f"{words}: status {result.returncode}, not "
                f"{status}\n{result.stdout[-6000:]}\n{result.stderr[-3000:]}")
        return result.stdout + result.stderr


def check_programs(root):
    """What a user does first, and the refusal without a driver."""
    there = "/opt/bundle"
    assert "lacuna 0." in root.run(f"{there}/bin/lacuna", "--version")
    root.run(f"{there}/bin/with", "write-samples", "/tmp/data.h5", 64, 8, 3)
    assert "/images  [64, 8, 8, 3] uint8" in root.run(f"{there}/bin/lacuna", "inspect",
                                                      "/tmp/data.h5")
    files = root.run(f"{there}/bin/with", "sh", "-c", "echo $LACUNA_SOURCE").strip()
    assert "usage: train-step" in root.run(f"{there}/bin/with", "env", "train-step",
                                           status=2)  # as compute-sanitizer starts it
    training = [
        "pretrain", f"{files}/inputs/images/fashion-simclr.toml", "--force", "--set",
        "data.files=/tmp/data.h5", "data.dataset=images", "data.label=labels", "train.max_steps=3",
        "train.batch=16", "encoder.width=4", "augment.size=8"]
    losses = {}
    for ranks in (1, 2):
        told = root.run(f"{there}/bin/mpirun", "--oversubscribe", "-n", ranks,
                        f"{there}/bin/lacuna", *training, "train.precision=f32", "--run",
                        f"/tmp/run{ranks}")
        assert f"{ranks} rank" in told and "finished: 3 steps" in told, told
        losses[ranks] = float(re.findall(r"step 3 of 3 .* loss ([\d.]+)", told)[-1])
    assert abs(losses[1] - losses[2]) < 0.02 * losses[1], losses
    beside = root.folder / "tmp/mine"
    beside.mkdir()
    (beside / "thesis.txt").write_text("")
    root.run(f"{there}/bin/lacuna", "--version", LACUNA_BUNDLE_FILES="/tmp/mine")
    assert (beside / "thesis.txt").exists()
    alone = root.run(f"{there}/bin/lacuna", *training, "--run", "/tmp/alone")
    assert "finished: 3 steps" in alone, alone
    refused = root.run(f"{there}/bin/lacuna", *training, "train.device=cuda", "--run",
                       "/tmp/refused", status=2)
    missing = "this machine has no NVIDIA driver (libcuda.so.1): mend that, or set train.device to"
    assert f'{missing} "cpu"' in refused, refused


def check_gpu_check(root):
    """Every part: on the processor what can be, a recorded refusal for what needs a GPU."""
    root.run("/opt/bundle/bin/gpu-check", "--rehearse", "--no-peer", "--out", "/tmp/results")
    out = root.folder / "tmp/results"
    records = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert {record["part"] for record in records if record["what"] == "part" and record["started"]
            } == set(range(1, 9)), records
    refused = {record["part"] for record in records if "refused" in record}
    assert refused >= {1, 2, 3, 7, 8} and not any(record.get("failed")
                                                  for record in records), records
    assert {
        record["part"] for record in records if "seconds" in record and record["what"] != "part"
    } >= {4, 5}, records
    assert any("samples_per_second" in record for record in records), records
    root.run("/opt/bundle/bin/gpu-check", "--no-peer", "--parts", "1-4", "--out",
             "/tmp/results-of-gpu", status=2)


def check_files(folder, files):
    """Size, and that the loader finds all but NVIDIA's among the files, or in glibc."""
    files, = files.iterdir()
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert size <= bundle.MOST, size
    for file in [*(files / "bin").iterdir(), *files.glob("lib/**/*.so*")]:
        for line in subprocess.run(["ldd", file], capture_output=True,
                                   text=True).stdout.splitlines():
            name, _, place = line.strip().partition(" => ")
            if not place or GLIBC.search(name) or NVIDIA.match(name):
                continue
            assert place.startswith(f"{files}/"), f"{file}: {line}"


class Bundle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="lacuna-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.root = Root(cls.folder / "root")
        make_small_root(cls.root.folder)
        cls.printed = make_bundle(cls.root.folder / "opt/bundle")

    def test_it_runs_where_nothing_is_installed(self):
        self.assertRegex(self.printed, r"bundle: \d+\.\d MiB, of 48\.0 MiB at most")
        self.assertIn("lib/libdnnl.so.2", self.printed)
        self.assertRegex(self.printed, r"of NVIDIA's, found where they are:.* libcudnn\.so\.9")
        check_programs(self.root)
        check_files(self.root.folder / "opt/bundle", self.root.folder / "opt/bundle.files")
        check_gpu_check(self.root)


class Refusals(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="lacuna-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_what_another_machine_has_not_is_refused(self):
        tree = bundle.Tree(self.folder / "files")
        shutil.copytree(SOURCE / "tools/gpu/launchers", tree.root / "lib")
        tree.add("/usr/bin/python3", "bin/python3")  # with libraries that are not there
        with self.assertRaisesRegex(
                SystemExit, "python3 needs lib[a-z]+.so.[0-9]+, which the bundle does not hold"):
            bundle.check(tree, [])
        (tree.root / "bin/python3").unlink()
        self.assertEqual(bundle.check(tree, []), [])
        (tree.root / "bin/script").write_text("# made in /home/somebody/lacuna\n")
        with self.assertRaisesRegex(SystemExit,
                                    "bin/script names /home/somebody, a path of this machine"):
            bundle.check(tree, ["/home/somebody"])

    def test_a_folder_with_something_else_is_left_alone(self):
        (self.folder / "mine").mkdir()
        (self.folder / "mine/thesis.txt").write_text("")
        result = subprocess.run([
            sys.executable, "-B", SOURCE / "tools/gpu/bundle.py", "--build", BUILD, "--source",
            SOURCE, self.folder / "mine"], capture_output=True, text=True)
        self.assertIn("holds something else than a bundle", result.stderr)
        self.assertTrue((self.folder / "mine/thesis.txt").exists())


def in_debootstrap(suite, made, folder):
    print(f"== {suite}", flush=True)
    subprocess.run([
        "debootstrap", "--variant=minbase", "--include=python3-minimal,libpython3-stdlib", suite,
        folder], check=True, stdout=subprocess.DEVNULL)
    root = Root(folder)
    shutil.copytree(made, folder / "opt/bundle")
    check_programs(root)
    check_files(made, folder / "opt/bundle.files")
    check_gpu_check(root)
    print(
        f"{suite}, glibc {root.run('/usr/bin/ldd', '--version').split()[4].rstrip(')')}: all held",
        flush=True)


def main(suites):
    with tempfile.TemporaryDirectory(prefix="lacuna-bundle-") as scratch:
        folder = pathlib.Path(scratch)
        print(make_bundle(folder / "bundle"), flush=True)
        for suite in suites:
            in_debootstrap(suite, folder / "bundle", folder / suite)
        subprocess.run([
            folder / "bundle/bin/gpu-check", "--no-peer", "--parts", "2-3", "--out",
            folder / "results", "--budget", "3600", "--patience", "20", "--tests",
            BUILD / "tests/lacuna-cuda-tests"], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
