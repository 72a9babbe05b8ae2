"""Signals and tables of vectors, from the file to a fine-tuned model, on one rank and on three."""

import json

import h5py
import numpy

import support


def write_samples(file, samples=96):
    """Four classes: signals of 2 channels by their frequency, and vectors by their mean."""
    random = numpy.random.default_rng(7)
    label = numpy.arange(samples) % 4
    time = numpy.arange(64) / 64
    phase = random.uniform(0, 6, (samples, 2, 1))
    waves = numpy.sin(2 * numpy.pi * (1 + 3 * label[:, None, None]) * time + phase)
    with h5py.File(file, "w") as data:
        data["signals"] = (waves + 0.2 * random.normal(size=waves.shape)).astype("f4")
        scale = numpy.logspace(-3, 3, 12)
        data["table"] = scale * (random.normal(size=(samples, 12)) + 2 * label[:, None])
        data["labels"] = label
        data["images"] = random.integers(0, 256, (samples, 8, 8), dtype="u1")


DATA = """[data]
files = "data.h5"
kind = "{kind}"
dataset = "{dataset}"
label = "labels"
"""

PRETRAIN = DATA + """[objective]
name = "simclr"
hidden = 16
projection = 8
[encoder]
name = "{encoder}"
width = {width}
[train]
batch = 24
max_steps = 2
threads = 1
precision = "f32"
[optimizer]
lr = 0.02
"""

CLASSIFY = DATA + """[test]
dataset = "{dataset}"
label = "labels"
[task]
name = "classify"
steps = 40
rates = [0.02]
[train]
batch = 24
threads = 1
precision = "f32"
"""

IMAGES = {"kind": "image", "dataset": "images", "encoder": "resnet18", "width": 4}
SIGNALS = {"kind": "signal", "dataset": "signals", "encoder": "resnet18", "width": 4}
TABLE = {"kind": "vector", "dataset": "table", "encoder": "mlp", "width": 16}


class Modalities(support.EndToEndTest):
    def write(self, of, folder="."):
        write_samples(self.path(folder) / "data.h5")
        (self.path(folder) / "a.toml").write_text(PRETRAIN.format(**of))
        (self.path(folder) / "classify.toml").write_text(CLASSIFY.format(**of))

    def embedded(self, ranks):
        run, out = self.path(f"run{ranks}"), self.path(f"z{ranks}.h5")
        self.succeeds("pretrain", self.path("a.toml"), "--run", run, ranks=ranks)
        self.succeeds("embed", run, "--data", self.path("data.h5"), "--out", out, ranks=ranks)
        with h5py.File(out) as file:
            return file["z"][:]

    def accuracy(self, task, *words):
        self.succeeds("finetune", self.path("classify.toml"), "--from", self.path("run1"), "--run",
                      self.path(task), *words)
        return json.loads((self.path(task) / "result.json").read_text())["accuracy"]

    def check_all(self, of):
        self.write(of)
        one, three = self.embedded(1), self.embedded(3)
        self.assertEqual(len({tuple(row) for row in one}), 96)
        self.assertLess(numpy.abs(one - three).max(), 1e-4 * numpy.abs(one).max())
        self.assertGreater(self.accuracy("whole"), 0.5)

    def test_signals_on_one_rank_and_three(self):
        self.check_all(SIGNALS)
        changed = [self.accuracy(key, "--set", f"augment.{key}={value}")
                   for key, value in (("shift", 0.5), ("scale", 0.9), ("time_mask", 0.9))]
        self.assertGreater(len({*changed, self.accuracy("whole")}), 1)
        told = self.succeeds("finetune", self.path("classify.toml"), "--from", self.path("run1"),
                             "--run", self.path("masks"), "--set", "augment.mask_span=[0.1, 0.2]")
        self.assertIn("augment.mask_span has no effect here", told.stderr + told.stdout)

    def test_windows_of_series_on_one_rank_and_three(self):
        """Each series has a label, which all windows of it get."""
        self.write(SIGNALS)
        random = numpy.random.default_rng(3)
        label = numpy.arange(24) % 4
        time = numpy.arange(208) / 64
        waves = numpy.sin(2 * numpy.pi * (1 + 3 * label[:, None, None]) * time[:, None] +
                          random.uniform(0, 6, (24, 1, 2)))
        waves += 0.2 * random.normal(size=waves.shape)
        with h5py.File(self.path("data.h5"), "w") as data:
            data["signals"] = waves.astype("f4")
            data["flat"] = waves.reshape(-1, 2).astype("f4")
            data["starts"] = numpy.arange(25) * 208
            data["labels"] = label
        rows = "data.leading=1", "data.length=64", "data.hop=48"
        found = {}
        for name, layout in {"rows": rows,
                             "flat": ("data.dataset=flat", "data.offsets=starts", *rows)}.items():
            words = [word for setting in layout for word in ("--set", setting)]
            for ranks in 1, 3:
                run, out = self.path(f"{name}{ranks}"), self.path(f"{name}{ranks}.h5")
                self.succeeds("pretrain", self.path("a.toml"), *words, "--run", run, ranks=ranks)
                self.succeeds("embed", run, "--data", self.path("data.h5"), "--out", out,
                              ranks=ranks)
                with h5py.File(out) as file:
                    found[name, ranks] = file["z"][:]
                    self.assertEqual(file["label"][:].tolist(), numpy.repeat(label, 4).tolist())
                    self.assertEqual(file["at"][:8].tolist(),
                                     [[208 * (i // 4) + 48 * (i % 4), 64] for i in range(8)])
            words += ["--set", "test.dataset=" + ("flat" if name == "flat" else "signals")]
            told = self.succeeds("finetune", self.path("classify.toml"), "--from",
                                 self.path(f"{name}1"), "--run", self.path(name + "task"), *words)
            self.assertIn('windows of one series are both learned from and held out: set '
                          'task.held_out = "group"', told.stdout)
            result = json.loads((self.path(name + "task") / "result.json").read_text())
            self.assertGreater(result["accuracy"], 0.5)
        first = found["rows", 1]
        self.assertEqual(len(first), 96)
        for other in found.values():
            self.assertLess(numpy.abs(first - other).max(), 1e-4 * numpy.abs(first).max())

    def write_padded(self, samples, outside=0.0):
        """Samples of 5 to 80 positions, one behind the other, and rows that are of none."""
        random = numpy.random.default_rng(5)
        lengths = random.integers(5, 81, samples)
        starts = 3 + numpy.concatenate([[0], numpy.cumsum(lengths)])
        rows = random.normal(size=(starts[-1] + 9, 2)).astype("f4")
        rows[:3], rows[starts[-1]:] = outside, outside
        label = numpy.arange(samples) % 4
        for i in range(samples):
            time = numpy.arange(lengths[i])[:, None] / 64
            rows[starts[i]:starts[i + 1]] *= 0.2
            rows[starts[i]:starts[i + 1]] += numpy.sin(2 * numpy.pi * (1 + 3 * label[i]) * time)
        with h5py.File(self.path("data.h5"), "w") as data:
            data.create_dataset("signals", data=rows, chunks=(100, 2), compression=1)
            data["starts"] = starts
            data["labels"] = label
        return numpy.minimum(lengths, 64)

    PADDED = ["--set", "data.offsets=starts", "--set", "data.length=64"]

    def test_signals_of_several_lengths_on_one_rank_and_three(self):
        self.write(SIGNALS)
        exact = "--set", "train.device=reference", "--set", "train.precision=auto"
        found = {}
        for ranks, outside in ((1, 0), (3, 0), (2, 1e30)):
            lengths = self.write_padded(96, outside)
            run, out = self.path(f"run{ranks}"), self.path(f"z{ranks}.h5")
            self.succeeds("pretrain", self.path("a.toml"), *self.PADDED, *exact, "--run", run,
                          ranks=ranks)
            self.succeeds("embed", run, "--data", self.path("data.h5"), "--out", out, ranks=ranks)
            with h5py.File(out) as file:
                found[ranks] = file["z"][:]
                self.assertTrue((numpy.minimum(file["at"][:, 1], 64) == lengths).all())
        for other in (found[3], found[2]):
            self.assertLess(numpy.abs(found[1] - other).max(), 1e-6 * numpy.abs(found[1]).max())
        self.write_padded(96)
        self.succeeds("finetune", self.path("classify.toml"), "--from", self.path("run1"), "--run",
                      self.path("whole"), *self.PADDED, *exact)
        result = json.loads((self.path("whole") / "result.json").read_text())
        self.assertGreater(result["accuracy"], 0.5)
        refused = self.lacuna("pretrain", self.path("a.toml"), "--run", self.path("r"),
                              *self.PADDED, "--set", "augment.size=32")
        self.assertIn("augment.size = 32 stretches views to one size", refused.complaint())

    def test_offsets_that_are_true_or_false_are_refused(self):
        self.write(SIGNALS)
        self.write_padded(8)
        with h5py.File(self.path("data.h5"), "a") as data:
            data["flags"] = numpy.array([False, True, True])
        for more in (), ("--set", "data.hop=8"):
            result = self.lacuna("pretrain", self.path("a.toml"), *self.PADDED, *more, "--set",
                                 "data.offsets=flags")
            self.assertEqual(result.status, 2, result)
            self.assertIn("has the shape [3] and is true or false",
                          result.complaint())

    def test_a_batch_of_empty_samples_leaves_weights_numbers(self):
        self.write(SIGNALS)
        lengths = numpy.array([0, 1, 2, 0] * 4)
        starts = numpy.concatenate([[0], numpy.cumsum(lengths)])
        with h5py.File(self.path("data.h5"), "w") as data:
            data["signals"] = numpy.random.default_rng(1).normal(size=(starts[-1], 2)).astype("f4")
            data["starts"], data["labels"] = starts, numpy.arange(16) % 4
        text = self.path("a.toml").read_text().replace("hidden = 16\nprojection = 8\n", "")
        self.path("a.toml").write_text(text)
        self.succeeds("pretrain", self.path("a.toml"), *self.PADDED, "--set", "train.batch=2",
                      "--set", "objective.name=inpaint", "--set", "train.statistics=local",
                      "--set", "train.max_steps=8", "--run", self.path("run"), ranks=2)
        for values in support.checkpoint_tensors(
                support.checkpoint_folder(self.path("run"), 8)).values():
            self.assertTrue(numpy.isfinite(values).all())

    def test_check_counts_empty_samples_and_compares_shorter_ones(self):
        self.write(SIGNALS)
        random = numpy.random.default_rng(3)
        lengths = numpy.array([40, 64, 40, 0, 3, 50, 0, 64, 44, 3])
        starts = numpy.concatenate([[0], numpy.cumsum(lengths)])
        rows = random.normal(size=(starts[-1], 2)).astype("f4")
        rows[starts[2]:starts[3]] = 2 * rows[:40] + 1e-3  # as the first, with other contrast
        with h5py.File(self.path("data.h5"), "w") as data:
            data["signals"], data["starts"] = rows, starts
            data["labels"] = numpy.arange(10) % 4
        result = self.succeeds("check", self.path("a.toml"), *self.PADDED, "--set",
                               "train.batch=5")
        self.assertRegex(result.stdout,
                         r"samples like another +2, 33 %; 2 too short to be compared")
        self.assertIn("2 of 10 samples are empty", result.stdout)
        self.assertIn("their pooled output is 0", result.stdout)
        self.assertRegex(result.stdout, r"samples equal to another +none")

    def test_a_dense_output_of_several_lengths_killed_and_continued(self):
        """The mean over a sample's positions is its pooled representation."""
        self.write(SIGNALS)
        samples = 1200
        lengths = self.write_padded(samples)
        run = self.path("run")
        self.succeeds("pretrain", self.path("a.toml"), *self.PADDED, "--run", run)
        embed = ["embed", run, "--data", self.path("data.h5"), "--out"]
        dense = ["--output", "encoder.map", "--set", "log.interval=0", "--set",
                 "train.checkpoint_minutes=1e-9"]
        self.succeeds(*embed, "pooled.h5")
        self.assertIn("wrote dense.h5: 1200 x up to 8 x 32 representations",
                      self.succeeds(*embed, "dense.h5", *dense).stdout)
        with h5py.File(self.path("pooled.h5")) as file:
            pooled = file["z"][:]
        with h5py.File(self.path("dense.h5")) as file:
            offsets, z = file["offsets"][:], file["z"][:]
            self.assertEqual(file.attrs["format_version"], 2)
        positions = -(-lengths // 8)
        self.assertEqual(offsets.tolist(), [0, *numpy.cumsum(positions)])
        means = numpy.add.reduceat(z, offsets[:-1], axis=0) / positions[:, None]
        self.assertLess(numpy.abs(means - pooled).max(), 1e-5 * numpy.abs(pooled).max())
        halted = "embedded 1024 of 1200"
        program = self.halted(halted, *embed, "again.h5", *dense, ranks=2)
        program.wait_for(halted)
        program.kill()
        self.assertTrue(self.path("again.h5.partial").exists())
        self.assertIn("after 1024 of 1200", self.succeeds(*embed, "again.h5", *dense).stdout)
        with h5py.File(self.path("again.h5")) as file:
            self.assertEqual(file["offsets"][:].tolist(), offsets.tolist())
            self.assertLess(numpy.abs(file["z"][:] - z).max(), 1e-5 * numpy.abs(z).max())

    def test_vectors_on_one_rank_and_three(self):
        self.check_all(TABLE)
        self.assertGreater(self.accuracy("corrupt", "--set", "augment.corrupt=[0.9]"), 0)

    def test_every_stage_says_in_its_first_lines_how_a_sample_is_read(self):
        for of, said in (
                (IMAGES, "96 samples of 8 x 8 pixels, 1 channel, uint8, 0 to 255 as 0 to 1"),
                (SIGNALS, "96 samples of 64 positions, 2 channels (first), float32, values as they "
                          "are"),
                (TABLE, "96 samples of 12 features, float64, values as they are")):
            kind, line = of["kind"], f"{said} ({of['dataset']})"
            self.path(kind).mkdir()
            self.write(of, kind)
            data, run, tuned = (self.path(kind) / name for name in ("data.h5", "run", "tuned"))
            for ranks, times, words in (
                    (3, 1, ("pretrain", self.path(kind) / "a.toml", "--run", run)),
                    (None, 1, ("embed", run, "--data", data, "--out", self.path(kind) / "z.h5")),
                    (None, 2, ("finetune", self.path(kind) / "classify.toml", "--from", run,
                               "--run", tuned)),
                    (None, 1, ("predict", tuned, "--data", data, "--out",
                               self.path(kind) / "p.h5"))):
                lines = self.succeeds(*words, ranks=ranks).stdout.splitlines()
                self.assertEqual(lines[:times + 1].count(line), times, lines)
                self.assertEqual(lines.count(line), times)

    def test_what_a_run_found_in_its_data_is_how_others_are_read(self):
        self.write(IMAGES)
        with h5py.File(self.path("data.h5"), "a") as file:
            file["bright"] = file["images"][:].astype("f4") / 2 + 3
        self.succeeds("pretrain", self.path("a.toml"), "--run", self.path("run1"), "--set",
                      "data.dataset=bright", "--set", "data.percentiles=[0, 100]")
        with h5py.File(self.path("data.h5"), "a") as file:
            file["bright"][:4] = 1000
        told = self.succeeds("embed", self.path("run1"), "--data", self.path("data.h5"), "--out",
                             self.path("z.h5"))
        self.assertIn("96 samples of 8 x 8 pixels, 1 channel, float32, 3 to 130.5 as 0 to 1 "
                      "(bright)", told.stdout)

    PAIRS = """[data]
files = "data.h5"
kind = "signal"
dataset = "signals"
label = "labels"
[part.paired.data]
kind = "vector"
dataset = "table"
[part.paired.encoder]
name = "mlp"
width = 16
[objective]
name = "clip"
projection = 8
[encoder]
width = 4
[train]
device = "reference"
batch = 24
max_steps = 6
checkpoint_steps = 2
threads = 1
[log]
interval = 0
"""

    def embed_part(self, run, output, out, *words, data="data.h5"):
        self.succeeds("embed", run, "--data", self.path(data), "--out", self.path(out), "--output",
                      output, *words)
        with h5py.File(self.path(out)) as file:
            return file["z"][:], dict(file.attrs)

    def test_a_signal_and_its_row_of_a_table(self):
        """Samples of two parts: on one rank and three, killed and continued; either part is
        embedded by itself, of files that hold it alone."""
        self.write(SIGNALS)
        self.path("a.toml").write_text(self.PAIRS)
        pretrain = "pretrain", self.path("a.toml"), "--run"
        checked = self.succeeds("check", self.path("a.toml")).stdout
        self.assertIn("part paired: 12 features, float64, values as they are (table)", checked)
        told = self.succeeds(*pretrain, self.path("one")).stdout
        self.assertIn("96 samples of 64 positions, 2 channels (first), float32, values as they are "
                      "(signals)", told)
        self.assertIn('their part "paired": 12 features, float64, values as they are (table)', told)
        program = self.halted("step 3 of 6", *pretrain, self.path("three"), ranks=3)
        program.wait_for("step 3 of 6",
                         also=lambda: 2 in support.checkpoints(self.path("three")))
        program.kill()
        self.assertIn("continuing", self.succeeds(*pretrain, self.path("three"), ranks=3).stdout)
        embedded = {}
        for run in "one", "three":
            for output, sizes in (("encoder", 32), ("projector", 8), ("paired.encoder", 16),
                                  ("paired.projector", 8)):
                z, attributes = self.embed_part(self.path(run), output, f"{run}-{output}.h5")
                self.assertEqual(z.shape, (96, sizes))
                self.assertEqual(attributes["dataset"],
                                 "table" if output.startswith("paired") else "signals")
                embedded[run, output] = z
        for output in ("encoder", "paired.encoder"):
            one, three = embedded["one", output], embedded["three", output]
            self.assertLess(numpy.abs(one - three).max(), 1e-6 * numpy.abs(one).max())
        for part, output in (("signals", "encoder"), ("table", "paired.encoder")):
            with h5py.File(self.path("data.h5")) as file, \
                    h5py.File(self.path("alone.h5"), "w") as alone:
                alone[part] = file[part][:]
            z, _ = self.embed_part(self.path("one"), output, f"alone-{part}.h5", "--set",
                                   "data.label=", data="alone.h5")
            self.assertTrue((z == embedded["one", output]).all())
        task = self.path("classify.toml").read_text()
        self.path("classify.toml").write_text(
            task.replace("steps = 40\nrates = [0.02]\n", "").replace('"classify"', '"knn"')
            .replace('precision = "f32"', 'device = "reference"'))
        self.succeeds("finetune", self.path("classify.toml"), "--from", self.path("one"), "--run",
                      self.path("task"))
        self.succeeds("predict", self.path("task"), "--data", self.path("data.h5"), "--out",
                      self.path("p.h5"))

    def test_parts_that_do_not_fit_are_refused(self):
        self.write(SIGNALS)
        with h5py.File(self.path("data.h5"), "a") as file:
            file["fewer"] = file["table"][:-1]
            file["scaled"] = file["table"][:]
            file["scaled"].attrs["scale_factor"] = 0.5
        self.path("a.toml").write_text(self.PAIRS)
        for setting, said in (
                ("part.paired.data.dataset=none", "no dataset"),
                ("part.paired.data.dataset=fewer", "95"),
                ("part.paired.data.dataset=scaled", "[part.paired]: /scaled in"),
                ("part.paired.data.kind=image", "[part.paired]: samples of /table have the shape "
                 "[12]"),
                ("part.paired.augment.flip=1", "part.paired.augment.flip is a key of image, not of "
                 "vector"),
                ("part.paired.data.length=3", "no key part.paired.data.length"),
                ("objective.name=simclr", "part.paired.data.dataset is a key of clip, not of "
                 "simclr")):
            for ranks in (None, 3):
                result = self.lacuna("pretrain", self.path("a.toml"), "--run", self.path("no"),
                                     "--set", setting, ranks=ranks)
                self.assertEqual(result.status, 2, result)
                self.assertIn(said, result.stderr)
                self.assertFalse(self.path("no").exists())

    def test_another_kind_than_the_runs_is_refused(self):
        self.write(TABLE)
        self.succeeds("pretrain", self.path("a.toml"), "--run", self.path("run1"))
        result = self.lacuna("finetune", self.path("classify.toml"), "--from", self.path("run1"),
                             "--set", "data.kind=signal")
        self.assertEqual(result.status, 2, result)
        self.assertIn('was trained on "vector"', result.complaint())

    def test_targets_and_samples_of_other_shapes_are_refused(self):
        self.write(SIGNALS)
        with h5py.File(self.path("data.h5"), "a") as data:
            data["pairs"] = numpy.zeros((96, 2), "f4")
            data["short"] = data["signals"][:, :, :40]
        self.succeeds("pretrain", self.path("a.toml"), "--run", self.path("run1"))
        task = ("finetune", self.path("classify.toml"), "--from", self.path("run1"), "--run")
        probe = [word for setting in ("task.name=linear", "task.features=pixels")
                 for word in ("--set", setting)]
        text = self.path("classify.toml").read_text()
        self.path("classify.toml").write_text(
            text.replace("steps = 40\nrates = [0.02]\n", ""))
        for ranks in (None, 3):
            for setting, said in (("data.label=pairs", "no training sample has a class in pairs"),
                                  ("test.dataset=short", "test samples are read as [40, 2]")):
                result = self.lacuna(*task, self.path("no"), *probe, "--set", setting, ranks=ranks)
                self.assertEqual(result.status, 2, result)
                self.assertIn(said, result.complaint())
        self.succeeds(*task, self.path("probe"), *probe)
        predict = ("predict", self.path("probe"), "--data", self.path("data.h5"), "--out",
                   self.path("p.h5"), "--set")
        for setting, said in (("data.dataset=short", "fitted to samples of 128 values"),
                              ("task.name=classify", "task.name is of the model")):
            result = self.lacuna(*predict, setting)
            self.assertEqual(result.status, 2, result)
            self.assertIn(said, result.complaint())
            self.assertFalse(self.path("p.h5").exists())

    def test_what_a_kind_of_data_has_not_is_refused(self):
        self.write(SIGNALS)
        text = self.path("a.toml").read_text()
        self.path("a.toml").write_text(text.replace("hidden = 16\nprojection = 8\n", ""))
        for setting, said in (("objective.name=rotation", 'works on data.kind = "image"'),
                              ("encoder.name=mlp", "takes vectors"),
                              ("augment.flip=0.5", "augment.flip is a key of image"),
                              ("data.dataset=images", "data.channels")):
            result = self.lacuna("pretrain", self.path("a.toml"), "--run", self.path("no"), "--set",
                                 setting)
            self.assertEqual(result.status, 2, result)
            self.assertIn(said, result.complaint())
            self.assertFalse(self.path("no").exists())
