"""train.instruction_set: every kernel of every rank at most at that level, and the run says so."""

import json

import h5py
import numpy

import support

NAMES = {"baseline": "baseline", "avx2": "AVX2"}


class InstructionSet(support.EndToEndTest):
    def pretrain(self, run, *settings):
        result = self.succeeds("pretrain", "x.toml", "--run", run, "--set", "train.max_steps=3",
                               "train.precision=f32", *settings, ranks=2)
        losses = [json.loads(line)["loss"]
                  for line in self.path(f"{run}/metrics.jsonl").read_text().splitlines()]
        (step,) = support.checkpoints(self.path(run))[-1:]
        with h5py.File(support.checkpoint_folder(self.path(run), step) / "checkpoint.h5") as file:
            stored = file.attrs["instruction_set"]
        return result.stdout, losses, stored if isinstance(stored, str) else stored.decode()

    def setUp(self):
        super().setUp()
        support.write_images(self.path("data.h5"), samples=64, size=(16, 16))
        support.write_experiment(self.path("x.toml"))

    def test_lower_levels_agree_with_the_processor_s_own(self):
        _, reference, own = self.pretrain("own")
        differs = False
        for level, name in NAMES.items():
            said, losses, stored = self.pretrain(level, f"train.instruction_set={level}")
            self.assertIn(f"{name}, float32 activations", said)
            self.assertEqual(stored, name)
            numpy.testing.assert_allclose(losses[0], reference[0], rtol=1e-4)
            differs = differs or (losses != reference and stored != own)
        # Sums in another order show that other kernels ran, where the processor has more than AVX2.
        self.assertTrue(differs or own in NAMES.values(), "no level changed a bit")

    def test_more_than_there_is_gets_one_sentence(self):
        limited = ["pretrain", "x.toml", "--run", "run", "--set", "train.precision=bf16",
                   "train.instruction_set=avx2"]
        result = self.lacuna(*limited, ranks=2, timeout=20)
        self.assertEqual(result.status, 2, result)
        self.assertIn("needs AVX-512", result.complaint())
        self.assertIn("AVX2", result.complaint())
        self.assertFalse(self.path("run").exists())

    def test_float16_is_for_gpus(self):
        result = self.lacuna("pretrain", "x.toml", "--run", "run", "--set", "train.precision=f16",
                             "train.device=cpu", timeout=20)
        self.assertEqual(result.status, 2, result)
        self.assertIn("asks for float16, which only GPUs compute with", result.complaint())
        self.assertFalse(self.path("run").exists())
