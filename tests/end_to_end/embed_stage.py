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
        arguments = ("embed", self.path("run"), "--data", self.path("part*.h5"), "--out", self.path(out))
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

    def test_an_existing_output_is_kept(self):
        self.prepare()
        self.assertEqual(self.embed("z.h5").status, 0)
        result = self.embed("z.h5")
        self.assertEqual(result.status, 2, result)
        self.assertIn("z.h5", result.complaint())
