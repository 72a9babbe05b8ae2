"""Ranks under any launcher: the line that shows where they are, wrong bindings, one rank that
speaks for all, and data sets of thousands of files. The same tests run on MPICH (tools/test
--ci)."""

import os
import re
import time

import h5py
import numpy

import support

ONE_CORE = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]


class LaunchersTest(support.EndToEndTest):
    def setUp(self):
        super().setUp()
        support.write_images(self.path("data.h5"), samples=32, size=(16, 16), chunk=4)
        support.write_experiment(self.path("a.toml"), more="max_steps = 1\n")

    def pretrain(self, *arguments, ranks=None, before=(), each=(), env=None):
        """Runs a step with the words `before` before the launcher, and `each` before each rank's
        program."""
        self.runs = getattr(self, "runs", 0) + 1
        command = support.command_line("pretrain", "a.toml", "--run", f"run-{self.runs}",
                                       *arguments, ranks=ranks)
        at = command.index(support.LACUNA)
        command = [*before, *command[:at], *each, *command[at:]]
        result = support.finish(support.start(command, cwd=self.folder, env=env), 120)
        self.assertEqual(result.status, 0, result)
        return result

    def warnings(self, *arguments, **options):
        lines = self.pretrain(*arguments, **options).stdout.splitlines()
        return [line for line in lines if line.startswith("warning: ")]


class Places(LaunchersTest):
    def test_the_first_lines_show_nodes_ranks_threads_and_device(self):
        host = re.escape(os.uname().nodename)
        second = self.pretrain(ranks=4).stdout.splitlines()[1]  # behind that of the samples
        self.assertRegex(
            second,
            rf"^4 ranks on 1 node \({host}\), 1 thread each, [0-9]+ cores?; cpu device, .* "
            r"activations$")
        second = self.pretrain("--set", "train.threads=2").stdout.splitlines()[1]
        self.assertRegex(second, rf"^1 rank on 1 node \({host}\), 2 threads, ")

    def test_ranks_on_the_same_core_are_named(self):
        told = "\n".join(self.warnings(ranks=2, each=ONE_CORE))
        self.assertRegex(told, r"2 ranks of .* \(0-1\) share 1 core \([0-9]+\) for 2 threads")

    def test_what_srun_ignores_is_told(self):
        told = self.warnings("--set", "train.threads=0", before=ONE_CORE,
                             env={"SLURM_CPUS_PER_TASK": "2"})
        self.assertEqual(len(told), 1, told)
        self.assertRegex(
            told[0],
            "SLURM_CPUS_PER_TASK is 2 and rank 0 on .* has 1 core: .*export SRUN_CPUS_PER_TASK=2")
        told = self.warnings("--set", "train.threads=0", before=ONE_CORE,
                             env={"SLURM_CPUS_PER_TASK": "1", "SLURM_CPUS_ON_NODE": "1"})
        self.assertEqual(told, [])

    def test_a_launcher_of_another_mpi_is_noticed(self):
        """Its processes would each be a run of its own: as many writers of one run."""
        variable = "OMPI_COMM_WORLD_SIZE" if "MPICH" in self.succeeds(
            "--version").stdout else "PMI_SIZE"
        result = self.lacuna("pretrain", "a.toml", env={variable: "2"})
        self.assertEqual(result.status, 2, result)
        self.assertIn("the launcher started 2 processes, but each sees only itself",
                      result.complaint())
        self.pretrain(env={variable: "1",
                           "SLURM_STEP_NUM_TASKS": "3"})  # a step of mpirun's daemons


class Speaking(LaunchersTest):
    def outputs(self, *arguments, env=None):
        """What each of four ranks has written to stdout and stderr."""
        self.pretrain(*arguments, ranks=4, env=env,
                      each=["sh", "-c", 'exec "$0" "$@" > output.$$ 2>&1'])
        return [path.read_text() for path in self.folder.glob("output.*")]

    def test_one_rank_speaks_for_all(self):
        """So nothing can come between the lines of the log, whatever a launcher does with them."""
        told = self.outputs("--set", "log.interval=0", env=self.faults(no_locks=1))
        self.assertEqual(len(told), 4)
        self.assertEqual(sum(text != "" for text in told), 1, told)
        self.assertRegex("".join(told), "warning: .*locking")


class ManyFiles(LaunchersTest):
    FILES = 2000

    def test_rank_0_alone_looks_into_thousands_of_files(self):
        for number in range(self.FILES):
            with h5py.File(self.path(f"sample-{number:04}.h5"), "w") as file:
                file["images"] = numpy.full((2, 16, 16), number % 256, "uint8")
        names = ["--set", "data.files=sample-*.h5", "data.statistics=given", "data.mean=[0.5]",
                 "data.std=[0.3]"]
        opened = {}
        for rank in (0, 1):
            began = time.monotonic()
            self.pretrain(*names, ranks=4, env=self.faults(opened=self.path(f"opened-{rank}"),
                                                           rank=rank))
            self.assertLess(time.monotonic() - began, 60)
            lines = self.path(f"opened-{rank}").read_text().splitlines()
            opened[rank] = len({line for line in lines if "sample-" in line})
        self.assertEqual(opened[0], self.FILES)
        self.assertLess(opened[1], self.FILES / 10)


del LaunchersTest
