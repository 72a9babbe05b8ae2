"""The command line: help, version, and what is not understood."""

import support


class CommandLine(support.EndToEndTest):
    def test_help_names_every_stage(self):
        result = self.succeeds("--help")
        for stage in ("pretrain", "embed", "finetune", "inspect"):
            self.assertIn(stage, result.stdout)
        self.assertEqual(result.stderr, "")

    def test_version_says_what_it_was_built_with(self):
        text = self.succeeds("--version").stdout
        for word in ("lacuna 0.1.0", "HDF5", "oneDNN", "MPI"):
            self.assertIn(word, text)

    def test_unknown_option_is_one_sentence_and_status_2(self):
        result = self.lacuna("--no-such-option")
        self.assertEqual(result.status, 2, result)
        self.assertIn("--no-such-option", result.complaint())

    def test_unknown_stage_names_the_nearest_on_three_ranks(self):
        result = self.lacuna("pretrian", ranks=3, timeout=20)
        self.assertEqual(result.status, 2, result)
        self.assertIn("pretrain", result.complaint())
