"""predict: what a fine-tuned run says of samples without labels, on any number of ranks, and after
a kill."""

import json
import shutil

import h5py
import numpy

import support

TASKS = {
    "linear": "l2 = [1e-2]", "knn": "k = [3, 5]", "ridge": "l2 = [1e-2]",
    "classify": "steps = 4\nrates = [1e-2]", "regress": "steps = 4\nrates = [1e-2]"}


class PredictStage(support.EndToEndTest):
    def setUp(self):
        super().setUp()
        values = support.write_images(self.path("data.h5"), samples=60, chunk=8)
        with h5py.File(self.path("data.h5"), "a") as data:
            data["grade"] = numpy.stack([values.mean((1, 2)) + 1000, values[:, 0, 0]], 1)
        support.write_experiment(self.path("a.toml"), more="max_steps = 2\n")
        self.succeeds("pretrain", "a.toml", "--run", "run")

    def finetune(self, task, *words):
        real = task in ("ridge", "regress")
        support.write_task(self.path(f"{task}.toml"), task, TASKS[task],
                           label="grade" if real else "labels")
        more = ("--set", "test.label=grade") if real else ()
        self.succeeds("finetune", f"{task}.toml", "--from", "run", "--run", task, *more, *words)

    def predict(self, task, out, *words, ranks=None, data="data.h5"):
        return self.succeeds("predict", task, "--data", data, "--out", out, *words, ranks=ranks)

    def scored(self, file):
        """Scores of the predictions of data.h5, from the file alone."""
        with h5py.File(self.path("data.h5")) as data:
            if "value" in file:
                return {"mse": ((file["value"][:] - data["grade"][:]) ** 2).mean()}
            labels = data["labels"][:]
            probability = file["probability"][:].astype("f8")
        self.assertTrue(numpy.allclose(probability.sum(1), 1, atol=1e-5))
        chosen = probability[numpy.arange(60), file["class"][:]]
        self.assertTrue((chosen == probability.max(1)).all())
        scores = {"accuracy": (file["class"][:] == labels).mean()}
        if file.attrs["task"] != "knn":
            scores["nll"] = -numpy.log(probability[numpy.arange(60), labels]).mean()
        return scores

    def test_predictions_are_what_was_scored_on_any_number_of_ranks(self):
        for task in support.chosen_cells(list(TASKS)):
            with self.subTest(task=task):
                self.finetune(task)
                self.predict(task, "one.h5", "--force")
                self.predict(task, "three.h5", "--force", ranks=3)
                result = json.loads(self.path(f"{task}/result.json").read_text())
                with (h5py.File(self.path("one.h5")) as one,
                      h5py.File(self.path("three.h5")) as three):
                    for name, value in self.scored(one).items():
                        expected = result["scores"][name]["value"]
                        self.assertLess(abs(value - expected), 1e-5 * abs(expected), name)
                    self.assertEqual(one.attrs["format"], "lacuna predictions")
                    self.assertEqual(one.attrs["task"], task)
                    self.assertEqual(list(one["row"]), list(range(60)))
                    self.assertNotIn("label", one)
                    for name in {"class", "probability", "value"} & set(one):
                        difference = numpy.abs(one[name][:].astype("f8") - three[name][:]).max()
                        self.assertLessEqual(difference, 1e-5 * numpy.abs(one[name][:]).max(), name)

    def test_a_killed_one_goes_on_to_the_same_bits(self):
        self.finetune("classify")
        support.write_images(self.path("more.h5"), samples=1100, chunk=50, labels=None, seed=2)
        words = ("--set", "log.interval=0", "--set", "train.checkpoint_minutes=1e-9")
        self.predict("classify", "whole.h5", *words, data="more.h5")
        program = self.halted("embedded 512 of", "predict", "classify", "--data", "more.h5",
                              "--out", "p.h5", *words)
        program.wait_for("embedded 512 of")
        program.kill()
        result = self.predict("classify", "p.h5", *words, data="more.h5")
        self.assertIn("continuing p.h5 after 512 of 1100 samples", result.stdout)
        self.assertEqual(self.path("p.h5").read_bytes(), self.path("whole.h5").read_bytes())
        self.assertIn("is finished",
                      self.predict("classify", "p.h5", *words, data="more.h5").stdout)

    def test_a_run_that_cannot_predict_is_refused(self):
        self.finetune("knn")
        support.write_images(self.path("small.h5"), samples=9, size=(4, 4), channels=3, labels=None)

        def refused(run, *says, data="data.h5", ranks=None):
            result = self.lacuna("predict", run, "--data", data, "--out", "p.h5", ranks=ranks)
            self.assertEqual(result.status, 2, result)
            for part in says:
                self.assertIn(part, result.complaint())
            self.assertFalse(self.path("p.h5").exists())

        refused("run", "run is no run of finetune", ranks=3)
        refused("none", "none")
        refused("knn", "channels", data="small.h5")
        result = self.path("knn/result.json").rename(self.path("result.json"))
        refused("knn", "knn is not finished")
        result.rename(self.path("knn/result.json"))
        part = self.path("knn/model/part-000.h5")
        content = bytearray(part.read_bytes())
        content[-9] ^= 1
        part.write_bytes(content)
        refused("knn", "part-000.h5")
        shutil.rmtree(self.path("knn/model"))
        refused("knn", "knn keeps no model")
