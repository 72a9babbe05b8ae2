"""Bad input gets one clear sentence, its documented exit status, leaves nothing half-written, and
ends within 20 s; on one rank without a launcher and on three, with the fault on one of them where
that can be. faulty_system.c makes files unreadable, disks full, and locks refused."""

import os
import time

import h5py
import numpy

import support

BAD_INPUT, BAD_VALUES, NO_SPACE = 2, 3, 4


class BadInput(support.EndToEndTest):
    def setUp(self):
        super().setUp()
        support.write_images(self.path("data.h5"), samples=32, size=(16, 16), chunk=4)
        support.write_experiment(self.path("a.toml"))

    def fails(self, *arguments, ranks, status, says, lines=1, env=None):
        """One run that must fail in order; returns our lines on stderr."""
        start = time.time()
        result = self.lacuna(*arguments, ranks=ranks, timeout=60, env=env)
        self.assertLess(time.time() - start, 20, result)
        self.assertEqual(result.status, status, result)
        ours = [line for line in result.stderr.splitlines() if line.startswith("lacuna:")]
        self.assertEqual(len(ours), lines, result)
        if ranks is None:  # no launcher: ours are all there is
            self.assertEqual(result.stderr.splitlines(), ours)
        for trace in ("terminate called", "received signal", "HDF5-DIAG", "Assertion", "what()"):
            self.assertNotIn(trace, result.stderr)
        for words in says:
            self.assertIn(words, "\n".join(ours), result)
        return ours

    def refused(self, *arguments, says, status=BAD_INPUT, lines=1, on=(None, 3), env=None):
        """Fails on one rank and on three, and leaves the folder as it was."""
        before = support.snapshot(self.folder)
        for ranks in on:
            self.fails(*arguments, ranks=ranks, status=status, says=says, lines=lines, env=env)
            self.assertEqual(support.snapshot(self.folder), before)

    def trained(self, run="run", steps=4, *more):
        """The folder of a run that has done some steps."""
        self.succeeds("pretrain", "a.toml", "--run", run, "--set", f"train.max_steps={steps}",
                      *more)
        return self.path(run)

    # ---- Data ------------------------------------------------------------------------------------

    def test_missing_data_file(self):
        self.refused("pretrain", "a.toml", "--set", "data.files=none.h5", says=["none.h5"])

    def test_pattern_without_a_match(self):
        self.refused("pretrain", "a.toml", "--set", "data.files=part-*.h5", says=["part-*.h5"])

    def test_folder_instead_of_a_file(self):
        self.path("folder.h5").mkdir()
        self.refused("pretrain", "a.toml", "--set", "data.files=folder.h5", says=["folder.h5"])

    def test_unreadable_file(self):
        self.refused("pretrain", "a.toml", says=["data.h5", "ermission denied"],
                     env=self.faults(unreadable="data.h5"))

    def test_file_that_one_rank_cannot_read(self):
        for rank in (0, 2):
            self.refused("pretrain", "a.toml", says=["data.h5", "ermission denied"], on=(3,),
                         env=self.faults(unreadable="data.h5", rank=rank))

    def test_not_hdf5(self):
        self.path("text.h5").write_text("one,two\n" * 1000)
        self.refused("pretrain", "a.toml", "--set", "data.files=text.h5", says=["text.h5", "HDF5"])

    def test_truncated_file(self):
        whole = self.path("data.h5").read_bytes()
        self.path("cut.h5").write_bytes(whole[:len(whole) // 2])
        self.refused("pretrain", "a.toml", "--set", "data.files=cut.h5",
                     says=["cut.h5", "truncated"])

    def test_wrong_dataset_path_lists_what_is_there(self):
        self.refused("pretrain", "a.toml", "--set", "data.dataset=image",
                     says=["data.h5", "no dataset /image ", "mean /images", "/labels"])

    def test_unsupported_type(self):
        with h5py.File(self.path("text.h5"), "w") as file:
            file["images"] = ["a", "b", "c"]
        with h5py.File(self.path("records.h5"), "w") as file:
            file["images"] = numpy.zeros((32, 16, 16), [("counts", "f4"), ("error", "f4")])
        for name in ("text.h5", "records.h5"):
            self.refused("pretrain", "a.toml", "--set", f"data.files={name}",
                         says=[name, "/images"])

    def test_missing_filter_is_named(self):
        with h5py.File(self.path("lzf.h5"), "w") as file:
            file.create_dataset("images", data=numpy.zeros((32, 16, 16), "uint8"),
                                chunks=(4, 16, 16), compression="lzf")
        self.refused("pretrain", "a.toml", "--set", "data.files=lzf.h5",
                     says=["lzf.h5", "lzf", "HDF5_PLUGIN_PATH"])

    def test_no_samples(self):
        with h5py.File(self.path("empty.h5"), "w") as file:
            file["images"] = numpy.zeros((0, 16, 16), "uint8")
        self.refused("pretrain", "a.toml", "--set", "data.files=empty.h5",
                     says=["empty.h5", "no samples"])

    def test_mismatched_label_count(self):
        with h5py.File(self.path("data.h5"), "a") as file:
            file["few"] = numpy.zeros(31, "uint8")
        self.refused("pretrain", "a.toml", "--set", "data.label=few", says=["data.h5", "31", "32"])

    def test_files_that_do_not_go_together(self):
        support.write_images(self.path("wide.h5"), samples=32, size=(16, 20))
        self.refused("pretrain", "a.toml", "--set", "data.files=['data.h5','wide.h5']",
                     says=["wide.h5", "[16, 20]", "[16, 16]"])

    def test_samples_without_height_and_width(self):
        with h5py.File(self.path("flat.h5"), "w") as file:
            file["images"] = numpy.zeros((32, 256), "uint8")
        self.refused("pretrain", "a.toml", "--set", "data.files=flat.h5", says=["images"])

    def test_samples_that_may_be_signals_or_images(self):
        with h5py.File(self.path("long.h5"), "w") as file:
            file["signals"] = numpy.random.default_rng(1).integers(0, 255, (32, 3, 40), "uint8")
            file["last"] = file["signals"][:].transpose(0, 2, 1)
            file["volumes"] = numpy.zeros((32, 6, 6, 6, 2), "uint8")
        given = ["pretrain", "a.toml", "--set", "data.files=long.h5", "data.statistics=sample"]
        self.refused(*given, "data.dataset=signals", says=["/signals", "[3, 40]", "data.kind"])
        self.refused(*given, "data.dataset=last", on=(None,),
                     says=["/last", "[40, 3]", "data.kind"])
        self.refused(*given, "data.dataset=last", "data.channels=last",
                     says=["/last", "[40, 3]", "a height, a width"])
        self.refused(*given, "data.dataset=volumes", on=(None,), says=["/volumes", "[6, 6, 6, 2]"])
        self.succeeds(*given, "data.dataset=signals", "data.kind=image", "train.max_steps=1")

    def test_labels_that_are_no_whole_numbers(self):
        with h5py.File(self.path("data.h5"), "a") as file:
            file["grade"] = file["labels"][:] + numpy.where(numpy.arange(32) == 5, 0.25, 0)
            file["whole"] = file["labels"][:].astype("float64")
        self.trained()
        for task in ("linear", "classify"):
            support.write_task(self.path("task.toml"), task, label="grade")
            self.refused("finetune", "task.toml", "--from", "run", "--run", "task",
                         on=(None, 3) if task == "linear" else (None,),
                         says=["the label of sample 5 in grade is ", ".25, and classes are"])
        support.write_task(self.path("task.toml"), "knn")
        self.refused("finetune", "task.toml", "--from", "run", "--run", "task", "--set",
                     "test.label=grade", on=(None,), says=["the label of sample 5 in grade is "])
        results = []
        for label in ("labels", "whole"):
            support.write_task(self.path("task.toml"), "linear", label=label)
            said = self.succeeds("finetune", "task.toml", "--from", "run", "--run", label).stdout
            self.assertEqual("the labels in whole are float64" in said, label == "whole", said)
            results.append(said.split("RESULT")[1])
        self.assertEqual(*results)

    def nan_file(self):
        """Random floats, the sample in row 21 with a NaN."""
        values = numpy.random.default_rng(1).random((32, 16, 16), "float32")
        values[21, 3, 3] = numpy.nan
        with h5py.File(self.path("nan.h5"), "w") as file:
            file.create_dataset("images", data=values, chunks=(2, 16, 16))
        return ["--set", "data.files=nan.h5", "--set", "data.range=[0,1]", "--set",
                "data.statistics=given", "--set", "data.mean=[0.5]", "--set", "data.std=[0.3]",
                "--set", "train.checkpoint_steps=1"]

    def test_nan_in_the_data_is_named_and_the_run_goes_on_when_mended(self):
        for ranks in (None, 3):
            more = self.nan_file() + ["--run", f"run-{ranks}"]
            self.fails("pretrain", "a.toml", *more, ranks=ranks, status=BAD_VALUES,
                       says=["nan.h5", "row 21"])
            with support.writable(self.path("nan.h5")) as file:
                file["images"][21, 3, 3] = 0
            self.succeeds("pretrain", "a.toml", *more, ranks=ranks)
            self.assertEqual(support.checkpoints(self.path(f"run-{ranks}"))[-1], 8)

    def test_nan_that_the_statistics_meet(self):
        self.nan_file()
        self.refused("pretrain", "a.toml", "--set", "data.files=nan.h5", "--set",
                     "data.range=[0,1]", status=BAD_VALUES, says=["nan.h5", "row 21"])

    def test_other_data_under_an_existing_run(self):
        run = self.trained()
        os.remove(self.path("data.h5"))
        support.write_images(self.path("data.h5"), samples=40, size=(16, 16))
        self.refused("pretrain", "a.toml", "--run", run, "--set", "train.max_steps=4",
                     "--set", "train.epochs=3", says=["32", "40"])

    # ---- Configuration and command line ----------------------------------------------------------

    def test_missing_configuration(self):
        self.refused("pretrain", "none.toml", says=["none.toml"])

    def test_missing_option(self):
        self.refused("embed", "run", lines=2, says=["--data FILE.h5 is missing", "--out"])

    def test_configuration_that_is_no_toml(self):
        self.path("b.toml").write_text("[train\nbatch = 8\n")
        self.refused("pretrain", "b.toml", says=["b.toml", "line 1"])

    def test_unknown_key_names_the_nearest(self):
        support.write_experiment(self.path("b.toml"), more="epoch = 3\n")
        self.refused("pretrain", "b.toml", says=["b.toml", "train.epoch", "train.epochs"])

    def test_wrong_type_and_out_of_range_and_missing_are_told_together(self):
        self.path("b.toml").write_text(
            "[objective]\nname = \"simclr\"\ntemperature = \"warm\"\n[data]\ndataset = \"images\"\n"
            "[train]\nbatch = 1\n")
        told = self.path("b.toml").read_text()
        self.refused("pretrain", "b.toml", lines=3,
                     says=["objective.temperature", "train.batch", "data.files"])
        self.assertEqual(self.path("b.toml").read_text(), told)

    def test_unknown_choice_lists_the_choices(self):
        self.refused("pretrain", "a.toml", "--set", "objective.name=simclar",
                     says=["simclar", "simclr"])

    def test_setting_that_is_no_setting(self):
        self.refused("pretrain", "a.toml", "--set", "train.batch", says=["train.batch"])

    def test_batch_smaller_than_ranks(self):
        self.refused("pretrain", "a.toml", "--set", "train.batch=2", on=(3,), says=["2", "3 ranks"])

    def test_less_than_one_batch(self):
        self.refused("pretrain", "a.toml", "--set", "train.batch=128", says=["128", "32"])

    # ---- Runs and outputs ------------------------------------------------------------------------

    def test_changed_configuration_of_an_existing_run(self):
        run = self.trained()
        self.refused("pretrain", "a.toml", "--run", run, "--set", "train.max_steps=4",
                     "--set", "optimizer.lr=0.5", "--set", "encoder.width=8",
                     says=["optimizer.lr", "0.5", "encoder.width", "--init-from"])

    def test_run_folder_that_is_something_else(self):
        self.path("thesis").mkdir()
        self.path("thesis", ).joinpath("chapter.tex").write_text("Introduction")
        self.refused("pretrain", "a.toml", "--run", "thesis", says=["thesis"])

    def test_run_folder_that_cannot_be_made(self):
        self.refused("pretrain", "a.toml", "--run", "data.h5/run",
                     says=["data.h5", "Not a directory"])
        self.refused("pretrain", "a.toml", "--run", "/proc/lacuna",
                     says=["cannot make the lease of /proc/lacuna"])

    def test_weights_of_another_architecture(self):
        other = self.trained("other", 1, "--set", "encoder.width=8")
        self.refused("pretrain", "a.toml", "--init-from", other, says=["encoder.", "[8", "[4"])

    def test_init_from_what_is_no_run(self):
        self.path("nothing").mkdir()
        self.refused("pretrain", "a.toml", "--init-from", "nothing", says=["nothing"])

    def test_embedding_what_is_no_run(self):
        self.refused("embed", "none", "--data", "data.h5", "--out", "z.h5", says=["none"])

    def test_embedding_a_step_that_is_not_there(self):
        run = self.trained()
        self.refused("embed", run, "--data", "data.h5", "--out", "z.h5", "--checkpoint", "3",
                     says=["3"])

    def test_teacher_of_an_objective_without_one(self):
        run = self.trained()
        self.refused("embed", run, "--data", "data.h5", "--out", "z.h5", "--output",
                     "teacher.encoder", says=["teacher.encoder", "encoder, projector"])

    def test_output_that_exists(self):
        run = self.trained()
        self.path("z.h5").write_text("precious")
        self.refused("embed", run, "--data", "data.h5", "--out", "z.h5", says=["z.h5", "--force"])

    def test_output_that_cannot_be_written(self):
        run = self.trained()
        for out in ("none/z.h5", "/proc/z.h5"):
            self.refused("embed", run, "--data", "data.h5", "--out", out, says=[out])

    def test_other_channels_than_the_run_was_trained_on(self):
        run = self.trained()
        support.write_images(self.path("rgb.h5"), samples=8, size=(16, 16), channels=3)
        self.refused("embed", run, "--data", "rgb.h5", "--out", "z.h5", says=["3 channels"])

    def test_damaged_checkpoint(self):
        run = self.trained()
        part = support.checkpoint_folder(run, 4) / "part-000.h5"
        damaged = bytearray(part.read_bytes())
        damaged[-100] ^= 1
        part.write_bytes(damaged)
        self.refused("embed", run, "--data", "data.h5", "--out", "z.h5", "--checkpoint", "4",
                     says=["part-000.h5"])

    def test_an_output_that_is_a_file_of_the_data(self):
        run = self.trained()
        self.path("link.h5").symlink_to("data.h5")
        for out in ("data.h5", "link.h5"):
            self.refused("embed", run, "--data", "data.h5", "--out", out, "--force",
                         says=[f"--out {out} is a file of the data"])

    def test_a_folder_that_is_not_there(self):
        run = self.trained()
        self.refused(
            "embed", run, "--data", "data.h5", "--out", "none/z.h5", says=[
                "none/z.h5.lease: No such file or directory; check its name and the folders above "
                "it"])

    def test_a_checkpoint_that_cannot_be_read_is_not_passed_over(self):
        run = self.trained("run", 8, "train.checkpoint_steps=4")
        for file in ("part-000.h5", "checkpoint.h5"):
            unreadable = self.faults(unreadable=f"step-000000008/{file}")
            for stage in (["pretrain", "a.toml", "--run", run, "--set", "train.max_steps=8"],
                          ["embed", run, "--data", "data.h5", "--out", "z.h5"]):
                self.refused(*stage,
                             says=[f"step-000000008/{file}: Permission denied; make it readable"],
                             env=unreadable)

    def test_a_run_of_which_all_checkpoints_are_damaged_says_that_it_begins_anew(self):
        run = self.trained()
        (support.checkpoint_folder(run, 4) / "part-000.h5").write_bytes(b"")
        told = self.succeeds("pretrain", "a.toml", "--run", run, "--set",
                             "train.max_steps=4").stdout
        self.assertIn("checkpoint 4 is not used, and no other is left: ", told)
        self.assertIn(f"{run} has no checkpoint to go on from: it begins at step 0", told)

    def test_a_folder_that_cannot_be_looked_at(self):
        run = self.trained()
        for name in ("checkpoints", "config.toml", "attempts.toml"):
            (run / name).rename(self.path("kept"))
            (run / name).symlink_to(name)  # to itself
            self.refused("status", run, on=(None,), says=[name])
            (run / name).unlink()
            self.path("kept").rename(run / name)

    def test_embedding_data_with_nan(self):
        run = self.trained()
        self.nan_file()
        self.refused("embed", run, "--data", "nan.h5", "--out", "z.h5", status=BAD_VALUES,
                     says=["nan.h5", "row 21"])

    # ---- Fine-tuning -----------------------------------------------------------------------------

    def task(self, label="labels"):
        """A linear probe on the data it is tested with."""
        support.write_task(self.path("task.toml"), "linear", label=label)
        return "task.toml"

    def test_fine_tuning_from_what_is_no_run(self):
        self.refused("finetune", self.task(), "--from", "none", says=["none"])

    def test_fine_tuning_without_labels(self):
        run = self.trained()
        self.refused("finetune", self.task(""), "--from", run, says=["data.label"])

    def test_fine_tuning_with_labels_that_are_not_there(self):
        run = self.trained()
        self.refused("finetune", self.task("label"), "--from", run, says=["/label", "/labels"])

    # ---- The system ------------------------------------------------------------------------------

    def test_full_disk_while_checkpoints_are_written(self):
        steps = ["--set", "train.checkpoint_steps=2", "--set", "train.keep=9"]
        whole = support.checkpoint_folder(self.trained("whole", 2), 2) / "part-000.h5"
        size = whole.stat().st_size
        for ranks in (None, 3):
            run = f"run-{ranks}"
            self.fails("pretrain", "a.toml", "--run", run, *steps, ranks=ranks, status=NO_SPACE,
                       says=["step-"],
                       env=self.faults(full_below="part-", full_after=int(2.5 * size)))
            self.assertEqual(support.checkpoints(self.path(run)), [2, 4])
            self.assertEqual(list(self.path(run).rglob("*.tmp")), [])
            support.checkpoint_tensors(support.checkpoint_folder(self.path(run), 4))
            self.succeeds("pretrain", "a.toml", "--run", run, *steps, ranks=ranks)
            self.assertEqual(support.checkpoints(self.path(run)), [2, 4, 6, 8])

    def test_full_disk_while_metrics_are_written(self):
        self.fails("pretrain", "a.toml", "--run", "run", ranks=None, status=NO_SPACE,
                   says=["metrics.jsonl"], env=self.faults(full_below="metrics.jsonl"))

    def test_full_disk_while_representations_are_written(self):
        run = self.trained()
        self.refused("embed", run, "--data", "data.h5", "--out", "z.h5", status=NO_SPACE,
                     says=["z.h5"], env=self.faults(full_below="z.h5", full_after=1000))

    def test_refused_locks_are_one_warning(self):
        for ranks in (None, 3):
            result = self.succeeds("pretrain", "a.toml", "--run", f"run-{ranks}", ranks=ranks,
                                   env=self.faults(no_locks=1))
            warnings = [line for line in result.stdout.splitlines() if "locking" in line]
            self.assertEqual(len(warnings), 1, result)
            self.assertTrue(warnings[0].startswith("warning: "), result)

    def test_loss_that_is_no_number(self):
        for ranks in (None, 3):
            self.fails("pretrain", "a.toml", "--run", f"run-{ranks}", "--set", "optimizer.lr=1e38",
                       ranks=ranks, status=BAD_VALUES, says=["loss", "optimizer.lr"])
