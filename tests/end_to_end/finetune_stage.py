"""finetune: a run that was killed goes on without repeating what it had finished, to the same
result; a task that cannot be leaves no folder."""

import json

import h5py
import numpy

import support

CTEST_TIMEOUT = 600


class FinetuneContinues(support.EndToEndTest):
    def setUp(self):
        super().setUp()
        support.write_images(self.path("data.h5"), samples=80, size=(16, 16), chunk=8)
        support.write_experiment(self.path("a.toml"), more="max_steps = 2\n")
        self.succeeds("pretrain", "a.toml", "--run", "run")

    def task(self, name, more="", training=""):
        support.write_task(self.path(f"{name}.toml"), name, f"labels = 0.5\ndraws = 3\n{more}",
                           training=training)

    def arguments(self, name, run):
        return ["finetune", f"{name}.toml", "--from", "run", "--run", run]

    def check_continues(self, name, halted, done, ranks, also=lambda run: True, says="continuing"):
        """Killed when it has told `halted`, after `done` trials."""
        whole, run = f"{name}-whole-{ranks}", f"{name}-{ranks}"
        every = self.succeeds(*self.arguments(name, whole), ranks=ranks)
        program = self.halted(halted, *self.arguments(name, run), ranks=ranks)
        program.wait_for(halted, also=lambda: also(self.path(run)))
        program.kill()
        self.assertFalse(self.path(f"{run}/result.json").exists())
        with h5py.File(self.path(f"{run}/trials.h5")) as file:
            self.assertEqual(len(file["trial"]), done)
        result = self.succeeds(*self.arguments(name, run), ranks=ranks)
        self.assertIn(f"after {done} trials", result.stdout)
        self.assertIn(says, result.stdout)
        self.assertNotIn("warning", result.stdout)
        self.assertFalse(self.path(f"{run}/trials").exists())
        lines = [line for line in every.stdout.splitlines() if line.startswith("draw ")]
        again = [line for line in result.stdout.splitlines() if line.startswith("draw ")]
        self.assertEqual(again, lines[done:])
        for file in ("result.json", "trials.h5"):
            self.assertEqual(self.path(f"{run}/{file}").read_bytes(),
                             self.path(f"{whole}/{file}").read_bytes(), file)
        finished = self.succeeds(*self.arguments(name, run), ranks=ranks)
        self.assertIn("is finished", finished.stdout)

    def test_classify_continues_exactly(self):
        self.task("classify", "steps = 6\nrates = [1e-3, 3e-3]")
        for ranks in (None, 2):
            # Told before it is stored: the trial under way counts as not finished.
            self.check_continues("classify", "draw 2, rate 0.003: ", 4, ranks)

    def test_classify_continues_within_a_trial(self):
        self.task("classify", "steps = 7\nrates = [1e-3, 3e-3]", """checkpoint_steps = 2
[log]
interval = 0
""")
        for ranks in (None, 2):
            # Of the first trial; it had a checkpoint of its own after its fourth step.
            self.check_continues(
                "classify", "step 5 of 7 ", 0, ranks, says="trials/draw-1-rate-0.001 at step 4",
                also=lambda run: support.checkpoints(run / "trials/draw-1-rate-0.001") == [4])

    def test_regress_continues_within_a_trial(self):
        with h5py.File(self.path("data.h5"), "a") as data:
            data["grade"] = 100 + data["images"][:].mean((1, 2))
        self.task("regress", "steps = 7\nrates = [1e-3]", """checkpoint_steps = 2
[log]
interval = 0
""")
        toml = self.path("regress.toml")
        toml.write_text(toml.read_text().replace('"labels"', '"grade"'))
        self.check_continues(
            "regress", "step 5 of 7 ", 0, None, says="trials/draw-1-rate-0.001 at step 4",
            also=lambda run: support.checkpoints(run / "trials/draw-1-rate-0.001") == [4])

    def test_a_rate_at_which_the_loss_is_no_number_is_not_chosen(self):
        self.task("classify", "steps = 6\nrates = [1e38, 3e-3]")
        result = self.succeeds(*self.arguments("classify", "tuned"))
        self.assertIn("the loss became no number", result.stdout)
        with h5py.File(self.path("tuned/trials.h5")) as file:
            chosen = file["chosen"][:]
            self.assertEqual(set(chosen[~numpy.isnan(chosen)]), {3e-3})

    def test_linear_continues_exactly(self):
        self.task("linear", "l2 = [1e-2]")
        for ranks in (None, 2):
            self.check_continues("linear", "draw 2: ", 1, ranks)

    def test_knn_continues_exactly(self):
        self.task("knn", "k = [3, 5]")
        self.check_continues("knn", "draw 3: ", 2, None)

    def test_what_is_embedded_is_not_embedded_again(self):
        self.path("data.h5").unlink()
        support.write_images(self.path("data.h5"), samples=1600, size=(16, 16), chunk=100)
        for name in ("linear", "knn"):
            self.task(name, "l2 = [1e-2]" if name == "linear" else "k = [3, 5]",
                      """checkpoint_minutes = 1e-9
[log]
interval = 0
""")
        for name, ranks in (("linear", None), ("knn", 2)):
            whole, run = f"{name}-whole", f"{name}-run"
            self.succeeds(*self.arguments(name, whole), ranks=ranks)
            program = self.halted("embedded 1024 of", *self.arguments(name, run), ranks=ranks)
            program.wait_for("embedded 1024 of")
            program.kill()
            # A mark in what was written stays.
            first = support.exchange_first(self.path(f"{run}/features/train.h5.partial"), b"mark")
            program = self.halted("embedded 512 of", *self.arguments(name, run), ranks=ranks)
            program.wait_for("embedded 512 of")  # of the test data
            program.kill()
            self.assertIn("train.h5 after 1024 of 1600 samples", program.told)
            self.assertEqual(support.exchange_first(self.path(f"{run}/features/train.h5"), first),
                             b"mark")
            result = self.succeeds(*self.arguments(name, run), ranks=ranks)
            self.assertIn("test.h5 after 512 of 1600 samples", result.stdout)
            self.assertNotIn("train.h5", result.stdout)
            for file in ("result.json", "trials.h5"):
                self.assertEqual(
                    self.path(f"{run}/{file}").read_bytes(),
                    self.path(f"{whole}/{file}").read_bytes())
            self.assertFalse(self.path(f"{run}/features").exists())

    def test_trials_are_of_one_checkpoint(self):
        self.task("knn", "k = [3, 5]")
        program = self.halted("draw 3: ", *self.arguments("knn", "tuned"))
        program.wait_for("draw 3: ")
        program.kill()
        self.succeeds("pretrain", "a.toml", "--run", "other", "--set", "train.max_steps=3")
        before = support.snapshot(self.path("tuned"))
        other = ["finetune", "knn.toml", "--from", "other", "--run", "tuned"]
        result = self.lacuna(*other)
        self.assertEqual(result.status, 2, result)
        for part in ("of step 2 of run", "of step 3 of other", "--force"):
            self.assertIn(part, result.complaint())
        self.assertEqual(support.snapshot(self.path("tuned")), before)
        self.succeeds(*other, "--force")
        with h5py.File(self.path("tuned/trials.h5")) as file:
            self.assertEqual(file.attrs["step"], 3)
            self.assertEqual(list(file["trial"].asstr()), ["draw 1", "draw 2", "draw 3"])
            self.assertTrue((numpy.isin(file["chosen"], [3, 5])).all())

    def test_another_number_of_ranks_is_told(self):
        self.task("knn", "k = [3, 5]")
        program = self.halted("draw 2: ", *self.arguments("knn", "tuned"))
        program.wait_for("draw 2: ")
        program.kill()
        result = self.succeeds(*self.arguments("knn", "tuned"), ranks=2)
        self.assertEqual(result.stdout.count("warning: the rest will be equal within rounding"), 1)

    def test_a_task_that_cannot_be_leaves_no_folder(self):
        for name in ("classify", "knn"):
            self.task(name)
            # A run whose checkpoint is not what its config.toml says.
            config = self.path("run/config.toml")
            whole = config.read_text()
            config.write_text(whole.replace("width = 4", "width = 8"))
            self.assertNotEqual(config.read_text(), whole)
            for ranks in (None, 2):
                result = self.lacuna(*self.arguments(name, "tuned"), ranks=ranks)
                self.assertEqual(result.status, 2, result)
                self.assertIn("another network", result.complaint())
                self.assertFalse(self.path("tuned").exists())
            config.write_text(whole)

    def test_samples_without_a_label_do_not_count(self):
        labels = numpy.arange(80) % 4
        with h5py.File(self.path("data.h5"), "a") as data:
            chosen = numpy.arange(80) % 3 > 0
            data["some"] = numpy.where(chosen, labels, -1)
            data["few/images"] = data["images"][:][chosen]
            data["few/labels"] = labels[chosen]
            data["none"] = numpy.full(80, -1)
        self.task("linear", 'l2 = [0.1]\nfeatures = "pixels"')
        of_all = self.succeeds(*self.arguments("linear", "some"), "--set", "test.label=some")
        self.assertIn("27 of 80 test samples have no label (some is negative there): they do not "
                      "count in the scores", of_all.stdout)
        few = self.succeeds(*self.arguments("linear", "few"), "--set", "test.label=few/labels",
                            "--set", "test.dataset=few/images")
        self.assertNotIn("have no label", few.stdout)
        self.assertEqual({name: score["value"] for name, score in
                          self.result("some")["scores"].items()},
                         {name: score["value"] for name, score in
                          self.result("few")["scores"].items()})
        learned = self.succeeds(*self.arguments("linear", "learned"), "--set", "data.label=some")
        self.assertIn("27 of 80 training samples have no label (some is negative there): they are "
                      "not learned from", learned.stdout)
        result = self.lacuna(*self.arguments("linear", "no"), "--set", "test.label=none", ranks=2)
        self.assertEqual(result.status, 2, result)
        self.assertIn("no test sample has a class in none", result.complaint())

    def test_with_one_label_of_each_class_the_first_value_is_taken(self):
        self.task("knn", "k = [3, 1]")
        self.task("classify", "steps = 3\nrates = [3e-3, 1e-3]")
        for name, first in (("knn", "3"), ("classify", "0.003")):
            told = self.succeeds(*self.arguments(name, name), "--set", "task.labels=0.05", ranks=2)
            self.assertRegex(told.stdout, r"warning: draw 1 has one label of each class, so that "
                                          rf"none is held out to choose by: {first}, the first")
            self.assertIn("draw 1: 4 labels, accuracy ", told.stdout)

    def add_column(self, name, values):
        with h5py.File(self.path("data.h5"), "a") as data:
            data[name] = values

    def result(self, run):
        return json.loads(self.path(f"{run}/result.json").read_text())

    def test_ridge_is_what_numpy_says(self):
        with h5py.File(self.path("data.h5")) as data:
            x = data["images"][:].reshape(80, -1) / 255.0
        random = numpy.random.default_rng(1)
        y = 50 + x @ random.normal(size=(256, 2)) / 16 + 0.1 * random.normal(size=(80, 2))
        self.add_column("grade", y)
        self.task("ridge", 'l2 = [0.1]\nfeatures = "pixels"', 'precision = "f32"\n')
        toml = self.path("ridge.toml")
        graded = toml.read_text().replace('"labels"', '"grade"')
        toml.write_text(graded.replace("labels = 0.5\ndraws = 3", ""))
        self.succeeds(*self.arguments("ridge", "fitted"))
        standard = (x - x.mean(0)) / x.std(0)
        weight = numpy.linalg.solve(standard.T @ standard / 80 + 0.1 * numpy.eye(256),
                                    standard.T @ (y - y.mean(0)) / 80)
        off = standard @ weight + y.mean(0) - y
        result = self.result("fitted")
        expected = {"mse": (off ** 2).mean(), "mae": numpy.abs(off).mean(),
                    "r2": (1 - (off ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)).mean()}
        for name, value in expected.items():
            found = result["scores"][name]
            self.assertLess(abs(found["value"] - value), 1e-4 * abs(value), name)
            self.assertLess(found["low"], found["value"])
            self.assertGreater(found["high"], found["value"])
        self.assertEqual((result["score"], result["better"]), ("mse", "lower"))
        self.assertIn("bootstrap", result["interval"])
        self.assertNotIn("accuracy", result)
        told = self.succeeds("status", "fitted").stdout
        self.assertRegex(told, r"\n  mse [0-9.e-]+ \([0-9.e-]+ to [0-9.e-]+\), lower is better\n")
        self.path("fitted/result.json").unlink()
        self.succeeds("finetune", "ridge.toml", "--from", "run", "--run", "again", ranks=3)
        for name, value in expected.items():
            self.assertLess(abs(self.result("again")["scores"][name]["value"] - value),
                            1e-4 * abs(value), name)
        # Other targets in the same column are other data.
        with h5py.File(self.path("data.h5"), "r+") as data:
            data["grade"][3, 1] += 1
        result = self.lacuna(*self.arguments("ridge", "fitted"))
        self.assertEqual(result.status, 2, result)
        self.assertIn("other data", result.complaint())

    def test_a_frozen_encoder_is_the_run_s(self):
        self.task("classify", 'steps = 4\nrates = [1e-2]\nlayer_decay = 0.5')
        for encoder in ("frozen", "trained"):
            self.succeeds(*self.arguments("classify", encoder), "--set", f"task.encoder={encoder}",
                          "--set", "task.draws=1")
            kept = support.checkpoint_tensors(self.path(f"{encoder}/model"))
            start = support.checkpoint_tensors(support.checkpoint_folder(self.path("run"), 2))
            same = [
                support.same_bits(kept[name], start[name]) for name in kept
                if name.startswith("encoder.")]
            self.assertGreater(len(same), 50)
            self.assertEqual(all(same), encoder == "frozen")
            self.assertEqual(kept["head.weight"].shape, (4, 32))

    def test_columns_that_cannot_be_are_refused(self):
        self.add_column("short", numpy.zeros(79))
        self.add_column("bad", numpy.where(numpy.arange(80) == 7, numpy.nan, 1.0))
        self.add_column("wide", numpy.zeros((80, 2, 2)))
        self.add_column("one", numpy.zeros(80, "i4"))
        self.add_column("two", numpy.zeros((80, 2)))
        for name, settings, says in (
                ("knn", ["task.held_out=group", "task.group=there/is/none"], ["there/is/none"]),
                ("knn", ["task.held_out=group", "task.group=bad"],
                 ["groups are texts or whole numbers"]),
                ("knn", ["task.held_out=group", "task.group=one"], ["of one group of task.group"]),
                ("knn", ["task.held_out=time", "task.time=short"], ["short", "79", "80 samples"]),
                ("ridge", ["data.label=wide"], ["wide", "[samples, numbers]"]),
                ("ridge", ["data.label=two"], ["2 values in two", "1 in labels"])):
            self.task(name)
            words = [word for setting in settings for word in ("--set", setting)]
            result = self.lacuna(*self.arguments(name, "refused"), *words)
            self.assertEqual(result.status, 2, result)
            for part in says:
                self.assertIn(part, result.complaint())
