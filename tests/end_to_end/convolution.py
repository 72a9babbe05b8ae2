"""train.convolution: what a run is begun with it keeps, and it is for CPUs."""

import json
import pathlib
import shutil

import h5py
import numpy

import support

FAST, EXACT = "cpu device (fast convolutions)", "cpu device (exact convolutions)"


class Convolution(support.EndToEndTest):
    def setUp(self):
        super().setUp()
        support.write_images(self.path("data.h5"), samples=64, size=(16, 16))
        support.write_experiment(self.path("x.toml"))

    settings = ("train.max_steps=3", "train.checkpoint_steps=1", "train.device=cpu",
                "encoder.width=32", "train.precision=f32")

    def pretrain(self, run, *settings):
        return self.succeeds("pretrain", "x.toml", "--run", run, "--set", *self.settings,
                             *settings)

    def losses(self, run):
        return [json.loads(line)["loss"]
                for line in self.path(f"{run}/metrics.jsonl").read_text().splitlines()]

    def device(self, run):
        (step,) = support.checkpoints(self.path(run))[-1:]
        with h5py.File(support.checkpoint_folder(self.path(run), step) / "checkpoint.h5") as file:
            stored = file.attrs["device"]
        return stored if isinstance(stored, str) else stored.decode()

    def test_it_is_kept_and_changes_rounding_alone(self):
        self.pretrain("direct")
        self.assertEqual(self.device("direct"), "cpu device")
        direct = self.losses("direct")
        for name, device in {"exact": EXACT, "fast": FAST}.items():
            self.pretrain(name, f"train.convolution={name}")
            self.assertEqual(self.device(name), device)
            self.assertAlmostEqual(self.losses(name)[0] / direct[0], 1, delta=1e-4)
            self.assertNotEqual(self.losses(name), direct)
        losses = self.losses("fast")
        shutil.rmtree(support.checkpoint_folder(self.path("fast"), 3))
        other = self.lacuna("pretrain", "x.toml", "--run", "fast", "--set", *self.settings)
        self.assertEqual(other.status, 2, other)
        self.assertIn("made with another train.convolution", other.complaint())
        self.pretrain("fast", "train.convolution=fast")
        self.assertEqual(self.device("fast"), FAST)
        self.assertEqual(self.losses("fast"), losses)
        # The run's own, unless it is told otherwise.
        z = {}
        for name, settings in {
                "own": (), "direct": ("--set", "train.convolution=direct")}.items():
            self.succeeds("embed", "fast", "--data", "data.h5", "--out", f"{name}.h5", *settings)
            with h5py.File(self.path(f"{name}.h5")) as file:
                z[name] = file["z"][:]
        distance = numpy.linalg.norm(z["own"] - z["direct"]) / numpy.linalg.norm(z["direct"])
        self.assertLess(distance, 2e-5)
        self.assertGreater(distance, 0)

    def test_below_avx2_it_changes_nothing(self):
        """Nor does it bring back what train.instruction_set leaves out."""
        baseline = "train.instruction_set=baseline"
        self.pretrain("direct", baseline)
        self.pretrain("exact", baseline, "train.convolution=exact")
        self.assertEqual(self.device("exact"), "cpu device")
        self.assertEqual(self.losses("exact"), self.losses("direct"))

    def test_a_device_that_has_none_refuses_it(self):
        result = self.lacuna("pretrain", "x.toml", "--run", "run", "--set",
                             "train.device=reference", "train.convolution=fast")
        self.assertEqual(result.status, 2, result)
        self.assertIn('train.convolution is not "direct", and only CPUs have others',
                      result.complaint())
        self.assertFalse(self.path("run").exists())

    def test_it_is_said_where_it_has_no_effect(self):
        if "avx512f" not in pathlib.Path("/proc/cpuinfo").read_text():
            self.skipTest("bfloat16 on CPUs needs AVX-512")
        result = self.pretrain("run", "train.convolution=fast", "train.precision=bf16",
                               "train.max_steps=1")
        self.assertIn("train.convolution has no effect here", result.stdout)
