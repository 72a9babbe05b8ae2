"""Stopped early, by a signal to one rank or by --max-hours, every stage ends with status 75, having
kept what it has done; started again it ends with what it would have ended with. And what runs
twice, or gets nowhere."""

import os
import re
import signal
import time
import tomllib

import h5py
import numpy

import support
from continues import ContinuesTest

CTEST_TIMEOUT = 600


def starts(path):
    return tomllib.loads(path.read_text())["attempt"]


class Stopping(ContinuesTest):
    def signalled(self, text, *arguments, ranks=None, to=0, name=signal.SIGUSR1, env=None,
                  halts=True):
        """Runs the program until it has told the text, then signals one rank; returns its Result.
        Where it `halts` rank 0 goes no further before the signal is sent, however fast it is."""
        sent = self.path("signal-is-sent")
        sent.unlink(missing_ok=True)
        halt = self.faults(halt_after=text, halt_until=sent,
                           **({"rank": 0} if ranks else {})) if halts else {}
        process = support.start(support.command_line(*arguments, ranks=ranks), cwd=self.folder,
                                env={**halt, **(env or {})})
        self.addCleanup(support.kill, process)
        told = support.Halted(process, ranks)
        told.wait_for(text)
        # The children of a launcher are in the order of their ranks.
        os.kill(sorted(support.rank_processes(process))[to], name)
        sent.touch()
        result = support.finish(process, 60)
        result.stdout = told.told + result.stdout
        return result

    def write_task(self, name, keys=""):
        support.write_task(self.path("task.toml"), name, keys, training="[log]\ninterval = 0\n")

    def long(self, objective, run):
        return [
            *self.arguments(objective, run), "--set", "train.epochs=40000",
            "train.checkpoint_steps=0"]


class Stops(Stopping):
    def test_a_signal_to_any_rank_ends_all_with_a_checkpoint(self):
        for ranks, to, name in ((None, 0, signal.SIGTERM), (2, 0, signal.SIGUSR1),
                                (3, 2, signal.SIGUSR1)):
            with self.subTest(ranks=ranks, to=to):
                run = self.path(f"run-{ranks}-{to}")
                result = self.signalled("step 5 of", *self.long("simclr", run), ranks=ranks, to=to,
                                        name=name)
                self.assertEqual(result.status, 75, result)
                steps = support.checkpoints(run)[-1]
                asked = f"{name.name} to rank {to}"
                self.assertEqual(
                    result.complaint(), f"lacuna: stopped early after step {steps} for {asked}: "
                    "start the same command again to go on")
                took = re.search(rf"checkpoint of step {steps} was complete ([0-9.]+) s after",
                                 result.stdout)
                self.assertLess(float(took[1]), 10)
                last = starts(run / "attempts.toml")[-1]
                self.assertEqual((last["at"], last["status"], last["ranks"]),
                                 ("step 0", 75, ranks or 1))
                self.assertIn(asked, last["why"])
                self.assertFalse((self.folder / f"{run.name}.lease").exists())

    def test_continued_after_signals_it_ends_as_if_there_had_been_none(self):
        whole, run = self.path("whole"), self.path("run")
        arguments = self.arguments("byol", run) + ["--set", "train.epochs=30"]
        steps = 30 * 44 // 8
        self.succeeds(*self.arguments("byol", whole), "--set", "train.epochs=30", ranks=2)
        for text in ("step 20 of", "step 60 of", "step 120 of"):
            result = self.signalled(text, *arguments, ranks=2, to=1)
            self.assertEqual(result.status, 75, result)
        self.succeeds(*arguments, ranks=2)
        self.assertEqual(support.differences(run, whole, steps), [])
        self.assertEqual([start.get("status") for start in starts(run / "attempts.toml")],
                         [75, 75, 75, 0])

    def test_the_signal_can_be_chosen(self):
        chosen = [*self.long("simclr", "run"), "--set", 'train.stop_signals=["USR2"]']
        result = self.signalled("step 5 of", *chosen, name=signal.SIGUSR2)
        self.assertEqual(result.status, 75, result)
        result = self.signalled("step 5", *chosen, name=signal.SIGTERM)
        self.assertEqual(result.status, -signal.SIGTERM, result)
        result = self.lacuna(*self.arguments("simclr", "other"), "--set", "train.stop_signals=KILL")
        self.assertEqual(result.status, 2)
        self.assertIn("train.stop_signals has KILL: give some of USR1, USR2, TERM",
                      result.complaint())

    def test_max_hours_ends_before_its_time(self):  # needs 2 processors
        for ranks in (None, 2):
            run = self.path(f"run-{ranks}")
            began = time.monotonic()
            result = self.lacuna(*self.long("simclr", run), "--max-hours", "0.002",
                                 ranks=ranks)  # 7.2 s
            self.assertLess(time.monotonic() - began, 7.2 + 1.5, result)
            self.assertEqual(result.status, 75, result)
            self.assertIn("for --max-hours 0.002: start", result.complaint())
            self.assertGreater(support.checkpoints(run)[-1], 5)
        result = self.lacuna(*self.long("simclr", "other"), "--max-hours", "0")
        self.assertEqual((result.status, result.complaint()),
                         (2, "lacuna: --max-hours is 0; it must be a number above 0"))

    def test_embed_stops_and_continues(self):
        self.succeeds(*self.arguments("simclr", "run"), "--set", "train.epochs=1")
        support.write_images(self.path("many.h5"), samples=80000, size=(16, 16), chunk=64)
        embed = ["embed", "run", "--data", "many.h5", "--set", "log.interval=0", "--out"]
        self.succeeds(*embed, "whole.h5", ranks=2)
        result = self.signalled("embedded 2048 of", *embed, "z.h5", ranks=2, to=1)
        self.assertEqual(result.status, 75, result)
        self.assertRegex(result.complaint(),
                         "stopped early after [0-9]+ of 80000 samples for SIGUSR1 to rank 1: ")
        done = int(re.search("after ([0-9]+) of", result.complaint())[1])
        self.assertLess(done, 80000)
        took = re.search(r"what is done was saved ([0-9.]+) s after SIGUSR1 to rank 1",
                         result.stdout)
        self.assertLess(float(took[1]), 10)
        self.assertEqual(starts(self.path("z.h5.attempts"))[-1]["status"], 75)
        result = self.succeeds(*embed, "z.h5", ranks=2)
        self.assertIn(f"continuing z.h5 after {done} of 80000 samples", result.stdout)
        self.assertFalse(self.path("z.h5.attempts").exists())
        with h5py.File(self.path("z.h5")) as ours, h5py.File(self.path("whole.h5")) as theirs:
            numpy.testing.assert_array_equal(ours["z"][()], theirs["z"][()])

    def test_finetune_stops_and_continues(self):
        self.succeeds(*self.arguments("simclr", "run"), "--set", "train.epochs=1")
        self.write_task("classify", "steps = 300\nrates = [1e-3, 3e-3]\n")
        finetune = ["finetune", "task.toml", "--from", "run", "--run"]
        whole = self.succeeds(*finetune, "whole", ranks=2)
        result = self.signalled("step 20 of", *finetune, "tuned", ranks=2, to=1)
        self.assertEqual(result.status, 75, result)
        told = self.lacuna("status", "tuned")
        self.assertIn("its trials are not finished", told.stdout)
        # As of a start that was killed before its first trial.
        self.path("tuned/trials.h5").rename(self.path("kept"))
        self.assertIn("its trials are not finished", self.lacuna("status", "tuned").stdout)
        self.path("kept").rename(self.path("tuned/trials.h5"))
        self.assertIn("status 75", told.stdout)
        result = self.succeeds(*finetune, "tuned", ranks=2)
        self.assertIn("continuing", result.stdout)
        self.assertEqual(*[[line for line in each.stdout.splitlines() if line.startswith("RESULT")]
                           for each in (whole, result)])


    def test_finetune_stops_and_continues_while_it_embeds(self):
        self.succeeds(*self.arguments("simclr", "run"), "--set", "train.epochs=1")
        self.path("data.h5").unlink()
        support.write_images(self.path("data.h5"), samples=40000, size=(16, 16), chunk=64)
        self.write_task("knn", "k = [3]\nlabels = 0.01\n")
        finetune = ["finetune", "task.toml", "--from", "run", "--set", "log.interval=0", "--run"]
        result = self.signalled("embedded 2048 of", *finetune, "tuned", ranks=2, to=1)
        self.assertEqual(result.status, 75, result)
        self.assertRegex(result.complaint(),
                         "stopped early after [0-9]+ of 40000 samples for SIGUSR1 to rank 1: ")
        done = re.search("after ([0-9]+) of", result.complaint())[1]
        result = self.succeeds(*finetune, "tuned", ranks=2)
        self.assertEqual(
            starts(self.path("tuned/attempts.toml"))[-1]["at"],
            f"0 trials, train.h5: {done} samples")
        self.assertIn(f"train.h5 after {done} of 40000 samples", result.stdout)


class Attempts(Stopping):
    def test_a_second_start_is_refused_while_the_first_lives(self):
        process = support.start(support.command_line(*self.long("simclr", "run"), ranks=2),
                                cwd=self.folder)
        self.addCleanup(support.kill, process)
        support.Halted(process, 2).wait_for("step 5 of")
        for arguments in (self.long("simclr", "run"), [*self.long("simclr", "run"), "--force"]):
            result = self.lacuna(*arguments, timeout=60)
            self.assertEqual(result.status, 2, result)
            self.assertRegex(
                result.complaint(),
                r"^lacuna: run is in use by .* \(process [0-9]+\), which is alive: "
                r"let it end, or stop it \(kill\), then start the same")
        told = self.lacuna("status", "run").stdout
        self.assertIn("run: in use by", told)
        self.assertRegex(told, r"step [0-9]+ of 220000 \([0-9.]+ %\), epoch [0-9.]+ of 40000, loss")
        self.assertIn("from step 0: running", told)

    def test_after_a_kill_it_starts_at_once(self):
        program = self.halted("step 5 of", *self.arguments("simclr", "run"), ranks=2)
        program.wait_for("step 5 of")
        program.kill()
        self.assertTrue(self.path("run.lease").exists())
        self.comes_to_say("ended without a word", "status", "run")
        began = time.monotonic()
        result = self.succeeds(*self.arguments("simclr", "run"), ranks=2)
        self.assertNotIn("sign of life", result.stdout)
        self.assertLess(time.monotonic() - began, 20)
        self.assertIn("finished", self.lacuna("status", "run").stdout)

    def test_the_lease_of_a_lost_host_expires_and_a_requeue_does_not_wait(self):
        lease = self.path("run.lease")
        lease.write_text('host = "lost"\nprocess = 1\nbeats = 7\njob = "12"\nrestart = 0\n')
        result = self.succeeds(*self.arguments("simclr", "run"),
                               env={"SLURM_JOB_ID": "12", "SLURM_RESTART_COUNT": "1"})
        self.assertNotIn("sign of life", result.stdout)
        lease.write_text('host = "lost"\nprocess = 1\nbeats = 7\njob = "12"\n')
        began = time.monotonic()
        result = self.succeeds(*self.arguments("simclr", "other"), env={"SLURM_JOB_ID": "13"})
        self.assertLess(time.monotonic() - began, 20)
        result = self.succeeds(*self.arguments("simclr", "run"), env={"SLURM_JOB_ID": "13"})
        self.assertIn("run is in use by job 12 on lost (process 1): waiting up to 30 s",
                      result.stdout)
        self.assertIn("taking run over", result.stdout)

    def test_a_signal_ends_the_wait_for_a_lease(self):
        self.path("run.lease").write_text('host = "lost"\nprocess = 1\nbeats = 7\n')
        for ranks in (None, 2):
            began = time.monotonic()
            result = self.signalled("waiting up to 30 s", *self.arguments("simclr", "run"),
                                    ranks=ranks, halts=False)
            self.assertEqual(result.status, 75, result)
            self.assertIn("stopped early by SIGUSR1 while waiting for run", result.complaint())
            self.assertLess(time.monotonic() - began, 20)
            self.assertIn("lost", self.path("run.lease").read_text())

    def removed_under_way(self, *arguments):
        """A run on two ranks whose folder is gone, at one instant."""
        process = support.start(support.command_line(*arguments, ranks=2), cwd=self.folder)
        self.addCleanup(support.kill, process)
        support.Halted(process, 2).wait_for("step 5 of")
        self.path("run").rename(self.path("gone"))
        return process

    def test_a_run_that_is_removed_and_stopped_is_not_to_be_started_again(self):
        process = self.removed_under_way(*self.long("simclr", "run"))
        for pid in support.rank_processes(process):
            os.kill(pid, signal.SIGUSR1)
        result = support.finish(process, 100)
        self.assertEqual(result.status, 2, result)
        self.assertIn("run was removed while the run went on", result.complaint())

    def test_a_run_that_is_removed_under_way_does_not_end_as_if_it_were_there(self):
        arguments = [*self.arguments("simclr", "run"), "--set", "train.epochs=400"]
        result = support.finish(self.removed_under_way(*arguments), 100)
        self.assertNotEqual(result.status, 0, result)
        self.assertRegex(
            result.complaint(),
            "run was removed|cannot (write|open|flush|rename to|make the folder) run/")

    def comes_to_say(self, text, *arguments):
        """Ranks of a killed launcher end a moment after it."""
        deadline = time.monotonic() + 10
        while text not in (told := self.lacuna(*arguments).stdout) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertIn(text, told)

    def job(self, restart):
        return {"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": str(restart)}

    def test_a_job_that_is_killed_at_the_same_step_three_times_ends(self):
        arguments = [*self.long("simclr", "run"), "--set", "train.checkpoint_steps=4"]
        self.succeeds(*self.arguments("simclr", "run"), "--set", "train.epochs=1", env=self.job(0))
        for restart in range(3):
            env = {**self.job(restart), **self.faults(halt_after="step 6 of")}
            program = support.Halted(
                support.start(support.command_line(*arguments), cwd=self.folder, env=env), None)
            program.wait_for("step 6 of")
            program.kill()
        result = self.lacuna(*arguments, env=self.job(3))
        self.assertEqual(result.status, 7, result)
        self.assertRegex(result.complaint(),
                         "lacuna: job 7 was started 3 times at step 5 and came no further: ")
        self.assertEqual(support.checkpoints(self.path("run"))[-1], 5)
        result = self.lacuna(*arguments, "--max-hours", "1e-9",
                             env={"SLURM_JOB_ID": "8"})  # another job goes on
        self.assertEqual(result.status, 75, result)

    def test_a_job_that_begins_anew_goes_on_after_it_was_requeued(self):
        once = ["--set", "train.epochs=1"]
        force = [*self.arguments("simclr", "run"), "--force", "--max-hours", "1e-9"]
        self.write_task("linear")
        finetune = [
            "finetune", "task.toml", "--from", "plain", "--run", "tuned", "--force", "--max-hours",
            "1e-9"]
        self.succeeds(*self.arguments("simclr", "run"), *once)
        self.succeeds(*self.arguments("simclr", "plain"), *once)
        self.succeeds(*finetune[:-3])
        for ranks, what, folder in ((None, force, "run"), (2, force, "run"),
                                    (2, finetune, "tuned")):
            results = [
                self.lacuna(*what, ranks=ranks, env=self.job(restart)) for restart in range(2)]
            self.assertEqual([result.status for result in results], [75, 75], results[-1])
            self.assertIn(f"moved the run that was there to {folder}.", results[0].stdout)
            self.assertIn(f"{folder} goes on in spite of --force: job 7 began it before",
                          results[1].stdout)
        self.assertEqual(len(list(self.folder.glob("run.[0-9]"))), 2)
        self.assertEqual(len(list(self.folder.glob("tuned.[0-9]"))), 1)

    def test_a_job_that_stops_early_three_times_without_progress_ends(self):
        self.succeeds(*self.arguments("simclr", "run"), "--set", "train.epochs=1")
        self.write_task("linear")
        finetune = [
            "finetune", "task.toml", "--from", "run", "--run", "tuned", "--max-hours", "1e-9"]
        results = [self.lacuna(*finetune, ranks=2, env=self.job(restart)) for restart in range(3)]
        self.assertEqual([result.status for result in results], [75, 75, 7], results[-1])
        self.assertIn("stopped early for the third time at 0 trials: the job comes no further",
                      results[2].complaint())
        self.succeeds(*finetune[:-2], ranks=2)

del ContinuesTest
