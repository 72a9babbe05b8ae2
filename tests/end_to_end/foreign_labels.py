"""Labels as people have them: each way of writing the same classes, values or marks gives the
scores that they have when they are written plainly, or is refused in one sentence before a run's
folder is made. Tasks are done on the pixels of 60 small images, so that nothing depends on a
training."""

import json

import h5py
import numpy

import support

CTEST_TIMEOUT = 600

SAMPLES, CLASSES = 60, 4
NAMES = numpy.array(["ant", "bee", "cat", "dog"])


def classes():
    """Of each image its class, the third of every four changed so that no score is 1."""
    label = numpy.arange(SAMPLES) % CLASSES
    wrong = numpy.arange(SAMPLES) % 7 == 3
    return numpy.where(wrong, (label + 1) % CLASSES, label)


def table(columns):
    kinds = [(name, values.dtype, values.shape[1:]) for name, values in columns.items()]
    made = numpy.empty(SAMPLES, kinds)
    for name, values in columns.items():
        made[name] = values
    return made


def enumeration(values, names, base="i1"):
    kind = h5py.enum_dtype(names, basetype=base)
    return numpy.asarray(values, base).astype(kind), kind


def write_labels(data):
    """Every column of the file of images, by its name."""
    label = classes()
    one_hot = numpy.eye(CLASSES)[label]
    some = numpy.where(numpy.arange(SAMPLES) % 3 > 0, label, -1)
    mean = data["images"][:].mean((1, 2))
    columns = {
        "plain": label,
        "column": label[:, None],
        "row": label[None, :],  # as MATLAB writes it
        "floats": label.astype("f8"),
        "gaps": 10 * label + 3,
        "large": label.astype("i8") * 10**15 + 7,
        "unsigned": label.astype("u8") * 2**60 + 1,
        "names": NAMES[label].astype(object),
        "fixed": NAMES[label].astype("S7"),
        "characters": NAMES[label].astype("S7").view("S1").reshape(SAMPLES, 7),  # as NetCDF's
        "numerals": numpy.array(["2", "10", "30", "100"])[label].astype("S3"),
        "one_hot": one_hot.astype("u1"),
        "one_hot_floats": one_hot.astype("f4"),
        "one_hot_bool": one_hot.astype(bool),
        "table": table({"id": numpy.arange(SAMPLES), "species": NAMES[label].astype("S7"),
                        "class": label.astype("i2"), "marks": one_hot.astype("u1"),
                        "mean": mean}),
        # Of every third sample the label is not known.
        "some": some,
        "some_floats": numpy.where(some < 0, numpy.nan, some),
        "some_filled": numpy.where(some < 0, 99, some),
        "some_given": numpy.where(some < 0, 255, some),
        "some_names": numpy.where(some < 0, "", NAMES[some]).astype("S7"),
        "some_named": numpy.where(some < 0, "unknown", NAMES[some]).astype("S7"),
        "some_one_hot": numpy.where(some[:, None] < 0, 0, one_hot).astype("i1"),
        # Measurements.
        "mean": mean,
        "mean_row": mean[None, :],
        "mean_some": numpy.where(some < 0, numpy.nan, mean),
        "mean_filled": numpy.where(some < 0, -9999, mean),
        "mean_filled_32": numpy.where(some < 0, -999.9, mean).astype("f4"),
        "mean_packed": numpy.round(100 * mean).astype("i4"),
        "counts": numpy.round(mean).astype("i4"),
        "infinite": numpy.where(numpy.arange(SAMPLES) == 5, numpy.inf, mean),
        # What cannot be.
        "short": label[:-1],
        "cube": numpy.zeros((SAMPLES, 2, 2)),
        "pairs": numpy.stack([label, label + 5], 1),
        "several": numpy.stack([label == 0, label < 2, label > 2], 1).astype("u1"),
        "none": numpy.full(SAMPLES, -1),
        "other": numpy.char.add(NAMES[label], "s").astype("S7"),
        "ids": numpy.arange(SAMPLES) * 3,
        "beyond": numpy.full(SAMPLES, 2**63 + 5, "u8"),
    }
    for name, values in columns.items():
        data[name] = values
    data["some_filled"].attrs["_FillValue"] = 99
    data["mean_filled"].attrs["missing_value"] = -9999.0
    data["mean_filled_32"].attrs["missing_value"] = numpy.float64(-999.9)
    data["mean_packed"].attrs["scale_factor"] = 0.01
    for name, values, base in (("kinds", label, "i1"), ("some_kinds", some, "i2")):
        numbers, kind = enumeration(values, {"unknown": -1, **{n: i for i, n in enumerate(NAMES)}},
                                    base)
        data.create_dataset(name, data=numbers, dtype=kind)
    lists = data.create_dataset("lists", SAMPLES, h5py.vlen_dtype("i4"))
    lists[0] = [1, 2]


PLAIN = {"names": ["gaps", "large", "unsigned", "names", "fixed", "characters", "numerals",
                   "kinds", "table/species"],
         "numbers": ["column", "row", "floats", "one_hot", "one_hot_floats", "one_hot_bool",
                     "table/class", "table/marks"]}
# A column, what is said of the samples without a label, and what is given.
SOME = [("some_floats", "some_floats is NaN there", ()),
        ("some_filled", "some_filled is the fill value 99 there", ()),
        ("some_given", "some_given is 255 there", ("data.unlabelled=[\"255\"]",)),
        ("some_names", "some_names is empty there", ()),
        ("some_named", "some_named is \"unknown\" there", ("data.unlabelled=[\"unknown\"]",)),
        ("some_kinds", "some_kinds is negative there", ()),
        ("some_one_hot", "some_one_hot is 0 for all classes there", ())]
# A task, a column, and what the sentence that refuses it says.
REFUSED = [("linear", "mean", ["the label of sample 0 in mean is ", 'task.name = "ridge"']),
           ("ridge", "mean_packed", ["has the attribute scale_factor", "the numbers themselves"]),
           ("linear", "short", ["short has the shape [59], but there are 60 samples"]),
           ("linear", "cube", ["cube has the shape [60, 2, 2]", "[samples]"]),
           ("linear", "pairs", ["pairs holds 2 numbers for each sample", "0 and 1"]),
           ("linear", "several", ["several marks 2 of 3 classes for sample 0", '"tag"']),
           ("linear", "none", ["no training sample has a class in none"]),
           ("linear", "table", ["/table", "is a table: name one of its columns", "table/"]),
           ("linear", "table/kind", ["there is no dataset /table/kind"]),
           ("linear", "lists", ["lists holds a list of its own length for each sample", '"tag"']),
           ("linear", "beyond", ["2^63 - 1 or more"]),
           ("ridge", "names", ["names holds texts", 'task.name = "linear"']),
           ("ridge", "infinite", ["infinite of sample 5 is inf"]),
           ("tag", "pairs", ["pairs holds 2 numbers for each sample"])]

PRETRAIN = """[objective]
name = "rotation"
[data]
files = "data.h5"
dataset = "images"
[encoder]
width = 1
[train]
batch = 8
max_steps = 1
threads = 1
"""

TASK = """[task]
name = "{name}"
{keys}
[data]
files = "data.h5"
dataset = "images"
label = "{label}"
[test]
dataset = "images"
label = "{label}"
[train]
threads = 1
precision = "f32"
"""


class Labels(support.EndToEndTest):
    def setUp(self):
        super().setUp()
        support.write_images(self.path("data.h5"), samples=SAMPLES, size=(8, 8), labels=None)
        with h5py.File(self.path("data.h5"), "a") as data:
            write_labels(data)
        self.path("a.toml").write_text(PRETRAIN)
        self.succeeds("pretrain", "a.toml", "--run", "run")

    def task(self, label, *settings, name="linear", run=None, status=0, ranks=None):
        keys = {"linear": 'l2 = [0.1]\nfeatures = "pixels"',
                "ridge": 'l2 = [0.1]\nfeatures = "pixels"'}.get(name, "steps = 2\nrates = [1e-2]")
        self.path("task.toml").write_text(TASK.format(name=name, label=label, keys=keys))
        run = run or "task-" + label.replace("/", "-")
        words = [word for setting in settings for word in ("--set", setting)]
        result = self.lacuna("finetune", "task.toml", "--from", "run", "--run", run, *words,
                             ranks=ranks)
        self.assertEqual(result.status, status, result)
        if status:
            self.assertFalse(self.path(run).exists())
            return result
        return result, json.loads(self.path(f"{run}/result.json").read_text())

    def scores(self, result):
        return {name: score["value"] for name, score in result["scores"].items()}

    def test_classes_however_they_are_written(self):
        _, plain = self.task("plain")
        self.assertNotIn("classes", plain)
        self.assertGreater(plain["accuracy"], 0.6)
        for column in PLAIN["numbers"] + PLAIN["names"]:
            told, result = self.task(column)
            self.assertEqual(self.scores(result), self.scores(plain), column)
            self.assertEqual("classes" in result, column in PLAIN["names"], column)
            if "classes" in result:
                self.assertIn("are numbered in order: 0 = " + result["classes"][0], told.stdout)
            self.assertNotIn("have no label", told.stdout)
        for column, names in (("gaps", ["3", "13", "23", "33"]), ("names", list(NAMES)),
                              ("numerals", ["2", "10", "30", "100"]), ("kinds", list(NAMES))):
            self.assertEqual(self.task(column, run=f"{column}-2", ranks=2)[1]["classes"], names)

    def test_samples_without_a_label_however_it_is_written(self):
        told, some = self.task("some")
        self.assertIn("20 of 60 training samples have no label (some is negative there): they are "
                      "not learned from", told.stdout)
        for column, says, settings in SOME:
            told, result = self.task(column, *settings)
            self.assertEqual(self.scores(result), self.scores(some), column)
            for samples in "training", "test":
                self.assertIn(f"20 of 60 {samples} samples have no label ({says})", told.stdout)

    def test_measurements(self):
        _, plain = self.task("mean", name="ridge")
        self.assertGreater(plain["scores"]["r2"]["value"], 0.5)
        for column in "mean_row", "table/mean":
            self.assertEqual(self.scores(self.task(column, name="ridge")[1]), self.scores(plain))
        self.task("counts", name="ridge")
        some = None
        for column in "mean_some", "mean_filled":
            told, result = self.task(column, name="ridge")
            self.assertIn("20 of 60 training samples have no label", told.stdout)
            some = some or self.scores(result)
            self.assertEqual(self.scores(result), some, column)
        told, result = self.task("mean_filled_32", name="ridge")
        self.assertIn("20 of 60 training samples have no label", told.stdout)
        self.assertAlmostEqual(self.scores(result)["r2"], some["r2"], delta=1e-4)
        self.assertNotEqual(some, self.scores(plain))
        _, result = self.task("mean_some", name="regress", run="regress")
        self.assertTrue(numpy.isfinite(result["scores"]["mse"]["value"]))

    def test_what_cannot_be_is_refused_before_a_folder_is_made(self):
        for name, column, says in REFUSED:
            result = self.task(column, name=name, status=2)
            for part in says:
                self.assertIn(part, result.complaint())
        for settings, says in (
                (["test.label=other"], ["no class of other (ants, bees", "ant, bee, cat, dog"]),
                (["test.label=one_hot"], ["marks classes by their places", "ant, bee, cat, dog"]),
                (["task.held_out=group", "task.group=none"], ["of one group of task.group"])):
            result = self.task("names", *settings, status=2, ranks=2)
            for part in says:
                self.assertIn(part, result.complaint())

    def test_what_is_strange_is_told(self):
        told, _ = self.task("plain", "test.label=gaps", "data.label=gaps")
        self.assertNotIn("warning", told.stdout)
        with h5py.File(self.path("data.h5"), "a") as data:
            data["more"] = numpy.where(numpy.arange(SAMPLES) < 6, 9, classes())
            data["one"] = numpy.full(SAMPLES, 2)
            data["many"] = numpy.arange(SAMPLES) % 31
        told, result = self.task("more", "data.label=plain", run="more")
        self.assertIn("warning: 6 of 60 test samples are of classes that no training sample has "
                      "(9): they count as classified wrongly", told.stdout)
        self.assertLess(result["accuracy"], self.task("plain", run="plain")[1]["accuracy"])
        told, _ = self.task("one")
        self.assertIn("all labels of one are 2: nothing can be learned", told.stdout)

    def test_the_names_are_kept_for_predict(self):
        self.task("names", "data.label=fixed", run="named")
        self.task("plain", run="numbered")
        for run in "named", "numbered":
            self.succeeds("predict", run, "--data", "data.h5", "--out", f"{run}.h5")
        with h5py.File(self.path("named.h5")) as named, \
                h5py.File(self.path("numbered.h5")) as numbered:
            self.assertEqual(list(named["class_name"].asstr()), list(NAMES))
            self.assertNotIn("class_name", numbered)
            self.assertEqual(named["class"][:].tolist(), numbered["class"][:].tolist())
            self.assertEqual(named["probability"][:].tolist(),
                             numbered["probability"][:].tolist())

    def test_several_classes_of_a_sample(self):
        marks = numpy.stack([classes() == 0, classes() < 2, classes() > 2], 1).astype("i1")
        marks[::5, 1] = -1
        with h5py.File(self.path("data.h5"), "a") as data:
            data["marks"] = marks
        for ranks in None, 2:
            _, result = self.task("marks", "train.batch=20", "task.steps=30", name="tag",
                                  run=f"tag{ranks}", ranks=ranks)
        self.succeeds("predict", "tagNone", "--data", "data.h5", "--out", "p.h5")
        with h5py.File(self.path("p.h5")) as file:
            said, probability = file["mark"][:], file["probability"][:]
        self.assertEqual(said.tolist(), (probability > 0.5).astype(int).tolist())
        known = marks >= 0
        right = (said == 1) & (marks == 1)
        self.assertAlmostEqual(
            json.loads(self.path("tagNone/result.json").read_text())["scores"]["f1"]["value"],
            2 * right.sum() / ((marks == 1).sum() + ((said == 1) & known).sum()), places=12)
        likelihood = numpy.where(marks == 1, probability, 1 - probability)[known]
        self.assertAlmostEqual(result["scores"]["nll"]["value"], -numpy.log(likelihood).mean(),
                               places=3)

    def test_labels_in_other_files(self):
        _, plain = self.task("plain")
        with h5py.File(self.path("data.h5")) as data:
            images, labels = data["images"][:], data["names"].asstr()[:]
        for name, part in (("a", slice(0, 25)), ("b", slice(25, SAMPLES))):
            with h5py.File(self.path(f"part-{name}.h5"), "w") as file:
                file["images"] = images[part]
            with h5py.File(self.path(f"labels-{name}.h5"), "w") as file:
                file["species"] = labels[part].astype("S7")
        with h5py.File(self.path("all.h5"), "w") as file:
            file["species"] = labels.astype("S7")
        parts = 'data.files="part-*.h5"'
        for files in "labels-*.h5", "all.h5":
            _, result = self.task("species", parts, f'data.label_files="{files}"',
                                  run="run-" + files.replace("*", "x"))
            self.assertEqual(self.scores(result), self.scores(plain))
        _, result = self.task("species", 'data.label_files="all.h5"', 'test.label=names',
                              'test.files="data.h5"', "data.label=species", run="mixed")
        for files, says in (("labels-a.h5", ["has the shape [25], but there are 60 samples"]),
                            ("labels-c*.h5", ["no file matches", "data.label_files"]),
                            ('["labels-b.h5", "labels-a.h5"]',
                             ["data.label_files is read in the bytewise order of paths"]),
                            ('["all.h5", "labels-a.h5", "labels-b.h5"]',
                             ["data.label_files names 3 files", "the samples lie in 2"])):
            value = files if files.startswith("[") else f'"{files}"'
            result = self.task("species", parts, f"data.label_files={value}", status=2, run="no")
            for part in says:
                self.assertIn(part, result.complaint())

    def test_a_label_in_each_file(self):
        _, plain = self.task("plain")
        with h5py.File(self.path("data.h5")) as data:
            images, labels = data["images"][:], data["names"].asstr()[:]
        for i in range(SAMPLES):
            with h5py.File(self.path(f"one-{i:03}.h5"), "w") as file:
                file["images"], file["kind"] = images[i], labels[i]
        _, result = self.task("kind", 'data.files="one-*.h5"', "data.leading=0")
        self.assertEqual(self.scores(result), self.scores(plain))

    def test_check_looks_at_a_task(self):
        self.task("plain", run="plain")
        for name, label, says in (("linear", "names", "60 of 60 samples: 4 classes of 14 to 16"),
                                  ("ridge", "mean_some", "40 of 60 samples: 1 value of each"),
                                  ("linear", "gaps", "0 = 3, 1 = 13, 2 = 23, 3 = 33")):
            self.path("check.toml").write_text(TASK.format(name=name, label=label, keys=""))
            told = self.succeeds("check", "check.toml").stdout
            self.assertIn(says, told)
            self.assertIn("samples equal to another", told)
        result = self.lacuna("check", "check.toml", "--set", "data.label=short")
        self.assertEqual(result.status, 2, result)
        self.assertIn("short has the shape [59]", result.complaint())
        for words in ("--ranks", "4"), ("--sbatch",):
            result = self.lacuna("check", "check.toml", *words)
            self.assertEqual(result.status, 2, result)
            self.assertIn(f"{words[0]} is of jobs of pretrain", result.complaint())


class SmallSets(support.EndToEndTest):
    def setUp(self):
        super().setUp()
        support.write_images(self.path("data.h5"), samples=20, size=(8, 8))

    def write(self, objective, batch):
        support.write_experiment(self.path("a.toml"), objective=objective, more="max_steps = 2\n")
        toml = self.path("a.toml").read_text()
        self.path("a.toml").write_text(toml.replace("batch = 8", f"batch = {batch}"))

    def test_a_sample_is_no_negative_of_itself(self):
        self.write("simclr", 24)
        for stage in "pretrain", "check":
            result = self.lacuna(stage, "a.toml")
            self.assertEqual(result.status, 2, result)
            self.assertIn("train.batch is 24, more than the 20 samples", result.complaint())
        self.write("rotation", 24)
        self.assertIn("every batch holds some of them twice",
                      self.succeeds("pretrain", "a.toml").stdout)
        self.write("simclr", 8)
        for stage in "pretrain", "check":
            told = self.succeeds(stage, "a.toml", *(["--force"] if stage == "pretrain" else []))
            self.assertIn("over the end of an epoch holds some of them twice", told.stdout)
            self.assertIn("a divisor, such as 5", told.stdout)
        for objective, batch in (("simclr", 10), ("rotation", 8)):
            self.write(objective, batch)
            told = self.succeeds("pretrain", "a.toml", "--force").stdout
            self.assertNotIn("over the end of an epoch", told)

    def test_choices_that_cannot_be_made(self):
        self.write("rotation", 8)
        self.succeeds("pretrain", "a.toml", "--run", "run")
        support.write_task(self.path("knn.toml"), "knn", "k = [7, 3]\nfeatures = 'pixels'")
        with h5py.File(self.path("data.h5"), "a") as data:
            data["one"] = numpy.zeros(20, "i4")
        told = self.succeeds("finetune", "knn.toml", "--from", "run", "--set", "data.label=one",
                             "--set", "test.label=one").stdout
        self.assertIn("cannot tell the values to choose from apart, which all have the accuracy 1: "
                      "7, the first, is taken", told)
        support.write_task(self.path("classify.toml"), "classify",
                           "steps = 6\nrates = [1e38, 1e-3]")
        told = self.succeeds("finetune", "classify.toml", "--from", "run", "--set",
                             "train.batch=200", ranks=2).stdout
        self.assertIn("draw 1, rate 1e+38: at rate 1e+38 the loss became no number", told)
        self.assertIn("a draw has 20 labels, fewer than train.batch = 200", told)
        self.assertNotIn('"chosen":[0', told.replace('"chosen":[0.001', ""))
        result = self.lacuna("finetune", "classify.toml", "--from", "run", "--run", "none", "--set",
                             "task.rates=[1e38]", "--set", "task.labels=1")
        self.assertEqual(result.status, 3, result)
        self.assertIn("at every rate of task.rates", result.complaint())
