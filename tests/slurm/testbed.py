"""A SLURM of four nodes for the tests of this folder: tools/slurm-testbed, brought up for a test
and ended after it."""

import ctypes
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

import support

TOOL = support.SOURCE / "tools/slurm-testbed"
PORT = str(20000 + 8 * (os.getpid() % 1500))  # beside a test-bed of the user's own
tempfile.tempdir = "/var/tmp"  # every node has a /tmp of its own


def end_with_parent():
    """SIGTERM, also one that comes when ctest has ended, fails the test as an exception does, and
    so ends its test-bed. After SIGKILL the test-bed ends by itself: `up --for`."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit("ended by SIGTERM"))
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class SlurmTest(support.EndToEndTest):
    tool = TOOL

    def setUp(self):
        super().setUp()
        end_with_parent()
        bed = pathlib.Path(tempfile.mkdtemp(prefix="lacuna-slurm-"))
        self.bed = bed / "bed"
        self.environment = {**os.environ, **support.LAUNCHER_ENVIRONMENT, "LACUNA": support.LACUNA,
                            "LACUNA_TESTBED": str(self.bed), "LACUNA_TESTBED_PORT": PORT,
                            "SLURM_CONF": str(self.bed / "slurm.conf")}
        self.environment.pop("LACUNA_LAUNCHER",
                             None)  # of ctest's; to the job scripts it is a user's choice
        self.addCleanup(bed.rmdir)
        self.addCleanup(self.run_tool, "down")
        self.run_tool("up", "--for", str(os.getpid()))
        support.write_images(self.path("data.h5"), samples=44, size=(16, 16), chunk=4)

    def run_tool(self, *arguments):
        done = subprocess.run([self.tool, *arguments], env=self.environment, capture_output=True,
                              text=True, timeout=100)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def command(self, *words, **more):
        """What a command tells, which must end well."""
        environment = {**self.environment, **more}
        done = subprocess.run([str(word) for word in words], cwd=self.folder, env=environment,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, f"{words}\n{done.stdout}{done.stderr}")
        return done.stdout

    def submit(self, script, *arguments, options=(), **more):
        """The id of a job of jobs/<script>.sbatch."""
        return self.command("sbatch", "--parsable", *options,
                            support.SOURCE / f"jobs/{script}.sbatch", *arguments, **more).strip()

    def halting(self, text, until_signal=True, until=None):
        """The environment of a submission of which rank 0 goes no further, once it has told the
        text, until a signal comes, or until there is the file `until`: however fast the machine is,
        the run is not done before the test does what it is about."""
        faults = {"rank": 0, "halt_after": text}
        if until_signal:
            faults["halt_for_signal"] = 1
        if until:
            faults["halt_until"] = until
        exports = "".join(f"export {name}={shlex.quote(value)}\n"
                          for name, value in self.faults(**faults).items())
        program = self.path(f"halting-{len(list(self.folder.glob('halting-*')))}")
        program.write_text(f'#!/bin/sh\n{exports}exec {shlex.quote(support.LACUNA)} "$@"\n')
        program.chmod(0o755)
        return {"LACUNA": str(program)}

    def field(self, job, name):
        told = self.command("scontrol", "show", "job", "-o", job)
        return re.search(rf"\b{name}=(\S*)", told)[1]

    def wait_until(self, true, what, seconds=90):
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                logs = "".join(f"--- {path.name}\n{path.read_text()[-3000:]}"
                               for path in self.folder.glob("*.log"))
                raise AssertionError(
                    f"not after {seconds} s: {what}\n{self.command('squeue')}{logs}")
            time.sleep(0.2)

    def start_at_once(self, *jobs):
        """SLURM holds a job back that was requeued, for minutes; here until its processes have
        ended."""
        for job in jobs:
            self.wait_until(lambda: self.field(job, "JobState") == "PENDING",
                            f"job {job} is back in the queue")
        self.wait_until(lambda: not self.steps(), "its processes have ended")
        # slurmd compares whole seconds: a job that starts in the one in which it was taken back
        # counts as killed.
        time.sleep(1.1)
        for job in jobs:
            self.command("scontrol", "update", f"jobid={job}", "StartTime=now")

    def steps(self):
        """The slurmstepd of all nodes: below the first process of each."""
        nodes = [int(file.read_text()) for file in self.bed.glob("node*/pid")]
        return [pid for node in nodes for pid in support.descendants(node) if self.is_step(pid)]

    def is_step(self, pid):
        try:
            return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"slurmstepd")
        except OSError:
            return False

    def wait_for_end(self, job, state="COMPLETED", seconds=90):
        ends = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED")
        self.wait_until(lambda: self.field(job, "JobState") in ends, f"job {job} ends", seconds)
        self.assertEqual(self.field(job, "JobState"), state, self.log(job))

    def log(self, job):
        return "".join(path.read_text() for path in self.folder.glob(f"*-{job}.log"))

    def wait_for_text(self, job, text, seconds=90):
        self.wait_until(lambda: text in self.log(job), f"job {job} tells {text!r}", seconds)

    def experiment(self, name, epochs=40, objective="simclr"):
        """Writes NAME.toml: 5.5 steps an epoch, each of which is told unless there are many."""
        told = "[log]\ninterval = 0\n" if epochs < 500 else ""
        support.write_experiment(self.path(f"{name}.toml"), objective=objective, more=told)
        text = self.path(f"{name}.toml").read_text().replace("epochs = 2", f"epochs = {epochs}")
        self.path(f"{name}.toml").write_text(text)

    def assert_same_end(self, run, whole, steps):
        """The final weights of both runs, bit for bit."""
        ours, theirs = (support.checkpoint_tensors(support.checkpoint_folder(
            self.path(each), steps)) for each in (run, whole))
        self.assertEqual(sorted(ours), sorted(theirs))
        for name, values in theirs.items():
            self.assertEqual(values.tobytes(), ours[name].tobytes(), name)
