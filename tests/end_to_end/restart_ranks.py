"""A run goes on on another number of ranks: one checkpoint of 4 ranks, continued on 4, on 2 and on
3, with the optimizer's state on every rank or dealt out to them. In double the weights 22 steps
later are the same within 1e-7, and the losses on the way, which every sample and every draw enters,
within rounding; in f32 the gradient of the first step is the same within 1e-4. And a fault,
planted, that the same comparison must find."""

import shutil

import numpy

import support
from continues import BATCH, SAMPLES, ContinuesTest, change_tensors

CTEST_TIMEOUT = 600

# Epochs and steps of the checkpoint and of the end.
FIRST_EPOCHS, EPOCHS = 2, 6
FIRST, END = FIRST_EPOCHS * SAMPLES // BATCH, EPOCHS * SAMPLES // BATCH
MOMENTUM = 0.9


def deviation(values, expected):
    """The largest of a tensor, relative to its norm."""
    return max(numpy.linalg.norm(values[name].astype("float64") - wanted)
               / max(numpy.linalg.norm(wanted.astype("float64")), 1e-30)
               for name, wanted in expected.items())


class RestartRanks(ContinuesTest):
    def assert_apart(self, what, values, expected, limit):
        """Less than the limit; says how far."""
        apart = deviation(values, expected)
        print(f"{what}: {apart:.1e} apart", flush=True)
        self.assertLess(apart, limit)

    def train(self, run, ranks, epochs, *settings):
        return self.succeeds(*self.arguments("simclr", run), "--set", f"train.epochs={epochs}",
                             f"train.checkpoint_steps={FIRST + 1}", *settings, ranks=ranks)

    def tensors(self, run, steps, prefix):
        tensors = support.checkpoint_tensors(support.checkpoint_folder(self.path(run), steps))
        return {name: values for name, values in tensors.items() if name.startswith(prefix)}

    def continued(self, ranks, *settings, start="start"):
        """The name of a copy of the run, continued on so many ranks."""
        run = f"{start}-{ranks}-{len(settings)}"
        shutil.copytree(self.path(start), self.path(run))
        result = self.train(run, ranks, EPOCHS, *settings)
        self.assertIn(f"continuing {run} at step {FIRST}", result.stdout)
        return run

    def losses(self, run):
        return [row["loss"] for row in support.curve(self.path(run))][FIRST:]

    def check_in_double(self, *settings):
        settings = ("train.device=reference", *settings)
        self.train("start", 4, FIRST_EPOCHS, *settings)
        same = self.continued(4, *settings)
        weights = self.tensors(same, END, "encoder.")
        for ranks in (2, 3):
            other = self.continued(ranks, *settings)
            self.assert_apart(
                f"{' '.join(settings)}: weights on {ranks} ranks, {END - FIRST} steps later",
                self.tensors(other, END, "encoder."), weights, 1e-7)
            numpy.testing.assert_allclose(self.losses(other), self.losses(same), rtol=1e-9)
            self.assertAlmostEqual(self.losses(other)[0] / self.losses(same)[0], 1, delta=1e-13)
        return same, settings

    def test_in_double_with_sgd(self):
        same, settings = self.check_in_double()
        self.plant(same, settings)

    def plant(self, same, settings):
        """A slice of the optimizer's state that did not come along is noticed."""
        weights = self.tensors(same, END, "encoder.")
        shutil.copytree(self.path("start"), self.path("lost"))

        def without_second_half(name, values):
            if name != "optimizer.momentum.encoder.conv1.weight":
                return None
            values.reshape(-1)[values.size // 2:] = 0
            return values

        change_tensors(support.checkpoint_folder(self.path("lost"), FIRST), without_second_half)
        lost = self.continued(2, *settings, start="lost")
        self.assertGreater(deviation(self.tensors(lost, END, "encoder."), weights), 1e-5)

    def test_in_double_with_a_sharded_adamw_that_clips(self):
        settings = ("optimizer.name=adamw", "optimizer.lr=0.001", "optimizer.clip=0.5",
                    "train.shard_optimizer=true")
        same, _ = self.check_in_double(*settings)
        moments = self.tensors(same, END, "optimizer.second_moment.")
        self.assertGreater(len(moments), 20)
        self.assertEqual(
            {
                name.removeprefix("optimizer.second_moment."): values.shape
                for name, values in moments.items()}, {
                    name: values.shape for name, values in self.tensors(same, END, "").items()
                    if f"optimizer.second_moment.{name}" in moments})

    def test_a_sharded_run_goes_on_unsharded(self):
        adamw = ("train.device=cpu", "train.precision=f32", "optimizer.name=adamw",
                 "optimizer.lr=0.001")
        self.train("start", 2, FIRST_EPOCHS, *adamw, "train.shard_optimizer=true")
        sharded = self.continued(2, *adamw, "train.shard_optimizer=true")
        whole = self.continued(2, *adamw)
        self.assertEqual(self.differences_of(sharded, whole, END), [])

    def differences_of(self, run, other, steps):
        ours, theirs = self.tensors(run, steps, ""), self.tensors(other, steps, "")
        self.assertEqual(sorted(ours), sorted(theirs))
        return [name for name, values in ours.items() if values.tobytes() != theirs[name].tobytes()]

    def test_in_f32_the_first_gradient(self):
        settings = ("train.device=cpu", "train.precision=f32", "optimizer.weight_decay=0")
        self.train("start", 4, FIRST_EPOCHS, *settings)
        before = self.tensors("start", FIRST, "optimizer.momentum.")

        def gradient(ranks):
            after = self.tensors(self.continued(ranks, *settings), FIRST + 1, "optimizer.momentum.")
            return {
                name: values.astype("float64") - MOMENTUM * before[name]
                for name, values in after.items()}

        same = gradient(4)
        whole = numpy.sqrt(sum(numpy.sum(values**2) for values in same.values()))
        large = {
            name: values for name, values in same.items()
            if numpy.linalg.norm(values) > 1e-3 * whole}
        self.assertGreater(len(large), 20)
        for ranks in (2, 3):
            self.assert_apart(f"f32: gradient on {ranks} ranks", gradient(ranks), large, 1e-4)
