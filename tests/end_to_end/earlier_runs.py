"""A run that an earlier commit began is embedded, fine-tuned and continued with equal bits: its
checkpoint lies in tests/fixtures/COMMIT with what that commit's program made of it, written by
`tools/same-bits COMMIT --fixture`. It was computed by the reference device on one thread with the
baseline's instructions, so that every processor gives the same."""

import hashlib
import json
import lzma
import shutil

import h5py
import numpy

import continues
import support

FIXTURES = support.SOURCE / "tests/fixtures"
FOLDER = "/earlier"  # where the runs of the fixtures have their data
SAMPLES, TEST_SAMPLES, BATCH, EPOCHS = 20, 120, 6, 2
STEPS, CHECKPOINT_STEPS, BEGUN = SAMPLES * EPOCHS // BATCH, 2, 3  # an epoch ends within a batch
CHECKPOINT = BEGUN // CHECKPOINT_STEPS * CHECKPOINT_STEPS

COMPUTE = 'device = "reference"\nthreads = 1\ninstruction_set = "baseline"\n'
PRETRAINING = f"""
[data]
files = "data.h5"
dataset = "images"
statistics = "all"
[objective]
name = "byol"
hidden = 8
projection = 4
[encoder]
width = 1
[train]
{COMPUTE}
epochs = {EPOCHS}
batch = {BATCH}
checkpoint_steps = {CHECKPOINT_STEPS}
[log]
interval = 0
"""
TASKS = {
    "linear": "labels = 0.5\ndraws = 2\nl2 = [1e-3, 1e-1]",
    "knn": "labels = 0.5\ndraws = 2\nk = [1, 3]", "classify": "steps = 4\nrates = [1e-3, 3e-3]"}


def write_data(path):
    """Images and labels by a formula of integers."""
    with h5py.File(path, "w") as file:
        for prefix, count, first in (("", SAMPLES, 0), ("test/", TEST_SAMPLES, SAMPLES)):
            i, y, x = numpy.ogrid[first:first + count, :8, :8]
            label = i % 4
            values = 61 * label + 23 * y * (1 + label) + 41 * x + 7 * i * (x ^ y)
            file[f"{prefix}images"] = (values & 255).astype("uint8")
            file[f"{prefix}labels"] = label.ravel().astype("uint8")


def write_inputs(folder):
    write_data(folder / "data.h5")
    (folder / "byol.toml").write_text(PRETRAINING)
    for name, keys in TASKS.items():
        batch = f"batch = {BATCH}\n" if name == "classify" else ""
        (folder / f"{name}.toml").write_text(f"""
[task]
name = "{name}"
{keys}
[data]
files = "data.h5"
dataset = "images"
label = "labels"
[test]
dataset = "test/images"
label = "test/labels"
[train]
{COMPUTE}{batch}""")


def arguments(kind, run):
    """The command line of one of the stages on a run; what it writes is named after both."""
    if kind == "pretrain":
        return ["pretrain", "byol.toml", "--run", run]
    compute = [word.replace(" ", "") for word in COMPUTE.splitlines()]
    if kind == "embed":
        return ["embed", run, "--data", "data.h5", "--out", f"{run}.h5",
                "--set", *(f"train.{key}" for key in compute)]
    return ["finetune", f"{kind}.toml", "--from", run, "--run", f"{run}-{kind}"]


def figures(result):
    """The numbers of a result.json by name."""
    return {name: value for name, value in result.items()
            if isinstance(value, (int, float)) or (isinstance(value, list) and name != "from")}


def digest(array):
    """Type, shape and a hash of the bytes, as text."""
    value = hashlib.blake2b(array.tobytes(), digest_size=8).hexdigest()
    return f"{array.dtype.str} {list(array.shape)} {value}"


def findings(folder, run):
    """What embed and finetune have made of the run in the folder."""
    with h5py.File(folder / f"{run}.h5") as file:
        found = {"z": digest(file["z"][:])}
    for task in TASKS:
        found[task] = figures(json.loads((folder / f"{run}-{task}/result.json").read_text()))
    return found


def end_of(run):
    """The finished run's metrics and State."""
    tensors = support.checkpoint_tensors(support.checkpoint_folder(run, STEPS))
    return {
        "metrics": support.curve(run),
        "state": {name: digest(value) for name, value in tensors.items()}}


def relocated(run, before, after):
    """Has the run read its data from another folder, as its configuration says."""
    def there(text):
        return text.replace(before, after)

    config = run / "config.toml"
    config.write_text(there(config.read_text()))
    for folder in (run / "checkpoints").glob("step-*"):
        for path in (folder / "checkpoint.h5", folder / "part-000.h5"):
            with h5py.File(path, "r+") as file:
                for name in {"configuration", "data/train/file"}:
                    if name in file:
                        file[name][...] = [there(text) for text in file[name].asstr()]
        continues.seal(folder)


def write_fixture(program, fixture):
    """Writes the fixture that the tests below read, with an earlier commit's program."""
    folder = fixture.resolve() / "work"
    shutil.rmtree(fixture, ignore_errors=True)
    folder.mkdir(parents=True)

    def succeeds(*words):
        result = support.finish(support.start([program, *words], cwd=folder), 120)
        if result.status != 0:
            raise SystemExit(str(result))

    write_inputs(folder)
    environment = support.preload(folder) | {"FAULT_HALT_AFTER": f"step {BEGUN} of {STEPS} "}
    process = support.start([program, *arguments("pretrain", "run")], cwd=folder, env=environment)
    halted = support.Halted(process, None)
    halted.wait_for(environment["FAULT_HALT_AFTER"],
                    also=lambda: CHECKPOINT in support.checkpoints(folder / "run"))
    halted.kill()
    begun = folder / "run"
    for kind in ("embed", *TASKS):
        succeeds(*arguments(kind, "run"))
    succeeds(*arguments("pretrain", "whole"))
    expected = findings(folder, "run") | end_of(folder / "whole")
    relocated(begun, str(folder), FOLDER)
    for path in sorted(
            path for path in begun.rglob("*") if path.is_file() and "lease" not in path.name):
        kept = fixture / "run" / path.relative_to(begun)
        kept.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".h5":
            kept.with_name(kept.name + ".xz").write_bytes(lzma.compress(
                path.read_bytes(), preset=9))
        else:
            shutil.copyfile(path, kept)
    (fixture / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    shutil.rmtree(folder)


class EarlierRuns(support.EndToEndTest):
    def unpack(self, fixture):
        """The run as it was begun, in the test's folder; returns what is expected of it."""
        write_inputs(self.folder)
        for path in sorted(path for path in (fixture / "run").rglob("*") if path.is_file()):
            target = self.path("run") / path.relative_to(fixture / "run")
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".xz":
                target.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
            else:
                shutil.copyfile(path, target)
        expected = json.loads((fixture / "expected.json").read_text())
        relocated(self.path("run"), FOLDER, str(self.folder))
        return expected

    def continued(self):
        result = self.succeeds(*arguments("pretrain", "run"))
        self.assertRegex(result.stdout, rf"continuing .*step {CHECKPOINT}\b")
        return end_of(self.path("run"))

    def test_they_are_embedded_fine_tuned_and_continued_to_the_same_bits(self):
        fixtures = sorted(path for path in FIXTURES.iterdir() if (path / "run").is_dir())
        self.assertNotEqual(fixtures, [])
        for fixture in fixtures:
            with self.subTest(commit=fixture.name):
                expected = self.unpack(fixture)
                for kind in ("embed", *TASKS):
                    self.succeeds(*arguments(kind, "run"))
                self.assertEqual(findings(self.folder, "run") | self.continued(), expected)

    def test_attributes_of_their_data_are_left_aside_as_they_were(self):
        expected = self.unpack(FIXTURES / "075c6a7")
        with h5py.File(self.path("data.h5"), "r+") as file:
            file["images"].attrs.update(scale_factor=0.5, _FillValue=numpy.uint8(0))
        told = self.succeeds(*arguments("embed", "run"))
        self.assertIn("say of its numbers (_FillValue, scale_factor and the like) is left aside",
                      told.stdout)
        with h5py.File(self.path("run.h5")) as file:
            self.assertEqual(digest(file["z"][:]), expected["z"])

    def test_a_planted_change_of_one_weight_is_found(self):
        expected = self.unpack(FIXTURES / "075c6a7")

        def change(name, values):
            if name != "encoder.conv1.weight":
                return None
            values.flat[0] *= 1.001
            return values

        continues.change_tensors(support.checkpoint_folder(self.path("run"), CHECKPOINT), change)
        self.succeeds(*arguments("embed", "run"))
        with h5py.File(self.path("run.h5")) as file:
            self.assertNotEqual(digest(file["z"][:]), expected["z"])
        end = self.continued()
        self.assertEqual(end["state"].keys(), expected["state"].keys())
        self.assertNotEqual(end["state"]["encoder.conv1.weight"],
                            expected["state"]["encoder.conv1.weight"])
