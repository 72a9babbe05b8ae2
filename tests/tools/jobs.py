"""jobs/*.sbatch with stand-ins for the program and for scontrol: arguments, status, requeue."""

import collections
import os
import subprocess
import time
import unittest.mock

import support

STAGES = ("pretrain", "embed", "finetune", "predict")


class Jobs(support.EndToEndTest):
    def stand_in(self, name, text):
        self.path(name).write_text("#!/bin/sh\n" + text)
        self.path(name).chmod(0o755)
        return self.path(name)

    def submit(self, stage, status, *arguments, state="RUNNING", end="Unknown"):
        """Runs the script as SLURM would; returns its Result and scontrol's arguments, if
        called."""
        lacuna = self.stand_in("lacuna", f'printf "%s|" "$@"\nexit {status}\n')
        script = support.SOURCE / f"jobs/{stage}.sbatch"
        self.stand_in(
            "scontrol", f'''case $1 in
show) echo "JobId=41 JobName=x JobState={state} Reason=None EndTime={end}" \\
  "Command={script} a/b.toml WorkDir=/nowhere" ;;
*) echo "$@" > {self.path("scontrol.log")} ;;
esac
''')
        env = {
            **os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "LACUNA": str(lacuna),
            "LACUNA_LAUNCHER": os.environ.get("TEST_LAUNCHER", "env"), "SLURM_JOB_ID": "41",
            "SLURM_CPUS_PER_TASK": "1"}
        command = ["bash", str(script), *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        log = self.path("scontrol.log")
        return (support.Result(command, done.returncode, done.stdout, done.stderr),
                log.read_text().split() if log.exists() else None)

    def test_every_stage_passes_arguments_on(self):
        for stage in STAGES:
            result, requeued = self.submit(stage, 0, "a b.toml", "--set", "x=1")
            self.assertEqual((result.status, result.stdout), (0, f"{stage}|a b.toml|--set|x=1|"),
                             result)
            self.assertIsNone(requeued)

    def test_what_can_go_on_goes_back_to_the_queue(self):
        for stage in STAGES:
            for status in (75, 5, 9, 137, 138, 140):
                result, requeued = self.submit(stage, status, "x.toml")
                self.assertEqual(result.status, status, result)
                self.assertEqual(requeued, ["requeue", "41"])
                self.path("scontrol.log").unlink()

    def test_a_cancelled_job_does_not(self):
        result, requeued = self.submit("pretrain", 75, "x.toml", state="COMPLETING")
        self.assertEqual((result.status, requeued), (75, None), result)

    def test_other_failures_end_the_job(self):
        for stage in STAGES:
            for status in (1, 2, 3, 4, 6, 7, 134):
                result, requeued = self.submit(stage, status, "x.toml")
                self.assertEqual(result.status, status, result)
                self.assertIsNone(requeued)

    def test_signals_go_on_to_the_ranks(self):
        """SLURM's warning reaches the script alone; bash must not sit in a foreground child
        meanwhile."""
        for name in ("USR1", "USR2"):
            self.stand_in("launcher", f'''trap "echo got {name}; exit 75" {name}
kill -{name} $PPID
while :; do sleep 0.05; done
''')
            with unittest.mock.patch.dict(os.environ,
                                          {"TEST_LAUNCHER": str(self.path("launcher"))}):
                result, requeued = self.submit("pretrain", 0, "x.toml")
            self.assertEqual((result.status, requeued), (75, ["requeue", "41"]), result)
            self.assertIn(f"got {name}", result.stdout)

    def test_a_signal_that_a_launcher_drops_is_sent_again(self):
        self.stand_in("launcher", """trap "" USR1
kill -USR1 $PPID
sleep 3
trap "echo got it; exit 75" USR1
while :; do sleep 0.05; done
""")
        with unittest.mock.patch.dict(os.environ, {"TEST_LAUNCHER": str(self.path("launcher"))}):
            result, requeued = self.submit("pretrain", 0, "x.toml")
        self.assertEqual((result.status, requeued), (75, ["requeue", "41"]), result)
        self.assertIn("got it", result.stdout)

    def test_ranks_that_do_not_stop_in_time_are_left_to_the_queue(self):
        self.stand_in("launcher", """exec > /dev/null 2>&1
trap "" USR1
kill -USR1 $PPID
for i in $(seq 200); do sleep 0.1; kill -0 $PPID || exit; done
""")
        end = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() + 23))
        began = time.monotonic()
        with unittest.mock.patch.dict(os.environ, {"TEST_LAUNCHER": str(self.path("launcher"))}):
            result, requeued = self.submit("pretrain", 0, "x.toml", end=end)
        self.assertEqual((result.status, requeued), (75, ["requeue", "41"]), result)
        self.assertIn("the ranks did not stop in time", result.stdout)
        self.assertLess(time.monotonic() - began, 15)

    def test_a_limit_that_slurm_does_not_tell_leaves_the_ranks_their_time(self):
        self.stand_in("launcher", """trap "sleep 3; echo saved; exit 75" USR1
kill -USR1 $PPID
while :; do sleep 0.05; done
""")
        for end in ("", "None", "14:00:05", "N/A"):
            with unittest.mock.patch.dict(os.environ,
                                          {"TEST_LAUNCHER": str(self.path("launcher"))}):
                result, requeued = self.submit("pretrain", 0, "x.toml", end=end)
            self.assertEqual((result.status, requeued), (75, ["requeue", "41"]), result)
            self.assertIn("saved", result.stdout)

    def test_a_warning_after_the_ranks_have_ended_goes_back_to_the_queue(self):
        """As between the two stages of a sweep: nobody is there to pass the signal on to."""
        script = self.stand_in("script", f"""
. {support.SOURCE}/jobs/common.sh
run_ranks pretrain x.toml
kill -USR1 $$
echo not reached
""")
        scontrol = ('case $1 in show) echo JobState=RUNNING ;; '
                    f'*) echo "$@" > {self.path("scontrol.log")} ;; esac\n')
        self.stand_in("scontrol", scontrol)
        env = {
            **os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "LACUNA": "true",
            "LACUNA_LAUNCHER": "env", "SLURM_JOB_ID": "41", "SLURM_CPUS_PER_TASK": "1"}
        done = subprocess.run(["bash", str(script)], env=env, capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, 75, done)
        self.assertNotIn("not reached", done.stdout)
        self.assertEqual(self.path("scontrol.log").read_text().split(), ["requeue", "41"])

    def test_a_job_has_its_ranks_status_when_they_end_as_the_warning_comes(self):
        self.stand_in("launcher", """trap '' USR1
sleep 0.02
kill -USR1 $PPID
exit 75
""")
        script = self.stand_in("script", f"""
. {support.SOURCE}/jobs/common.sh
for i in $(seq 30); do run_ranks pretrain x.toml; echo $?; done
""")
        env = {
            **os.environ, "LACUNA": "true", "LACUNA_LAUNCHER": str(self.path("launcher")),
            "SLURM_JOB_ID": "41"}
        done = subprocess.run(["bash", str(script)], env=env, capture_output=True, text=True,
                              timeout=100)
        self.assertEqual(collections.Counter(done.stdout.split()), {"75": 30}, done)

    def test_without_arguments_says_how(self):
        for stage in STAGES:
            result, requeued = self.submit(stage, 0)
            self.assertEqual((result.status, result.stdout), (2, ""), result)
            self.assertIn("usage: sbatch", result.stderr)
