"""jobs/*.sbatch with stand-ins for the program and for scontrol: arguments, status, requeue."""

import os
import subprocess

import support

STAGES = ("pretrain", "embed", "finetune")


class Jobs(support.EndToEndTest):
    def stand_in(self, name, text):
        self.path(name).write_text("#!/bin/sh\n" + text)
        self.path(name).chmod(0o755)
        return self.path(name)

    def submit(self, stage, status, *arguments):
        """Runs the script as SLURM would; returns its Result and scontrol's arguments, if called."""
        lacuna = self.stand_in("lacuna", f'printf "%s|" "$@"\nexit {status}\n')
        self.stand_in("scontrol", f'echo "$@" > {self.path("scontrol.log")}\n')
        env = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "LACUNA": str(lacuna),
               "LACUNA_LAUNCHER": "env", "SLURM_JOB_ID": "41", "SLURM_CPUS_PER_TASK": "1"}
        command = ["bash", str(support.SOURCE / f"jobs/{stage}.sbatch"), *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        log = self.path("scontrol.log")
        return (support.Result(command, done.returncode, done.stdout, done.stderr),
                log.read_text().split() if log.exists() else None)

    def test_every_stage_passes_arguments_on(self):
        for stage in STAGES:
            result, requeued = self.submit(stage, 0, "a b.toml", "--set", "x=1")
            self.assertEqual((result.status, result.stdout), (0, f"{stage}|a b.toml|--set|x=1|"), result)
            self.assertIsNone(requeued)

    def test_status_75_requeues_the_job(self):
        for stage in STAGES:
            result, requeued = self.submit(stage, 75, "x.toml")
            self.assertEqual(result.status, 75, result)
            self.assertEqual(requeued, ["requeue", "41"])

    def test_other_failures_end_the_job(self):
        for stage in STAGES:
            result, requeued = self.submit(stage, 2, "x.toml")
            self.assertEqual(result.status, 2, result)
            self.assertIsNone(requeued)

    def test_without_arguments_says_how(self):
        for stage in STAGES:
            result, requeued = self.submit(stage, 0)
            self.assertEqual((result.status, result.stdout), (2, ""), result)
            self.assertIn("usage: sbatch", result.stderr)
