"""What the tests of the whole program share: starting it, and making small data sets for it.

    class Pretraining(support.EndToEndTest):
        def test_learns_something(self):
            data = self.path("data.h5")
            support.write_images(data, samples=100)
            result = self.lacuna("pretrain", config, ranks=2)
            self.assertEqual(result.status, 0, result)

By hand, from the project's root:

    PYTHONPATH=tests/end_to_end python3 -m unittest tests/end_to_end/X.py
"""

import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import zlib

import h5py
import numpy

SOURCE = pathlib.Path(os.environ.get("LACUNA_SOURCE", pathlib.Path(__file__).parents[2])).resolve()
BUILD = pathlib.Path(os.environ.get("LACUNA_BUILD", SOURCE / "build"))
LACUNA = os.environ.get("LACUNA", str(BUILD / "lacuna"))
LAUNCHER = os.environ.get("LACUNA_LAUNCHER", "mpiexec")

# What the launcher found needs for root and for more ranks than cores; as in tests/CMakeLists.txt.
LAUNCHER_ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_ALLOW_RUN_AS_ROOT": "1",
    "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


def chosen_cells(cells):
    """Which cells of a matrix of tests, such as every objective on every modality, this run takes:
    every third from LACUNA_TEST_CELLS on, which tools/test chooses by the commit's hash, as in
    tests/support/cells.h; all where it is not set, and of fewer than three."""
    first = os.environ.get("LACUNA_TEST_CELLS")
    if first is None or len(cells) < 3:
        return list(cells)
    if first not in ("0", "1", "2"):
        raise ValueError(f"LACUNA_TEST_CELLS is {first}; it must be 0, 1 or 2")
    return list(cells)[int(first)::3]


@dataclasses.dataclass
class Result:
    """How a command ended. status is negative for a signal, as in subprocess."""

    command: list
    status: int
    stdout: str
    stderr: str

    def complaint(self):
        """The one line of ours on stderr; fails unless there is exactly one."""
        lines = [line for line in self.stderr.splitlines() if line.startswith("lacuna:")]
        if len(lines) != 1:
            raise AssertionError(
                f"{len(lines)} lines on stderr begin with 'lacuna:', 1 wanted\n{self}")
        return lines[0]

    def __str__(self):
        return (f"\n$ {' '.join(map(str, self.command))}\nstatus {self.status}\n"
                f"--- stdout\n{self.stdout}--- stderr\n{self.stderr}---")


def command_line(*arguments, ranks=None):
    """The command that starts the program, under the launcher if ranks are given."""
    launcher = [] if ranks is None else [LAUNCHER, "-n", str(ranks)]
    return launcher + [LACUNA] + [str(argument) for argument in arguments]


def start(command, cwd=None, env=None):
    """Starts the command in a process group of its own; see finish()."""
    environment = {**os.environ, **LAUNCHER_ENVIRONMENT, **(env or {})}
    return subprocess.Popen(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            start_new_session=True)


def kill(process):
    """SIGKILL to the launcher and every rank: all that is left of the process's group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    for pid in descendants(process.pid):  # Open MPI gives each rank a group of its own
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def descendants(pid):
    """The ids of the processes below `pid`, deepest last."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(word) for word in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child] + descendants(child)
    return found


def rank_processes(process):
    """The ids of the program's own processes below a launcher that start() started."""
    name = pathlib.Path(LACUNA).name
    ranks = []
    for pid in [process.pid] + descendants(process.pid):
        try:
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == name:
                ranks.append(pid)
        except OSError:
            pass
    return ranks


def finish(process, timeout):
    """Waits for the end and returns the Result; after `timeout` seconds kills all of it and
    fails."""
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        ranks = descendants(process.pid)
        kill(process)
        for pid in ranks:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        stdout, stderr = process.communicate()
        result = Result(process.args, process.returncode, stdout, stderr)
        raise AssertionError(f"not finished after {timeout} s{result}") from None
    return Result(process.args, process.returncode, stdout, stderr)


def writable(path, seconds=10):
    """The HDF5 file, opened to be changed: MPICH's launcher ends before the ranks that it kills
    have let go of files."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return h5py.File(path, "r+")
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def write_images(path, samples=64, size=(8, 8), channels=None, channels_first=False, classes=4,
                 dtype="uint8", dataset="images", labels="labels", chunk=None, gzip=None, seed=1,
                 **options):
    """Adds a data set of `samples` images to the HDF5 file, and their labels unless labels is None.

    Each class is a pattern of its own plus noise, so that something can be learnt. Integers fill
    their type's range up to 16 bits; floats lie in [0, 1]. Returns the array written.
    """
    random = numpy.random.default_rng(seed)
    shape = tuple(size) if channels is None else (*size, channels)
    label = numpy.arange(samples) % classes
    patterns = random.random((classes, *shape))
    values = 0.75 * patterns[label] + 0.25 * random.random((samples, *shape))
    if channels_first:
        values = numpy.moveaxis(values, -1, 1)
    kind = numpy.dtype(dtype)
    if kind.kind in "ui":
        values = values * min(numpy.iinfo(kind).max, 65535)
    values = values.astype(kind)
    if chunk is not None:
        options["chunks"] = (min(chunk, samples),) + values.shape[1:]
    if gzip is not None:
        options.update(compression="gzip", compression_opts=gzip)
    with h5py.File(path, "a") as file:
        file.create_dataset(dataset, data=values, **options)
        if labels is not None:
            file.create_dataset(labels, data=label.astype("uint8"))
    return values


def write_experiment(path, data="data.h5", objective="simclr", more=""):
    """Writes a TOML of a few seconds: ResNet-18 of width 4, batches of 8. `more` goes to its
    end."""
    heads = "hidden = 16\nprojection = 8\n" if objective in ("simclr", "byol") else ""
    second = ('[part.paired.data]\ndataset = "images"\n[part.paired.encoder]\nwidth = 4\n'
              if objective == "clip" else "")
    pathlib.Path(path).write_text(f"""
[objective]
name = "{objective}"
{heads}
{second}
[data]
files = "{data}"
dataset = "images"
statistics = "all"

[encoder]
width = 4

[train]
epochs = 2
batch = 8
threads = 1
{more}""")


def write_task(path, name, keys="", label="labels", training=""):
    """Writes the TOML of a task on the data set of write_experiment, which is also tested with.
    `keys` are the task's own, `training` goes to the end."""
    batch = "batch = 8" if name in ("classify", "regress") else ""  # the other tasks train nothing
    pathlib.Path(path).write_text(f"""
[task]
name = "{name}"
{keys}
[data]
files = "data.h5"
dataset = "images"
label = "{label}"
[test]
dataset = "images"
label = "labels"
[train]
{batch}
threads = 1
{training}""")


def exchange_first(path, value):
    """Puts these bytes in the place of the first of /z of a file of representations, and returns
    what was there."""
    with h5py.File(path) as file:
        offset = file["z"].id.get_offset()
    with open(path, "r+b") as file:
        file.seek(offset)
        before = file.read(len(value))
        file.seek(offset)
        file.write(value)
    return before


def preload(folder, name="faulty_system"):
    """The environment in which a library is preloaded: NAME.c of this folder, made in `folder`."""
    library = pathlib.Path(folder) / f"{name}.so"
    if not library.exists():
        source = SOURCE / "tests" / "end_to_end" / f"{name}.c"
        subprocess.run([os.environ.get("LACUNA_C", "cc"), "-shared", "-fPIC", "-o", library, source,
                        "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0"}


def snapshot(folder):
    """What lies below the folder: names, sizes and times of change."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(folder))] = (status.st_size if path.is_file() else None,
                                                status.st_mtime_ns if path.is_file() else None)
    return found


def checkpoint_tensors(folder):
    """The tensors of a checkpoint's folder by name, as the bytes that they are."""
    with h5py.File(pathlib.Path(folder) / "checkpoint.h5") as file:
        return {name: file["state/" + name.replace(".", "/")][()]
                for name in file["tensors/name"].asstr()}


def checkpoints(run):
    """The steps of a run's checkpoints, growing."""
    return sorted(int(path.parent.name.removeprefix("step-"))
                  for path in (pathlib.Path(run) / "checkpoints").glob("step-*/checkpoint.h5"))


def checkpoint_folder(run, step):
    return pathlib.Path(run) / "checkpoints" / f"step-{step:09d}"


def is_whole(folder):
    """Whether a checkpoint's manifest and parts agree with their checksums (docs/formats.md)."""
    manifest = (folder / "checkpoint.h5").read_bytes()
    front, rest = manifest[:512], manifest[512:]
    if not front.rstrip(b"\0").endswith(
            f"\nbytes {len(rest)}\ncrc32 {zlib.crc32(rest):08x}\n".encode()):
        return False
    with h5py.File(folder / "checkpoint.h5") as file:
        parts = zip(file["parts/file"].asstr(), file["parts/bytes"], file["parts/crc32"])
        contents = [((folder / name).read_bytes() if (folder / name).exists() else b"", size, crc)
                    for name, size, crc in parts]
    return all(
        len(content) == size and zlib.crc32(content) == crc for content, size, crc in contents)


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def curve(run):
    """metrics.jsonl without what the clock says."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        row.pop("samples_per_s")
    return rows


def differences(run, whole, steps):
    """What differs between two finished runs: the first step of the curve, names of tensors."""
    found = []
    for a, b in itertools.zip_longest(curve(run), curve(whole)):
        if a != b:
            found.append(f"{a} instead of {b}")
            break
    ours, theirs = (checkpoint_tensors(checkpoint_folder(each, steps)) for each in (run, whole))
    return found + [
        name for name in sorted({*ours, *theirs})
        if name not in ours or name not in theirs or not same_bits(ours[name], theirs[name])]


class Halted:
    """A program that stands still after telling a text, and is then killed, every rank of it."""

    def __init__(self, process, ranks):
        self.process, self.ranks, self.told = process, ranks or 1, ""

    def wait_for(self, *texts, also=lambda: True, seconds=100):
        deadline = time.time() + seconds
        while not all(text in self.told for text in texts) or not also():
            if time.time() > deadline or self.process.poll() is not None:
                raise AssertionError(f"{texts} not told by {self.process.args}:\n{self.told}")
            if select.select([self.process.stdout], [], [], 0.05)[0]:
                self.told += os.read(self.process.stdout.fileno(), 65536).decode()

    def kill(self):
        pids = rank_processes(self.process)
        if len(pids) != self.ranks:
            raise AssertionError(f"{len(pids)} processes instead of {self.ranks}")
        os.kill(pids[0], signal.SIGKILL)
        for pid in pids[1:]:
            with contextlib.suppress(ProcessLookupError):  # the launcher was faster
                os.kill(pid, signal.SIGKILL)
        finish(self.process, 60)


class EndToEndTest(unittest.TestCase):
    """A test with a folder of its own, removed afterwards, in which the program runs."""

    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lacuna-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, name):
        return self.folder / name

    def lacuna(self, *arguments, ranks=None, timeout=120, env=None):
        """Runs the program in the test's folder and returns its Result, whatever its status."""
        process = start(command_line(*arguments, ranks=ranks), cwd=self.folder, env=env)
        return finish(process, timeout)

    def halted(self, text, *arguments, ranks=None):
        """Starts the program such that it stands still once it has told the text; see Halted."""
        env = self.faults(halt_after=text, **({"rank": 0} if ranks else {}))
        process = start(command_line(*arguments, ranks=ranks), cwd=self.folder, env=env)
        self.addCleanup(kill, process)
        return Halted(process, ranks)

    def faults(self, **faults):
        """The environment in which the system fails so: faulty_system.c's variables without
        FAULT_."""
        # Not in the folder: tests compare what lies there.
        folder = pathlib.Path(f"{self.folder}-library")
        if not folder.exists():
            folder.mkdir()
            self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return {
            **preload(folder),
            **{f"FAULT_{name.upper()}": str(value) for name, value in faults.items()}}

    def succeeds(self, *arguments, **options):
        """Runs the program, which must end with status 0; returns its Result."""
        result = self.lacuna(*arguments, **options)
        self.assertEqual(result.status, 0, result)
        return result
