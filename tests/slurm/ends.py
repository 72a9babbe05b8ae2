"""The test-bed of these tests: it ends with whoever began it, and finds sources below /tmp."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import support
from testbed import SlurmTest

# A test that is under way: its test-bed is up, and it says where.
UNDER_WAY = """
import time, unittest
from testbed import SlurmTest
class UnderWay(SlurmTest):
    def test(self):
        print(self.bed, self.folder, flush=True)
        time.sleep(600)
del SlurmTest
unittest.main()
"""


def processes_of(bed):
    """The ids of the processes that were started with a path of the test-bed."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(bed).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found


class Ends(support.EndToEndTest):
    def under_way(self):
        """The shell that has started such a test, the test's process, and its test-bed's folder."""
        command = ["sh", "-c", '"$@" & wait', "sh", sys.executable, "-B", "-c", UNDER_WAY]
        shell = subprocess.Popen(command, cwd=support.SOURCE / "tests/slurm", text=True,
                                 stdout=subprocess.PIPE, start_new_session=True)
        self.addCleanup(shell.stdout.close)
        self.addCleanup(shell.wait)
        self.addCleanup(support.kill, shell)
        bed, folder = map(pathlib.Path, shell.stdout.readline().split())
        # No test removes them after SIGKILL.
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.addCleanup(shutil.rmtree, bed.parent, ignore_errors=True)
        test, = support.descendants(shell.pid)[:1]
        self.assertGreater(len(processes_of(bed)), 6)
        return shell, test, bed

    def assert_ends(self, bed, test):
        """Nothing of the test-bed is left, and no process of the test."""
        deadline = time.monotonic() + 30
        while processes_of(bed) or bed.exists() or pathlib.Path(f"/proc/{test}/exe").exists():
            self.assertLess(time.monotonic(), deadline, processes_of(bed))
            time.sleep(0.2)

    def test_it_ends_with_a_test_that_is_killed(self):
        shell, test, bed = self.under_way()
        os.kill(test, signal.SIGKILL)
        self.assert_ends(bed, test)

    def test_it_ends_with_a_killed_ctest(self):
        shell, test, bed = self.under_way()
        shell.kill()  # as ctest, whose child the test is
        self.assert_ends(bed, test)


class Sources(SlurmTest):
    def setUp(self):
        """The test-bed of a copy of the sources below /tmp, in a folder whose name has a space."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="lacuna-test-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, folder)
        self.sources = folder / "a clone"
        for name in ("tools", "jobs"):
            shutil.copytree(support.SOURCE / name, self.sources / name)
        self.other = folder / "other"
        self.other.touch()
        self.tool = self.sources / "tools/slurm-testbed"
        super().setUp()

    def test_jobs_start_from_sources_below_tmp(self):
        program = self.sources / "lacuna"
        program.write_text(f"""#!/bin/sh
[ "$1" = pretrain ] || exec "{support.LACUNA}" "$@"
ls "{self.other}" || echo "has a /tmp of its own"
""")
        program.chmod(0o755)
        job = self.command("sbatch", "--parsable", self.sources / "jobs/pretrain.sbatch", "x.toml",
                           LACUNA=str(program)).strip()
        self.wait_for_end(job)
        self.assertIn("has a /tmp of its own", self.log(job))


del SlurmTest
