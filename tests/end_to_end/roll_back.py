"""train.on_bad_loss = "roll_back" in the whole program: how often, what it says, and how it ends
where nothing helps. That it leaves out the right samples: tests/stages/pretrain/roll_back.cpp."""

import re

import support
from continues import ContinuesTest


class RollBack(ContinuesTest):
    def test_a_rate_that_is_too_high_all_the_time_ends_the_run(self):
        settings = [
            "train.on_bad_loss=roll_back", "train.checkpoint_steps=1", "train.precision=f32",
            "optimizer.lr=1e8"]
        for ranks in (None, 3):
            run = f"run-{ranks}"
            result = self.lacuna(*self.arguments("inpaint", run), "--set", *settings, ranks=ranks)
            self.assertEqual(result.status, 3, result)
            found = re.findall(
                r"warning: the loss of step (\d+) is -?(?:nan|inf): going on from checkpoint "
                r"(\d+), "
                r"without the samples of steps (\d+) to (\d+)", result.stdout)
            self.assertEqual(len(found), 2, result)
            for bad, checkpoint, first, last in found:
                self.assertEqual((first, last), (checkpoint, bad))
            self.assertRegex(
                result.complaint(), rf"the loss of step {int(found[1][0]) + 1} is .*: "
                r"it comes again and again from checkpoint \d+; begin a new run with a lower "
                r"optimizer.lr")
            self.assertIn(int(found[0][1]), support.checkpoints(self.path(run)))
