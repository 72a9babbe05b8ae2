"""lacuna check: what a job will take, before it is submitted. Needs no MPI, and leaves nothing behind."""

import re

import support


def rows_of(text):
    """The table's rows: name -> value."""
    return {match[1].strip(): match[2] for match in re.finditer(r"^  (.{27}) (\S.*)$", text, re.MULTILINE)}


def bytes_of(value):
    number, unit = re.match(r"([0-9.]+) ([KMG]?i?B)", value).groups()
    return float(number) * 1024 ** ("B", "KiB", "MiB", "GiB").index(unit)


class OtherStages(support.EndToEndTest):
    def test_a_configuration_of_finetune_is_named(self):
        result = self.lacuna("check", support.SOURCE / "inputs/fashion-linear.toml")
        self.assertEqual(result.status, 2, result)
        self.assertIn("is for lacuna finetune, and check rehearses lacuna pretrain", result.complaint())


class Check(support.EndToEndTest):
    def setUp(self):
        super().setUp()
        support.write_images(self.path("data.h5"), samples=64)
        support.write_experiment(self.path("a.toml"))

    def test_a_checkpoint_takes_what_it_says(self):
        before = support.snapshot(self.folder)
        text = self.succeeds("check", "a.toml").stdout
        self.assertEqual(support.snapshot(self.folder), before)
        self.assertIn("16 steps of 8 samples, 64 samples in the data set; 1 rank with up to 8 samples\n", text)
        self.succeeds("pretrain", "a.toml", "--run", "run")
        tensors = support.checkpoint_tensors(support.checkpoint_folder(self.path("run"), 16))
        held = sum(tensor.nbytes for name, tensor in tensors.items() if not name.startswith("data."))
        self.assertAlmostEqual(bytes_of(rows_of(text)["a checkpoint"]), held, delta=0.01 * held)
        self.assertRegex(rows_of(text)["a step"], r"^[0-9.e-]+ s, so the run 0:00:0")

    def test_more_ranks_take_less_each(self):
        alone = self.succeeds("check", "a.toml", "--set", "train.batch=64").stdout
        shared = self.succeeds("check", "a.toml", "--set", "train.batch=64", "--ranks", "3").stdout
        self.assertIn("3 ranks with up to 22 samples\n", shared)
        arenas = [bytes_of(rows_of(text)["activations and gradients"]) for text in (alone, shared)]
        self.assertLess(arenas[1], 0.6 * arenas[0])
        self.assertEqual(rows_of(alone)["summed over ranks, a step"], "nothing")
        self.assertGreater(bytes_of(rows_of(shared)["summed over ranks, a step"]), 0)

    def test_what_cannot_be_is_one_sentence(self):
        for words, sentence in ((["--ranks", "0"], "--ranks is 0; it must be a whole number from 1 on"),
                                (["--ranks", "9"], "less than one sample for each of the 9 ranks"),
                                (["--device", "h10"], "did you mean h100?"),
                                (["--time-plans", "p.tsv"], "give --device cuda with it"),
                                (["--set", "data.files=none.h5"], "none.h5")):
            result = self.lacuna("check", "a.toml", *words)
            self.assertEqual(result.status, 2, result)
            self.assertIn(sentence, result.complaint())
