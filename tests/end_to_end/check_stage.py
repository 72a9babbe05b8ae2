"""lacuna check: what is in the data and what a job will take, before it is submitted. Needs no MPI,
and leaves nothing behind."""

import os
import re
import shutil
import subprocess
import time

import h5py
import numpy

import support


def rows_of(text):
    """The table's rows: name -> value."""
    return {
        match[1].strip(): match[2]
        for match in re.finditer(r"^  (.{27}) (\S.*)$", text, re.MULTILINE)}


def bytes_of(value):
    number, unit = re.match(r"([0-9.]+) ([KMG]?i?B)", value).groups()
    return float(number) * 1024 ** ("B", "KiB", "MiB", "GiB").index(unit)


class Check(support.EndToEndTest):
    def setUp(self):
        super().setUp()
        support.write_images(self.path("data.h5"), samples=64)
        support.write_experiment(self.path("a.toml"))

    def test_a_checkpoint_takes_what_it_says(self):
        before = support.snapshot(self.folder)
        text = self.succeeds("check", "a.toml").stdout
        endless = self.succeeds("check", "a.toml", "--set", f"train.keep={2 ** 63 - 1}").stdout
        self.assertRegex(
            endless, r"warning: checkpoints need [0-9.e+]+ TiB, and the file system of runs/a has")
        self.assertEqual(support.snapshot(self.folder), before)
        self.assertIn(
            "16 steps of 8 samples, 64 samples in the data set; 1 rank with up to 8 samples\n",
            text)
        self.succeeds("pretrain", "a.toml", "--run", "run")
        tensors = support.checkpoint_tensors(support.checkpoint_folder(self.path("run"), 16))
        held = sum(
            tensor.nbytes for name, tensor in tensors.items() if not name.startswith("data."))
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
        cases = (
            (["--ranks", "0"], "--ranks is 0; it must be a whole number from 1 on"),
            (["--ranks", "9"], "less than one sample for each of the 9 ranks"),
            (["--device", "h10"], "did you mean h100?"),
            (["--ranks", "6", "--nodes", "4"], "--ranks is 6, which --nodes, 4, does not divide"),
            (["--bandwidth", "fast"],
             "--bandwidth is fast; it must be a number of 0.001 or more, in GB/s"),
            (["--bandwidth", "1e-300"], "--bandwidth is 1e-300; it must be a number of 0.001"),
            (["--time-plans", "p.tsv"], "give --device cuda with it"),
            (["--set", "data.files=none.h5"], "none.h5"))
        for words, sentence in cases:
            result = self.lacuna("check", "a.toml", *words)
            self.assertEqual(result.status, 2, result)
            self.assertIn(sentence, result.complaint())

    def test_ranks_that_this_machine_has_no_processors_for_are_named(self):
        ranks = len(os.sched_getaffinity(0)) + 1
        asked = ("check", "a.toml", "--ranks", ranks, "--set", f"train.batch={ranks}",
                 f"train.epochs={ranks}")
        self.assertNotIn("fewer processors", self.succeeds(*asked, "--nodes", ranks).stdout)
        self.assertIn(f"and {ranks}): time is told as if each rank had one; give --nodes",
                      self.succeeds(*asked).stdout)

    def test_a_slower_network_takes_longer(self):
        for bandwidth in (0.001, 0.002):
            rows = rows_of(
                self.succeeds("check", "a.toml", "--ranks", "4", "--bandwidth", bandwidth).stdout)
            seconds, sent, messages = re.match(
                r"([0-9.e-]+) s: ([0-9.]+ \w+) at .* ([0-9]+) messages of 50 us",
                rows["sums over ranks"]).groups()
            # Gradients in a ring, and the statistics of normalisation and the rows of the loss
            # beside them.
            self.assertGreater(bytes_of(sent), 1.5 * bytes_of(rows["summed over ranks, a step"]))
            self.assertLess(bytes_of(sent), 2 * bytes_of(rows["summed over ranks, a step"]))
            expected = bytes_of(sent) / (1e9 * bandwidth) + int(messages) * 50e-6
            self.assertAlmostEqual(float(seconds), expected, delta=0.01 * expected)
            self.assertAlmostEqual(
                float(rows["a step"].split()[0]),
                expected + sum(float(rows[row].split()[0]) for row in ("computing", "loading")),
                delta=0.02 * expected)


class Sbatch(support.EndToEndTest):
    def setUp(self):
        super().setUp()
        support.write_images(self.path("data.h5"), samples=64)
        support.write_experiment(self.path("a.toml"))

    def test_words_for_sbatch_stand_alone_on_standard_output(self):
        with h5py.File(self.path("data.h5"), "a") as file:
            file["images"][:32] = 7  # of which it warns
        asked = ("check", "a.toml", "--ranks", "6", "--nodes", "2")
        result = self.succeeds(*asked, "--sbatch")
        self.assertRegex(
            result.stdout, "^--nodes=2 --ntasks-per-node=3 --cpus-per-task=1 --mem=[0-9]+00M "
            "--time=00:06:00\n$")
        self.assertIn("warning: 32 of 64 samples hold one value", result.stderr)
        lines = re.findall(r"^  #SBATCH (--.*)$", self.succeeds(*asked).stdout, re.MULTILINE)
        self.assertEqual([line.split("=")[0] for line in lines],
                         [word.split("=")[0] for word in result.stdout.split()])
        script = (support.SOURCE / "jobs/pretrain.sbatch").read_text()
        for word in lines:  # they go where the script has its own
            self.assertRegex(script, rf"(?m)^##?SBATCH {word.split('=')[0]}=")


class Data(support.EndToEndTest):
    """Defects that are planted are told; without them there is no warning."""

    def setUp(self):
        super().setUp()
        support.write_experiment(self.path("a.toml"), more="""max_steps = 2
""")

    def write(self, change=None, samples=1000, **options):
        """1000 images of ten classes in mixed order; change(images, labels) plants a defect."""
        random = numpy.random.default_rng(5)
        images = random.random((samples, 12, 12)).astype("float32")
        labels = random.permutation(numpy.arange(samples) % 10).astype("int16")
        if change:
            change(images, labels)
        with h5py.File(self.path("data.h5"), "w") as file:
            file.create_dataset("images", data=images, **{"chunks": (10, 12, 12), **options})
            file["labels"] = labels

    def warnings(self, *words, status=0):
        result = self.lacuna("check", "a.toml", "--set", "data.label=labels", *words)
        self.assertEqual(result.status, status, result)
        self.text = re.split(r"^2 steps of ", result.stdout,
                             flags=re.MULTILINE)[0]  # behind it: of the job
        return re.findall(r"^warning: (.*)$", self.text, re.MULTILINE)

    def test_good_data_give_no_warning(self):
        self.write()
        self.assertEqual(self.warnings(), [])
        rows = rows_of(self.text)
        self.assertIn("the data, by all 1000 samples\n", self.text)
        for row in ("samples of one value", "samples equal to another", "samples like another"):
            self.assertEqual(rows[row], "none")
        self.assertEqual(rows["classes"],
                         "10, of 100 to 100 samples; as diverse as 10 of equal size")

    def test_values_that_are_no_numbers_end_it_as_they_would_end_training(self):
        def change(images, labels):
            images[423, 5, 5] = numpy.nan
            images[700, 0, 0] = numpy.inf
        self.write(change)
        result = self.lacuna("check", "a.toml", "--set", "data.range=[0, 1]")
        self.assertEqual(result.status, 3, result)
        self.assertIn(
            "2 of 1000 samples looked at hold a NaN or infinity, the first in row 423 of "
            f"/images in {self.path('data.h5')}, at which training would end", result.complaint())
        self.assertIn("#SBATCH --time=", result.stdout)
        self.assertEqual(self.lacuna("pretrain", "a.toml", "--set", "data.range=[0, 1]").status, 3)

        def nothing_else(images, labels):
            images[:] = numpy.inf
        self.write(nothing_else)
        result = self.lacuna("check", "a.toml", "--set", "data.range=[0, 1]")
        self.assertEqual(result.status, 3, result)
        self.assertEqual(
            rows_of(result.stdout)["values"], "no number; NaN or infinity in 1000 samples")

    def test_what_is_wrong_with_samples_is_told(self):
        def constant(images, labels):
            images[::50] = 0.5

        def equal(images, labels):
            images[500:550] = images[:50]
            labels[500:550] = labels[:50]

        def contradicting(images, labels):
            equal(images, labels)
            labels[500] += 1

        def alike(images, labels):
            images[500:550] = 0.7 * images[:50] + 0.1 + 0.01 * images[600:650]

        def same(images, labels):
            images[:] = images[0] + 0.2 * images

        cases = (
            (constant, ["20 of 1000 samples hold one value throughout"]),
            (equal,
             ["about 10 % of the samples equal another one, such as samples 0 and 500: "]),
            (contradicting, ["about 10 % of the samples equal",
                             "2 samples equal one that has another label"]),
            (alike, ["about 10 % of the samples look like another one but for brightness, "
                     "contrast and slight noise, such as samples 0 and 500: "]),
            (same, ["all samples look much the same"]))
        for change, sentences in cases:
            self.write(change)
            told = self.warnings()
            self.assertEqual(len(told), len(sentences), told)
            for warning, sentence in zip(told, sentences):
                self.assertIn(sentence, warning)

    def test_ranges_that_do_not_fit_are_told(self):
        self.write()
        told = self.warnings("--set", "data.range=[0.5, 1]")
        self.assertEqual(len(told), 1, told)
        self.assertRegex(told[0], "^50 % of the values lie outside data.range")
        with h5py.File(self.path("data.h5"), "a") as file:
            images = (file["images"][()] * 2).astype("uint8")
            del file["images"]
            file["images"] = images
        told = self.warnings()
        self.assertEqual(len(told), 1, told)
        self.assertIn(
            "values reach 1 of 255, so that samples would be nearly black: set data.range = [0, 1]",
            told[0])

    def test_what_is_wrong_with_labels_is_told(self):
        def negative(images, labels):
            labels[labels == 4] = -1

        def one(images, labels):
            labels[:] = 3

        def rare(images, labels):
            labels[labels == 4] = 5
            labels[:4] = 4

        def numbers(images, labels):
            labels[:] = numpy.arange(1000)

        cases = (
            (negative, ["go down to -1", "no sample has the label 4"]),
            (one, ["all labels of /labels are 3"]),
            (rare, ["the largest class has", "and the smallest 4"]),
            (numbers, ["holds 1000 different values in 1000 samples, more like measurements"]))
        for change, sentences in cases:
            self.write(change)
            told = "\n".join(self.warnings())
            for sentence in sentences:
                self.assertIn(sentence, told)

    def test_sorted_data_are_named_where_few_places_are_mixed(self):
        def in_order(images, labels):
            labels.sort()
        self.write(in_order)
        self.assertEqual(self.warnings("--set", "data.lanes=50"), [])
        told = self.warnings("--set", "data.lanes=1", "data.window=1", "train.batch=50")
        self.assertEqual(len(told), 1, told)
        self.assertIn("sorted by label, and a batch draws from 1 place of them: it is", told[0])

    def test_ranks_that_share_what_they_read_are_told_better_numbers(self):
        self.write()
        lanes = ("--set", "data.lanes=4", "train.batch=8")
        self.assertEqual(self.warnings(*lanes, "--ranks", "2"), [])
        told = self.warnings(*lanes, "--ranks", "3")
        self.assertEqual(len(told), 1, told)
        self.assertIn("1.5 times the data are read: take a number of ranks that divides 4", told[0])

    def test_files_of_unlike_size_are_named(self):
        self.write()
        shutil.copy(self.path("data.h5"), self.path("data-big.h5"))
        for k in range(5):
            self.write(samples=10)
            self.path("data.h5").rename(self.path(f"data-{k}.h5"))
        told = self.warnings("--set", "data.files=data-*.h5")
        self.assertTrue(
            any("of 6 files a few hold most of the samples (10 to 1000 each)" in w for w in told),
            told)

    def test_the_line_that_mends_chunks_mends_them(self):
        for chunks, sentence in ((
            (100, 7, 7), r"jut out of samples of \[12, 12\] or of 1000 rows, so that 1.36 bytes"),
                                 ((1000, 12, 12), "are too large to be shuffled well")):
            self.write(chunks=chunks, compression="gzip")
            told = self.warnings("--set", "data.buffer=1 MiB")
            self.assertEqual(len(told), 1, told)
            self.assertRegex(told[0], sentence)
            line = told[0][told[0].index("h5repack "):]
            subprocess.run(line.split(), cwd=self.folder, check=True)
            self.assertEqual(self.warnings("--set", "data.buffer=1 MiB", "data.files=NEW.h5"), [])
            self.assertIn("bytes read x 1", self.text)
            with h5py.File(self.path("NEW.h5")) as file:
                self.assertEqual(file["images"].compression, "gzip")


class Launchers(support.EndToEndTest):
    def setUp(self):
        super().setUp()
        support.write_images(self.path("data.h5"), samples=64)
        support.write_experiment(self.path("a.toml"))

    def stand_in(self, name, text):
        self.path(name).write_text("#!/bin/sh\n" + text)
        self.path(name).chmod(0o755)

    def environment(self, **more):
        """As in a job; LACUNA_LAUNCHER may be the tests' own."""
        return {
            "LACUNA_LAUNCHER": "", "PATH": f"{self.folder}:{os.environ['PATH']}",
            "SLURM_CPUS_PER_TASK": "3", "SLURM_JOB_ID": "1", **more}

    def rule_of_the_scripts(self, env):
        script = f"source {support.SOURCE}/jobs/common.sh; launcher"
        return subprocess.run(["bash", "-c", script],
                              env={**os.environ, "LACUNA": support.LACUNA, **env}, check=True,
                              capture_output=True, text=True).stdout.strip()

    def test_the_rule_is_that_of_the_job_scripts(self):
        for offers in ("none\n\tpmi2\n", "none\n\tpmix\n\tpmi2\n", "none\npmix_v4\n",
                       "none\npmix\nspecific pmix plugin versions available: pmix_v4\n"):
            self.stand_in("srun", f'printf "MPI plugin types are...\n\t{offers}" >&2\n')
            for more in ({}, {"LACUNA_LAUNCHER": "srun --mpi=pmi2 -K"}):
                env = self.environment(**more)
                told = rows_of(self.succeeds("check", "a.toml",
                                             env=env).stdout)["in a job ranks start by"]
                expected = self.rule_of_the_scripts(env) + " lacuna pretrain a.toml"
                self.assertEqual(told.replace("$SLURM_CPUS_PER_TASK", "3"), expected)

    def test_without_slurm_mpirun_says_how_many(self):
        env = {"PATH": str(self.folder), "LACUNA_LAUNCHER": ""}  # neither srun nor anything else
        text = self.succeeds("check", "a.toml", "--ranks", "4", env=env).stdout
        self.assertEqual(
            rows_of(text)["ranks start by"].split(" ", 1)[1], "-n 4 lacuna pretrain a.toml")

    def test_a_srun_that_hangs_does_not_hang_check(self):
        self.stand_in("srun", "exec sleep 60\n")
        begin = time.time()
        text = self.succeeds("check", "a.toml", env=self.environment()).stdout
        self.assertLess(time.time() - begin, 30)
        self.assertIn("warning: srun --mpi=list has not answered", text)

    def test_a_process_of_a_launcher_starts_no_other(self):
        self.stand_in("srun", f"touch {self.path('started')}\n")
        self.succeeds("check", "a.toml", env=self.environment(PMI_SIZE="1"))
        self.assertFalse(self.path("started").exists())
        self.succeeds("check", "a.toml", env=self.environment())
        self.assertTrue(self.path("started").exists())
