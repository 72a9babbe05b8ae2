"""A vision transformer through the whole program: it needs no case of its own in any stage."""

import shutil

import h5py
import numpy

import continues
import support


class VisionTransformer(support.EndToEndTest):
    def setUp(self):
        super().setUp()
        support.write_images(self.path("data.h5"), samples=80, size=(16, 24), channels=2, chunk=8)
        support.write_experiment(self.path("a.toml"))
        text = self.path("a.toml").read_text().replace(
            "width = 4", 'name = "vit_tiny"\npatch = 8\ndepth = 2\ndrop_path = 0.2')
        self.path("a.toml").write_text(text)

    def test_pretrain_embed_and_finetune(self):
        self.succeeds("pretrain", "a.toml", "--run", "run", ranks=2)
        self.succeeds("embed", "run", "--data", "data.h5", "--out", "z.h5", ranks=2)
        self.succeeds("embed", "run", "--data", "data.h5", "--out", "alone.h5")
        with h5py.File(self.path("z.h5")) as two, h5py.File(self.path("alone.h5")) as one:
            self.assertEqual(one["z"].shape, (80, 192))
            self.assertLess(numpy.abs(one["z"][:] - two["z"][:]).max(), 1e-4)
            self.assertEqual(len({tuple(row) for row in one["z"][:]}), 80)
        support.write_task(self.path("probe.toml"), "classify",
                           "labels = 1.0\ndraws = 1\nsteps = 4\nrates = [1e-3, 1e-2]")
        self.succeeds("finetune", "probe.toml", "--from", "run", "--run", "probe", ranks=2)
        names = support.checkpoint_tensors(support.checkpoint_folder(self.path("run"), 20))
        self.assertEqual(names["encoder.pos_embed"].shape, (1, 7, 192))
        self.assertEqual(names["encoder.blocks.1.attn.qkv.weight"].shape, (576, 192))

    def goes_on(self, run, older):
        """What a run says that goes on from step 10; `older`: whose checkpoint lacks the
        attribute."""
        folder = support.checkpoint_folder(self.path(run), 10)
        shutil.rmtree(support.checkpoint_folder(self.path(run), 20))
        if older:
            for file in ("part-000.h5", "checkpoint.h5"):
                with h5py.File(folder / file, "r+") as stored:
                    self.assertEqual(stored.attrs["layer_draws"], "by sample")
                    del stored.attrs["layer_draws"]
            continues.seal(folder)
        said = self.succeeds("pretrain", "a.toml", "--run", run).stdout
        self.assertIn("continuing", said)
        return said

    def test_a_run_of_a_version_that_drew_otherwise_goes_on_and_says_so(self):
        line = "from step 10 on, what layers draw (encoder.drop_path) follows the samples"
        often = ["--set", "train.checkpoint_steps=10"]
        self.succeeds("pretrain", "a.toml", "--run", "run", *often)
        shutil.copytree(self.path("run"), self.path("older"))
        self.assertIn(line, self.goes_on("older", older=True))
        self.assertNotIn(line, self.goes_on("run", older=False))
        text = self.path("a.toml").read_text()
        self.path("a.toml").write_text(text.replace("drop_path = 0.2", "drop_path = 0"))
        self.succeeds("pretrain", "a.toml", "--run", "without", *often)
        self.assertNotIn("what layers draw", self.goes_on("without", older=True))

    def test_patches_that_do_not_fit_are_refused(self):
        for ranks in (None, 3):
            result = self.lacuna("pretrain", "a.toml", "--run", "bad", "--set", "encoder.patch=7",
                                 ranks=ranks)
            self.assertEqual(result.status, 2, result)
            self.assertIn("encoder.patch = 7 does not divide images of 16 x 24", result.complaint())
            self.assertFalse(self.path("bad").exists())
