"""A data file that is replaced, or written to, while a run reads it: the run ends, says so, and
goes on when the file is back as it was. And files of which copies on a disk of the node are
read."""

import os
import shutil
import signal

import h5py

import support
from continues import ContinuesTest
from stops import Stopping

CTEST_TIMEOUT = 300


class ReplacedData(Stopping):
    def setUp(self):
        super().setUp()
        # More than a rank's data.buffer, so that blocks are read again.
        self.path("data.h5").unlink()
        support.write_images(self.path("data.h5"), samples=1400, size=(48, 48), chunk=8)

    def replaced_under(self, change, ranks):
        shutil.copy2(self.path("data.h5"), self.path("kept.h5"))
        run = f"run-{ranks}-{change.__name__}"
        arguments = [*self.long("simclr", run), "data.buffer=1MiB", "train.checkpoint_steps=5"]
        process = support.start(support.command_line(*arguments, ranks=ranks), cwd=self.folder)
        self.addCleanup(support.kill, process)
        support.Halted(process, ranks).wait_for("step 20 of")
        change()
        result = support.finish(process, 20)
        self.assertEqual(result.status, 2, result)
        self.assertRegex(
            result.complaint(),
            r"data\.h5 was replaced or written to while it was read \(it had \d+ bytes")
        os.replace(self.path("kept.h5"), self.path("data.h5"))
        result = self.signalled("step ", *arguments, ranks=ranks, name=signal.SIGTERM)
        self.assertEqual(result.status, 75, result)

    def by_another_file(self):
        support.write_images(self.path("other.h5"), samples=1400, size=(48, 48), chunk=8, seed=2)
        os.replace(self.path("other.h5"), self.path("data.h5"))

    def in_place(self):
        with h5py.File(self.path("data.h5"), "r+", locking=False) as file:
            file["images"][3] = 0

    def test_by_another_file_of_the_same_size(self):
        for ranks in (None, 2):
            self.replaced_under(self.by_another_file, ranks)

    def test_in_place(self):
        self.replaced_under(self.in_place, 2)

    def test_labels_between_two_starts(self):
        self.succeeds(*self.arguments("simclr", "run"), "--set", "train.epochs=1")
        self.write_task("knn")
        finetune = ["finetune", "task.toml", "--from", "run", "--run", "tuned"]
        self.succeeds(*finetune)
        self.succeeds(*finetune)
        with h5py.File(self.path("data.h5"), "r+") as file:
            file["labels"][:] = (file["labels"][:] + 1) % 4
        result = self.lacuna(*finetune)
        self.assertEqual(result.status, 2, result)
        self.assertIn("run folder tuned is of other data", result.complaint())

    def test_between_two_starts(self):
        for ranks in (None, 2):
            shutil.copy2(self.path("data.h5"), self.path("kept.h5"))
            arguments = self.arguments("simclr", f"between-{ranks}")
            self.succeeds(*arguments, "--set", "train.epochs=1", ranks=ranks)
            self.by_another_file()
            result = self.lacuna(*arguments, ranks=ranks)
            self.assertEqual(result.status, 2, result)
            self.assertRegex(
                result.complaint(),
                r"the data of \S+ were 1400 samples in 1 file \([-\w]+\) and are 1400 in 1 ")
            os.replace(self.path("kept.h5"), self.path("data.h5"))
            self.succeeds(*arguments, ranks=ranks)


class Staged(ContinuesTest):
    """data.stage: copies on a disk of the node are read instead of the files."""

    def test_the_training_is_the_same_and_nothing_stays(self):
        for ranks in (None, 2):
            for name, settings in (("plain", []), ("staged", [f"data.stage={self.folder}/node"])):
                self.succeeds(*self.arguments("simclr", f"{name}-{ranks}"), "--set",
                              "train.precision=f32", *settings, ranks=ranks)
            self.assertEqual(
                self.differences(self.path(f"staged-{ranks}"), self.path(f"plain-{ranks}")), [])
            self.assertEqual(list(self.path("node").iterdir()), [])

    def test_a_full_disk_of_the_node_is_one_warning(self):
        result = self.succeeds(*self.arguments("simclr", "run"),
                               "--set", f"data.stage={self.folder}/node",
                               env=self.faults(full_below="/node/", full_after=100))
        warnings = [line for line in result.stdout.splitlines() if "data.stage" in line]
        self.assertEqual(len(warnings), 1, result)
        self.assertIn("No space left on device; what is not copied is read from where it is",
                      warnings[0])
        shutil.copy(self.path("data.h5"), self.path("second.h5"))  # for the second rank to copy
        result = self.succeeds(*self.arguments("simclr", "two"),
                               "--set", f"data.stage={self.folder}/node",
                               "data.files=['data.h5', 'second.h5']", ranks=2,
                               env=self.faults(full_below="/node/", full_after=100, rank=1))
        self.assertNotIn("data.stage", result.stdout)
        self.assertRegex(
            result.stderr,
            r"lacuna: warning of \S+: data.stage: .*No space left on device; what is not copied")
        self.assertEqual(list(self.path("node").iterdir()), [])
