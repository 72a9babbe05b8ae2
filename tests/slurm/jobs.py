"""jobs/ on a real SLURM: chain, array, wall clock, preemption, requeue, a lost node, other numbers
of nodes."""

import shlex
import tomllib

import support
from testbed import SlurmTest

CTEST_TIMEOUT = 300

MPIRUN = {"LACUNA_LAUNCHER": "mpirun --oversubscribe"}


class Jobs(SlurmTest):
    def starts(self, run):
        return tomllib.loads(self.path(f"{run}/attempts.toml").read_text())["attempt"]

    def whole(self, epochs, ranks=4):
        self.experiment("whole", epochs)
        self.succeeds("pretrain", "whole.toml", ranks=ranks)
        return epochs * 44 // 8

    def write_task(self):
        support.write_task(self.path("task.toml"), "knn", "k = [1, 3]")

    def test_a_chain(self):
        self.experiment("x", 2)
        self.write_task()
        told = self.command(support.SOURCE / "jobs/pipeline", "x.toml", "task.toml", "--data",
                            "data.h5", "--out", "z.h5")
        jobs = [line.split()[-1] for line in told.splitlines()]
        self.assertEqual(len(jobs), 3, told)
        for job in jobs:
            self.wait_for_end(job)
        self.assertTrue(self.path("z.h5").exists())
        self.assertIn('"task":"knn"', self.path("runs/x-task/result.json").read_text())
        self.assertIn("2 ranks on 1 node", self.log(jobs[0]))

    def test_check_tells_what_a_job_asks_for_and_how_it_starts(self):
        self.experiment("x", 2)
        asked = (support.LACUNA, "check", "x.toml", "--ranks", "4", "--nodes", "2")
        words = self.command(*asked, "--sbatch").split()
        job = self.submit("pretrain", "x.toml", options=words)
        self.wait_for_end(job)
        self.assertIn("4 ranks on 2 nodes", self.log(job))
        self.assertIn(f"--time={self.field(job, 'TimeLimit')}", words)
        self.assertIn(f"--mem={self.field(job, 'MinMemoryNode')}", words)
        self.assertIn("  srun --mpi=pmix --kill-on-bad-exit=1 lacuna pretrain x.toml\n",
                      self.command(*asked))

    def test_a_chain_ends_with_its_first_job(self):
        self.write_task()
        told = self.command(support.SOURCE / "jobs/pipeline", "task.toml", "task.toml")
        jobs = [line.split()[-1] for line in told.splitlines()]
        self.wait_for_end(jobs[0], "FAILED")
        self.assertIn("lacuna: ", self.log(jobs[0]))
        self.wait_for_end(jobs[1], "CANCELLED")

    def test_an_array_over_a_grid(self):
        self.experiment("x", 2)
        self.write_task()
        self.path("grid.toml").write_text("""
pretrain = "x.toml"
finetune = "task.toml"
[grid]
optimizer.lr = [0.01, 0.1]
objective.temperature = [0.2, 0.5]
""")
        count = int(self.command(support.LACUNA, "sweep", "grid.toml", "--count"))
        self.assertEqual(count, 4)
        job = self.submit("sweep", "grid.toml", options=[f"--array=0-{count - 1}"])
        table = self.path("runs/grid/table.tsv")
        self.wait_until(lambda: table.exists() and table.read_text().count("\t11\t") == 4
                        and "-" not in table.read_text(), "the table is complete")
        rows = [line.split("\t") for line in table.read_text().splitlines()]
        self.assertEqual(
            rows[0][:7], ["run", "objective.temperature", "optimizer.lr", "step", "loss",
                          "accuracy", "better"])
        self.assertEqual(
            [row[:3] for row in rows[1:]],
            [["0", "0.2", "0.01"], ["1", "0.2", "0.1"], ["2", "0.5", "0.01"], ["3", "0.5", "0.1"]])
        self.assertEqual(len({row[4] for row in rows[1:]}), 4)
        self.assertIn("finished", self.path(f"lacuna-sweep-{job}-3.log").read_text())
        # Results stand beside the settings that they are of: after a change of the grid some are of
        # none of its runs.
        grid = self.path("grid.toml")
        grid.write_text(grid.read_text().replace("[0.01, 0.1]", "[0.01, 0.3]"))
        rows = [
            line.split("\t")
            for line in self.command(support.LACUNA, "sweep", "grid.toml").splitlines()[1:]]
        self.assertEqual([(row[2], row[3]) for row in rows], [("0.01", "11"), ("0.3", "-"),
                                                              ("0.01", "11"), ("0.3", "-")])

    def test_wall_clock(self):
        """SLURM's own warning: it comes up to half a minute before its time, so after 20 to 50 s of
        these 120."""
        self.experiment("x")
        options = ["-N2", "--ntasks-per-node=1", "--time=2", "--signal=B:USR1@70"]
        job = self.submit("pretrain", "x.toml", options=options, **self.halting("step 30 of"))
        steps = self.whole(40, ranks=2)
        self.wait_for_text(job, "goes back to the queue")
        self.assertIn("stopped early after step", self.log(job))
        self.start_at_once(job)
        self.wait_for_end(job)
        self.assertEqual([start["status"] for start in self.starts("runs/x")], [75, 0])
        self.assertIn("for SIGUSR1 to", self.starts("runs/x")[0]["why"])
        self.assert_same_end("runs/x", "runs/whole", steps)

    def test_the_warning_reaches_the_ranks_of_mpirun(self):
        steps = self.whole(40)
        self.experiment("x", 40)
        job = self.submit("pretrain", "x.toml", options=["-N2"], **MPIRUN,
                          **self.halting("step 30 of"))
        self.wait_for_text(job, "step 30 of")
        self.command("scancel", "--batch", "--signal=USR1", job)  # as SLURM does by --signal=B:USR1
        self.wait_for_text(job, "goes back to the queue")
        self.start_at_once(job)
        self.wait_for_end(job)
        self.assertEqual([start["status"] for start in self.starts("runs/x")], [75, 0])
        self.assertIn("for SIGUSR1 to", self.starts("runs/x")[0]["why"])
        self.assert_same_end("runs/x", "runs/whole", steps)

    def test_ranks_that_do_not_stop_before_the_limit_go_back_to_the_queue(self):
        self.experiment("x", 2)
        deaf = self.path("deaf")
        deaf.write_text(f"""#!/bin/sh
if [ -z "$SLURM_RESTART_COUNT" ]; then trap "" USR1; sleep 600; fi
exec {shlex.quote(support.LACUNA)} "$@"
""")
        deaf.chmod(0o755)
        job = self.submit("pretrain", "x.toml", options=["--time=1", "--signal=B:USR1@30"],
                          LACUNA=str(deaf), LACUNA_LAUNCHER="env")
        self.wait_for_text(job, "the ranks did not stop in time")
        self.start_at_once(job)
        self.wait_for_end(job)
        self.assertEqual([start["status"] for start in self.starts("runs/x")], [0])

    def test_preemption_under_srun(self):
        steps = self.whole(40)
        self.experiment("x", 40)
        job = self.submit("pretrain", "x.toml", options=["-N4", "--ntasks-per-node=1"],
                          **self.halting("step 30 of"))
        self.wait_for_text(job, "step 30 of")
        self.preempt(job)
        # All ranks get it, and a step may end before it has come to the last.
        self.assertRegex(
            self.starts("runs/x")[0]["why"], "for SIGTERM to ([2-4] ranks|rank [0-3]):")
        self.start_at_once(job)
        self.wait_for_end(job)
        self.assertIn("continuing", self.log(job))
        self.assertEqual([start["status"] for start in self.starts("runs/x")], [75, 0])
        self.assertGreaterEqual(int(self.starts("runs/x")[1]["at"].split()[1]), 30)
        self.assert_same_end("runs/x", "runs/whole", steps)

    def preempt(self, *logs):
        """Takes all nodes for a moment, after which those jobs have told that they stopped
        early."""
        urgent = self.command("sbatch", "--parsable", "-N4", "--exclusive", "-purgent",
                              "--wrap=sleep 2").strip()
        for log in logs:
            self.wait_for_text(log, "stopped early after step")
        self.wait_for_end(urgent)

    def test_a_chain_waits_for_a_member_that_is_preempted(self):
        self.experiment("x", 40)
        self.write_task()
        told = self.command(support.SOURCE / "jobs/pipeline", "x.toml", "task.toml", "--data",
                            "data.h5", "--out", "z.h5", **self.halting("step 30 of"))
        first, *others = [line.split()[-1] for line in told.splitlines()]
        self.wait_for_text(first, "step 30 of")
        self.preempt(first)
        self.start_at_once(first)
        for job in others:
            self.assertEqual(self.field(job, "Reason"), "Dependency")
        for job in (first, *others):
            self.wait_for_end(job)
        self.assertEqual([start["status"] for start in self.starts("runs/x")], [75, 0])
        self.assertIn('"step":220', self.path("runs/x-task/result.json").read_text())
        self.assertTrue(self.path("z.h5").exists())

    def test_an_array_goes_on_after_a_preemption(self):
        self.experiment("x", 40)
        self.path("grid.toml").write_text(
            'pretrain = "x.toml"\n[grid]\noptimizer.lr = [0.01, 0.1]\n')
        array = self.submit("sweep", "grid.toml", options=["--array=0-1"],
                            **self.halting("step 20 of"))
        for task in range(2):
            self.wait_for_text(f"{array}-{task}", "step 20 of")
        self.preempt(f"{array}-0", f"{array}-1")
        self.start_at_once(f"{array}_0", f"{array}_1")
        for task in range(2):
            self.wait_for_end(f"{array}_{task}")
            self.assertEqual([start["status"] for start in self.starts(f"runs/grid/{task}")],
                             [75, 0])
        self.assertEqual(self.path("runs/grid/table.tsv").read_text().count("\t220\t"), 2)

    def test_a_job_that_gets_nowhere_ends_after_two_restarts(self):
        self.experiment("x", 1)
        self.succeeds("pretrain", "x.toml")
        self.write_task()
        job = self.submit("finetune", "task.toml", "--from", "runs/x", "--run", "tuned",
                          "--max-hours", "1e-9")
        for ended in (1, 2):
            self.wait_until(lambda: self.log(job).count("goes back to the queue") == ended,
                            "it goes back")
            self.start_at_once(job)
        self.wait_for_end(job, "FAILED")
        self.assertEqual(self.field(job, "ExitCode"), "7:0")
        self.assertEqual(len(self.starts("tuned")), 3)
        self.assertIn("stopped early for the third time", self.log(job))

    def test_a_cancelled_job_stays_cancelled(self):
        self.experiment("x", 40)
        job = self.submit("pretrain", "x.toml", **self.halting("step 20 of"))
        self.wait_for_text(job, "step 20 of")
        self.command("scancel", job)
        self.wait_for_end(job, "CANCELLED")
        self.wait_until(lambda: support.checkpoints(self.path("runs/x")),
                        "a checkpoint")  # of its last step
        self.assertNotIn("goes back", self.log(job))

    def test_a_lost_node(self):
        """Its job goes back to the queue by itself, and on from the last checkpoint, on the nodes
        that are left."""
        steps = self.whole(40, ranks=3)
        self.experiment("x", 40)
        lost = self.path("node-is-lost")
        job = self.submit("pretrain", "x.toml", "--set", "train.checkpoint_steps=10",
                          options=["-N3", "--ntasks-per-node=1"],
                          **self.halting("step 35 of", until_signal=False, until=lost))
        self.wait_for_text(job, "step 35 of")
        self.wait_until(lambda: 30 in support.checkpoints(self.path("runs/x")), "a checkpoint")
        self.run_tool("kill", "node1")
        lost.touch()
        self.wait_until(lambda: int(self.field(job, "Restarts")) == 1, "SLURM notices it")
        self.start_at_once(job)
        self.wait_for_end(job)
        starts = self.starts("runs/x")
        self.assertNotIn("status", starts[0])
        self.assertGreaterEqual(int(starts[-1]["at"].split()[1]), 30)
        self.assert_same_end("runs/x", "runs/whole", steps)

    def test_four_nodes_then_two_then_three(self):
        self.experiment("x", 40)
        for nodes, text in ((4, "step 30 of"), (2, "step 90 of"), (3, None)):
            halting = self.halting(text) if text else {}
            job = self.submit("pretrain", "x.toml", options=[f"-N{nodes}", "--ntasks-per-node=1"],
                              **halting)
            if text is None:
                self.wait_for_end(job)
            else:
                self.wait_for_text(job, text)
                self.command("scancel", "--signal=USR1", job)  # to the ranks, not the script
                self.wait_for_text(job, "goes back to the queue")
                self.wait_until(lambda: self.field(job, "JobState") == "PENDING", "it waits")
                self.command("scancel", job)
        self.assertEqual([start["ranks"] for start in self.starts("runs/x")], [4, 2, 3])
        self.assertEqual([start["status"] for start in self.starts("runs/x")], [75, 75, 0])
