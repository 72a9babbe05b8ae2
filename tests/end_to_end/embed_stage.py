"""embed: representations that join back to the user's rows, on any number of ranks."""

import h5py
import numpy

import support


class EmbedStage(support.EndToEndTest):
    def prepare(self):
        """A run, and data in two files with columns of the user's own."""
        for number, samples in ((1, 40), (2, 25)):
            file = self.path(f"part{number}.h5")
            support.write_images(file, samples=samples, chunk=8, seed=number)
            with h5py.File(file, "a") as data:
                data["id"] = [f"file {number} row {row}" for row in range(samples)]
                data["meta/energy"] = numpy.arange(samples, dtype="f8") + 1000 * number
        support.write_experiment(self.path("a.toml"), data="part*.h5", more="max_steps = 2\n")
        self.succeeds("pretrain", self.path("a.toml"), "--run", self.path("run"))

    def embed(self, out, *words, ranks=None):
        arguments = ("embed", self.path("run"), "--data", self.path("part*.h5"), "--out",
                     self.path(out))
        return self.lacuna(*arguments, *words, ranks=ranks)

    def test_rows_columns_and_ranks(self):
        self.prepare()
        settings = ("--set", 'embed.copy=["id", "meta/energy"]', "data.label=labels")
        for out, ranks in (("one.h5", None), ("two.h5", 2)):
            result = self.embed(out, *settings, ranks=ranks)
            self.assertEqual(result.status, 0, result)
        with h5py.File(self.path("one.h5")) as one, h5py.File(self.path("two.h5")) as two:
            self.assertEqual(one["z"].shape, (65, 32))
            difference = numpy.abs(one["z"][:] - two["z"][:]).max()
            self.assertLess(difference, 1e-5 * numpy.abs(one["z"][:]).max())
            self.assertEqual(len({tuple(row) for row in one["z"][:]}), 65)
            for row in (0, 39, 40, 64):
                file, place = one["file"][row] + 1, one["row"][row]
                self.assertTrue(one["files"].asstr()[one["file"][row]].endswith(f"part{file}.h5"))
                self.assertEqual(one["copied/id"].asstr()[row], f"file {file} row {place}")
                self.assertEqual(one["copied/meta/energy"][row], 1000 * file + place)
                self.assertEqual(one["label"][row], place % 4)

    def test_columns_of_series_are_copied_to_their_samples(self):
        images = support.write_images(self.path("data.h5"), samples=24)
        support.write_experiment(self.path("a.toml"), data="data.h5", more="max_steps = 2\n")
        with h5py.File(self.path("data.h5"), "a") as data:
            data["steps"] = images.reshape(6, 4, 8, 8)
            data["name"] = [f"series {i}" for i in range(6)]
            data["time"] = numpy.arange(24.0).reshape(6, 4)
            data["place"] = numpy.arange(48).reshape(6, 4, 2)
            table = numpy.zeros(6, [("id", "i4"), ("text", "S5"), ("pair", "f4", 2)])
            table["id"], table["text"] = numpy.arange(6) + 70, b"abc"
            table["pair"] = numpy.arange(12).reshape(6, 2)
            data["table"] = table
        names = ["name", "time", "place", "table/id", "table/text", "table/pair"]
        self.succeeds("pretrain", "a.toml", "--run", "run", "--set", "data.dataset=steps", "--set",
                      "data.leading=2")
        self.succeeds("embed", "run", "--data", "data.h5", "--out", "z.h5", "--set",
                      "embed.copy=" + str(names).replace("'", '"'))
        series = numpy.arange(24) // 4
        with h5py.File(self.path("z.h5")) as file:
            copied = file["copied"]
            self.assertEqual(list(copied["name"].asstr()), [f"series {i}" for i in series])
            self.assertEqual(copied["time"][:].tolist(), list(range(24)))
            self.assertEqual(copied["place"][:].tolist(), numpy.arange(48).reshape(24, 2).tolist())
            self.assertEqual(copied["table/id"][:].tolist(), (series + 70).tolist())
            self.assertEqual(set(copied["table/text"]), {b"abc"})
            self.assertEqual(copied["table/pair"][:].tolist(),
                             numpy.arange(12).reshape(6, 2)[series].tolist())

    def test_a_column_of_another_length_is_refused(self):
        self.prepare()
        with h5py.File(self.path("part2.h5"), "a") as data:
            data["short"] = [1, 2, 3]
        with h5py.File(self.path("part1.h5"), "a") as data:
            data["short"] = numpy.arange(40)
        result = self.embed("z.h5", "--set", "embed.copy=short")
        self.assertEqual(result.status, 2, result)
        self.assertIn("short has 3 rows", result.complaint())
        self.assertFalse(self.path("z.h5").exists())

    def test_what_is_done_is_not_done_again(self):
        self.prepare()
        self.assertEqual(self.embed("z.h5").status, 0)
        written = self.path("z.h5").read_bytes()
        for ranks in (None, 2):
            result = self.embed("z.h5", ranks=ranks)
            self.assertEqual(result.status, 0, result)
            self.assertIn("z.h5 is finished: 65 x 32 representations", result.stdout)
        self.assertEqual(self.path("z.h5").read_bytes(), written)
        self.assertEqual([path.name for path in self.folder.glob("z.h5*")], ["z.h5"])

    def test_a_dense_output_has_its_positions_and_pools_to_the_features(self):
        self.prepare()
        self.assertEqual(self.embed("z.h5").status, 0)
        for out, ranks in (("one.h5", None), ("three.h5", 3)):
            self.assertEqual(self.embed(out, "--output", "encoder.map", ranks=ranks).status, 0)
        with h5py.File(self.path("z.h5")) as z, h5py.File(self.path("one.h5")) as one, \
                h5py.File(self.path("three.h5")) as three:
            self.assertEqual(one.attrs["format_version"], 2)
            self.assertEqual(one["z"].attrs["axes"], "sample, row, column, feature")
            self.assertEqual(one["z"].shape, (65, 1, 1, 32))
            largest = numpy.abs(z["z"][:]).max()
            for dense in (one, three):
                pooled = dense["z"][:].mean(axis=(1, 2))
                self.assertLess(numpy.abs(pooled - z["z"][:]).max(), 1e-5 * largest)

    def test_an_existing_output_is_kept(self):
        self.prepare()
        self.assertEqual(self.embed("z.h5").status, 0)
        result = self.embed("z.h5", "--output", "projector")
        self.assertEqual(result.status, 2, result)
        self.assertIn("z.h5", result.complaint())


class EmbedContinues(support.EndToEndTest):
    """An embed that was killed goes on after what it has written, and ends in the same file."""

    SAMPLES = 2000  # four batches
    HALTED = "embedded 1024 of 2000"
    every_batch = ["--set", "train.checkpoint_minutes=1e-9", "--set", "log.interval=0"]

    def setUp(self):
        super().setUp()
        support.write_images(self.path("data.h5"), samples=self.SAMPLES, chunk=100)
        support.write_experiment(self.path("a.toml"), more="max_steps = 2\n")
        self.succeeds("pretrain", "a.toml", "--run", "run")

    def arguments(self, out, run="run"):
        return ["embed", run, "--data", "data.h5", "--out", out, "--set", "data.label=labels",
                "--set", "embed.copy=labels", *self.every_batch]

    def killed(self, out, ranks=None):
        program = self.halted(self.HALTED, *self.arguments(out), ranks=ranks)
        program.wait_for(self.HALTED)
        program.kill()
        self.assertFalse(self.path(out).exists())
        self.assertTrue(self.path(out + ".partial").exists())

    def names(self):
        return sorted(path.name for path in self.folder.glob("*.h5*"))

    def test_bit_for_bit(self):
        self.succeeds(*self.arguments("whole.h5"))
        self.succeeds(*self.arguments("whole2.h5"), ranks=2)
        for ranks, out in ((None, "z.h5"), (2, "z2.h5")):
            self.killed(out, ranks)
            # What was written is not computed again: a mark in it stays.
            first = support.exchange_first(self.path(out + ".partial"), b"mark")
            result = self.succeeds(*self.arguments(out), ranks=ranks)
            self.assertIn("after 1024 of 2000 samples", result.stdout)
            self.assertNotIn("embedded 512 of", result.stdout)
            self.assertEqual(support.exchange_first(self.path(out), first), b"mark")
            whole = self.path("whole.h5" if ranks is None else "whole2.h5")
            self.assertEqual(self.path(out).read_bytes(), whole.read_bytes())
        self.assertEqual(self.names(), ["data.h5", "whole.h5", "whole2.h5", "z.h5", "z2.h5"])

    def test_with_other_times_of_saving_and_telling(self):
        self.succeeds(*self.arguments("whole.h5"))
        self.killed("z.h5")
        times = [word for setting in ("train.checkpoint_minutes=30", "log.interval=7",
                                      'train.stop_signals=["USR1"]')
                 for word in ("--set", setting)]
        result = self.succeeds(*self.arguments("z.h5"), *times)
        self.assertIn("after 1024 of 2000 samples", result.stdout)
        self.assertEqual(self.path("z.h5").read_bytes(), self.path("whole.h5").read_bytes())
        self.assertIn("is finished", self.succeeds(*self.arguments("z.h5")).stdout)
        result = self.lacuna(*self.arguments("z.h5"), "--set", "seed=7")
        self.assertIn("z.h5 exists", result.complaint())

    def test_on_another_number_of_ranks(self):
        self.succeeds(*self.arguments("whole.h5"))
        for before, after in ((None, 2), (2, None)):
            out = f"z{before}.h5"
            self.killed(out, before)
            result = self.succeeds(*self.arguments(out), ranks=after)
            self.assertIn("equal within rounding", result.stdout)
            with h5py.File(self.path(out)) as ours, h5py.File(self.path("whole.h5")) as whole:
                for column in ("row", "label", "copied/labels"):
                    self.assertEqual(list(ours[column]), list(whole[column]))
                self.assertLess(numpy.abs(ours["z"][:] - whole["z"][:]).max(),
                                1e-5 * numpy.abs(whole["z"][:]).max())

    def test_what_is_of_other_data_or_another_checkpoint_is_not_mixed(self):
        self.succeeds(*self.arguments("whole.h5"))
        self.killed("z.h5")
        left = {end: self.path("z.h5" + end).read_bytes() for end in (".partial", ".progress")}

        def same_weights_not():
            self.path("run").rename(self.path("first"))
            self.succeeds("pretrain", "a.toml", "--run", "run", "--init-from", "first")

        def same_data_not():
            with h5py.File(self.path("data.h5"), "r+") as file:
                file["images"][0] = 255 - file["images"][0]

        for change in (same_data_not, same_weights_not):
            with self.subTest(change.__name__):
                for end, content in left.items():
                    self.path("z.h5" + end).write_bytes(content)
                change()
                result = self.succeeds(*self.arguments("z.h5"))
                self.assertIn("starting anew", result.stdout)
                self.assertNotIn("continuing", result.stdout)
                self.succeeds(*self.arguments("again.h5"))
                self.assertEqual(self.path("z.h5").read_bytes(), self.path("again.h5").read_bytes())
                self.assertNotEqual(
                    self.path("z.h5").read_bytes(),
                    self.path("whole.h5").read_bytes())
                for name in ("z.h5", "again.h5"):
                    self.path(name).unlink()
                self.assertFalse(self.path("z.h5.progress").exists())
