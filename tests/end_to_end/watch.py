"""Representations that pretrain writes on its way: the training is the same with and without, on
any number of ranks, and a restart writes each file once."""

import pathlib

import h5py
import numpy

import continues
import support

CTEST_TIMEOUT = 600

SAMPLES, EPOCHS = continues.SAMPLES, continues.EPOCHS
WATCHED = 20


def written(run):
    return sorted(file.name for file in (pathlib.Path(run) / "representations").glob("*"))


class Watch(continues.ContinuesTest):
    watch = ["--set", "watch.every=1", "--set", f"watch.samples={WATCHED}",
             "--set", "watch.label=labels"]

    def arguments(self, objective, run, watch=True):
        return super().arguments(objective, run) + (self.watch if watch else [])

    def test_the_training_is_the_same_with_and_without(self):
        for ranks in (None, 2):
            self.succeeds(*self.arguments("byol", f"with-{ranks}"), ranks=ranks)
            self.succeeds(*self.arguments("byol", f"without-{ranks}", watch=False), ranks=ranks)
            self.assertEqual(
                self.differences(self.path(f"with-{ranks}"), self.path(f"without-{ranks}")), [])
            self.assertFalse(self.path(f"without-{ranks}/representations").exists())
        names = [f"epoch-{epoch:06d}.h5" for epoch in range(EPOCHS + 1)]
        for ranks in (None, 2):
            run = self.path(f"with-{ranks}")
            self.assertEqual(written(run), names)
            values = [h5py.File(run / "representations" / name)["z"][:] for name in names]
            for before, after in zip(values, values[1:]):
                self.assertTrue((before != after).any())
            # The last one is what embed writes of the finished run on one rank.
            self.succeeds("embed", run, "--data", "data.h5", "--out", f"z-{ranks}.h5")
            with h5py.File(self.path(f"z-{ranks}.h5")) as z, \
                    h5py.File(run / "representations" / names[-1]) as last:
                rows = last["row"][:]
                self.assertEqual(last["z"].shape, (WATCHED, 32))
                self.assertTrue((numpy.diff(rows) > 0).all())
                self.assertEqual(list(last["label"]), list(rows % 4))
                self.assertEqual(list(last["file"]), [0] * WATCHED)
                difference = numpy.abs(z["z"][:][rows] - last["z"][:]).max()
                self.assertLess(difference, 1e-5 * numpy.abs(last["z"][:]).max())
                # What embed knows its own file by is no attribute of one that pretrain writes.
                self.assertEqual(sorted(z.attrs), sorted([*last.attrs, "identity"]))
                for name in ("step", "weights", "layer", "dataset", "code_version", "format"):
                    self.assertEqual(z.attrs[name], last.attrs[name], name)
        # Before the first step one rank and two have the same weights.
        one, two = (h5py.File(self.path(f"with-{ranks}") / "representations" / names[0])
                    for ranks in (None, 2))
        for column in ("files", "file", "row", "label"):
            self.assertEqual(list(one[column]), list(two[column]))
        self.assertLess(
            numpy.abs(one["z"][:] - two["z"][:]).max(), 1e-5 * numpy.abs(one["z"][:]).max())

    def test_a_restart_writes_each_once(self):
        self.succeeds(*self.arguments("simclr", "whole"))
        whole = self.path("whole")
        run = self.killed("simclr", "run", continues.MID_EPOCH, None)
        self.assertEqual(written(run), ["epoch-000000.h5", "epoch-000001.h5"])
        folder = run / "representations"
        kept = {name: (folder / name).stat().st_mtime_ns for name in written(run)}
        # Behind the checkpoint: of a future that this run will not have.
        (folder / "epoch-000002.h5").write_text("of a lost future")
        (folder / "mine.h5").write_text("of the user")
        # Execution keys may differ.
        self.succeeds(*self.arguments("simclr", run), "--set", "watch.samples=1000")
        self.assertEqual(self.differences(run, whole), [])
        self.assertEqual(written(run), written(whole) + ["mine.h5"])
        for name, time in kept.items():
            self.assertEqual((folder / name).stat().st_mtime_ns, time)
        for name in written(whole):
            with (h5py.File(folder / name) as ours,
                  h5py.File(whole / "representations" / name) as theirs):
                rows = slice(None) if name in kept else theirs["row"][:]
                self.assertLess(numpy.abs(ours["z"][:][rows] - theirs["z"][:]).max(),
                                1e-5 * numpy.abs(theirs["z"][:]).max())

    def test_other_data_are_watched(self):
        support.write_images(self.path("test.h5"), samples=9, size=(16, 16), dataset="test/images",
                             labels="test/labels")
        watch = [
            "--set", f"watch.files={self.path('test.h5')}", "--set", "watch.dataset=test/images",
            "--set", "watch.every=2", "--set", "train.max_steps=11"]
        self.succeeds(*self.arguments("simclr", "run", watch=False), *watch)
        self.assertEqual(written(self.path("run")), ["epoch-000000.h5", "epoch-000002.h5"])
        with h5py.File(self.path("run/representations/epoch-000002.h5")) as z:
            self.assertEqual(z["z"].shape, (9, 32))
            self.assertNotIn("label", z)
            self.assertEqual(z.attrs["dataset"], "test/images")

    def test_watched_samples_of_another_shape_are_refused(self):
        support.write_images(self.path("test.h5"), samples=9, size=(12, 16))
        result = self.lacuna(*self.arguments("simclr", "run", watch=False), "--set",
                             "watch.every=1", "--set", f"watch.files={self.path('test.h5')}")
        self.assertEqual(result.status, 2, result)
        self.assertIn("[12, 16, 1]", result.complaint())
        self.assertFalse(self.path("run").exists())
