"""A run that was killed and started again continues exactly: loss curve and final weights are the
uninterrupted run's, bit for bit, for every objective, on one rank and on two. And faults, planted
into the checkpoint between kill and start, that the same comparison must find."""

import re
import shutil
import zlib

import h5py
import numpy

import support

CTEST_TIMEOUT = 600

SAMPLES, BATCH, EPOCHS = 44, 8, 3  # an epoch ends within the sixth batch, and after the eleventh
STEPS = EPOCHS * SAMPLES // BATCH
CHECKPOINT_STEPS = 4
LAST_BATCH = 5  # steps done when killed: the batch under way holds the end of the first epoch
MID_EPOCH = 10


def change_tensors(folder, change):
    """Puts change(name, values) in the place of a checkpoint's tensors where it is not None, and
    the checksums right again (docs/formats.md)."""
    part, manifest = folder / "part-000.h5", folder / "checkpoint.h5"
    with h5py.File(manifest, "r+") as file, h5py.File(part, "r+") as values:
        for i, name in enumerate(file["tensors/name"].asstr()):
            tensor = values["state/" + name.replace(".", "/")]
            new = change(name, tensor[()])
            if new is None:
                continue
            tensor[...] = new
            file["tensors/crc32"][i] = zlib.crc32(tensor[()].tobytes())
    seal(folder)


def seal(folder):
    """Makes the checksums of the part and of the manifest right."""
    part, manifest = folder / "part-000.h5", folder / "checkpoint.h5"
    with h5py.File(manifest, "r+") as file:
        file["parts/crc32"][0] = zlib.crc32(part.read_bytes())
        file["parts/bytes"][0] = part.stat().st_size
    whole = manifest.read_bytes()
    title = whole[:512].split(b"\n")[0]
    front = title + f"\nbytes {len(whole) - 512}\ncrc32 {zlib.crc32(whole[512:]):08x}\n".encode()
    manifest.write_bytes(front.ljust(512, b"\0") + whole[512:])


class ContinuesTest(support.EndToEndTest):
    """What the tests of killed runs share."""

    def setUp(self):
        super().setUp()
        support.write_images(self.path("data.h5"), samples=SAMPLES, size=(16, 16), chunk=4)

    def arguments(self, objective, run):
        toml = self.path(f"{objective}.toml")
        support.write_experiment(toml, objective=objective,
                                 more=f"checkpoint_steps = {CHECKPOINT_STEPS}\n")
        return ["pretrain", toml, "--run", run, "--set", f"train.epochs={EPOCHS}",
                "--set", "log.interval=0"]

    def killed(self, objective, run, steps, ranks):
        """A run that was killed, every rank of it, when it had done `steps` steps."""
        halted = f"step {steps} of {STEPS} "
        program = self.halted(halted, *self.arguments(objective, run), ranks=ranks)
        last = steps // CHECKPOINT_STEPS * CHECKPOINT_STEPS
        program.wait_for(halted, also=lambda: last in support.checkpoints(self.path(run)))
        program.kill()
        self.assertNotEqual(steps % CHECKPOINT_STEPS, 0)
        self.assertEqual(support.checkpoints(self.path(run))[-1], last)
        return self.path(run)

    def differences(self, run, whole):
        return support.differences(run, whole, STEPS)


class Continues(ContinuesTest):
    def objectives(self):
        """The names of all objectives that the program has."""
        result = self.lacuna(*self.arguments("simclr", "run"), "--set", "objective.name=none")
        return re.findall(r'"([a-z_]+)"', result.complaint().split("must be one of")[1])

    def test_every_objective_continues_exactly(self):
        names = self.objectives()
        self.assertIn("simclr", names)
        cells = [(objective, ranks) for ranks in (None, 2) for objective in names]
        for objective, ranks in support.chosen_cells(cells):
            with self.subTest(objective=objective, ranks=ranks):
                self.check_continues(objective, ranks)

    def check_continues(self, objective, ranks):
        whole = self.path(f"{objective}-{ranks}")
        self.succeeds(*self.arguments(objective, whole), ranks=ranks)
        self.assertEqual([row["step"] for row in support.curve(whole)], list(range(STEPS)))
        for steps in (LAST_BATCH, MID_EPOCH):
            run = self.killed(objective, f"{objective}-{ranks}-{steps}", steps, ranks)
            result = self.succeeds(*self.arguments(objective, run), ranks=ranks)
            self.assertIn("continuing", result.stdout)
            self.assertNotIn("warning: this restart", result.stdout)
            self.assertEqual(self.differences(run, whole), [])

    def test_another_number_of_threads_is_told_in_one_line(self):
        run = self.killed("simclr", "run", MID_EPOCH, None)
        result = self.succeeds(*self.arguments("simclr", run), "--set", "train.threads=2")
        told = [
            line for line in result.stdout.splitlines() if line.startswith("warning: this restart")]
        self.assertEqual(len(told), 1, result)
        self.assertIn("threads", told[0])

    def test_another_batch_takes_over_from_the_step_that_is_done(self):
        killed = self.killed("byol", "killed", LAST_BATCH, None)
        done = LAST_BATCH // CHECKPOINT_STEPS * CHECKPOINT_STEPS
        steps = done + (EPOCHS * SAMPLES - done * BATCH) // 4
        run = self.path("run")
        shutil.copytree(killed, run)
        smaller = "--set", "train.batch=4"
        result = self.succeeds(*self.arguments("byol", run), *smaller)
        self.assertIn("train.batch is now 4, was 8", result.stdout)
        self.assertIn(f"from step {done} on, a step takes 4 samples; it took 8", result.stdout)
        with h5py.File(support.checkpoint_folder(run, steps) / "checkpoint.h5") as file:
            self.assertEqual(file.attrs["position"], EPOCHS * SAMPLES)
            self.assertEqual(file["batches/first_step"][()].tolist(), [0, done])
            self.assertEqual(file["batches/rows"][()].tolist(), [[8], [4]])
            self.assertEqual(file["batches/stream"].asstr()[()].tolist(), ["data"])
        rows = support.curve(run)
        self.assertEqual([row["step"] for row in rows], list(range(steps)))
        self.assertEqual([round(row["epoch"] * SAMPLES) for row in rows[done - 1:done + 2]],
                         [done * BATCH, done * BATCH + 4, done * BATCH + 8])
        # Killed once more, it goes on exactly.
        shutil.copytree(killed, self.path("again"))
        again = *self.arguments("byol", self.path("again")), *smaller
        halted = f"step {done + 7} of {steps} "
        program = self.halted(halted, *again)
        program.wait_for(
            halted, also=lambda: done + 4 in support.checkpoints(self.path("again")))
        program.kill()
        result = self.succeeds(*again)
        self.assertNotIn("is now 4", result.stdout)
        self.assertEqual(support.differences(self.path("again"), run, steps), [])
        # Not without a word: the size that it had is another one now.
        status = self.succeeds("status", run).stdout
        self.assertIn(f"step {steps} of {steps} ", status)

    def test_planted_faults_are_found(self):
        self.succeeds(*self.arguments("byol", "whole"))
        whole = self.path("whole")
        killed = self.killed("byol", "killed", MID_EPOCH, None)
        last = MID_EPOCH // CHECKPOINT_STEPS * CHECKPOINT_STEPS

        def zeroed(*names):
            def change(folder):
                changed = []

                def zero(name, values):
                    if not name.startswith(names):
                        return None
                    changed.append(name)
                    return numpy.zeros_like(values)
                change_tensors(folder, zero)
                self.assertNotEqual(changed, [])
            return change

        def one_step_further(folder):
            with h5py.File(folder / "checkpoint.h5", "r+") as file:
                file.attrs["step"] += 1
                file.attrs["position"] += BATCH
            seal(folder)

        faults = {"nothing": lambda folder: change_tensors(folder, lambda name, values: values),
                  "running mean": zeroed("encoder.bn1.running_mean"),
                  "teacher": zeroed("teacher.encoder.conv1.weight"),
                  "momentum": zeroed("optimizer."),
                  "position": one_step_further}
        for name, plant in faults.items():
            with self.subTest(name):
                run = self.path(name.replace(" ", "-"))
                shutil.copytree(killed, run)
                plant(support.checkpoint_folder(run, last))
                result = self.succeeds(*self.arguments("byol", run))
                self.assertNotIn("is not used", result.stdout)
                found = self.differences(run, whole)
                if name == "nothing":  # the planting itself changes nothing
                    self.assertEqual(found, [])
                else:
                    self.assertNotEqual(found, [])
