"""What tools/gpu-check does as far as that can be seen without a GPU: on a machine that shows none
it is one sentence; beside programs that act as a GPU's would, each part records what they tell,
failures and refusals included; what is expected of kernels agrees with what is counted on paper."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import support

sys.path += [str(support.SOURCE / "tools/gpu"), str(support.SOURCE / "tools/benchmarks")]
import kernels  # noqa: E402
import on_paper  # noqa: E402
import results  # noqa: E402

CHECK = support.SOURCE / "tools/gpu/check.py"

# What `with` starts, as it would answer on an H200. %WRONG% is the name of a test that fails.
PROGRAMS = r"""#!/bin/sh
program=$1
shift
case $program in
  gpu-ceilings) echo copy 4000; echo bf16 700; echo f32 50 ;;
  write-samples) : > "$1" ;;
  lacuna-gpu-tests)
    case $1 in
      --list-test-names-only)
        echo 'cuda device in float32 agrees'; echo 'SimCLR, agrees [with] PyTorch'
        echo 'cuda: trains'; echo 'nccl: sums' ;;
      %WRONG%) echo 'multiply in float32'; echo '  output [2, 3]: relative error 0.5'; exit 1 ;;
      *sleeps*) sleep 60 ;;
      *) echo "All tests passed (1 assertion in 1 test case)" ;;
    esac ;;
  train-step)
    encoder=$1; timed=$6; echo ready
    while read -r line; do
      case $line in
        memory) echo 20000000000 ;;
        plans) printf 'convolution of it\teng7_k1=2\t64\t3\nend\n' ;;
        profile*)
          x='bfloat16[256, 56, 56, 64]' w='float32[1000000]'
          printf 'convolution\t%s float32[64, 64, 3, 3]\t%s\t0.0002\n' "$x" "$x"
          printf 'sgd_update\t%s\t%s %s\t0.00001\nend\n' "$w" "$w" "$w" ;;
        *) if [ "$timed" = timed ]; then echo 0.04; else echo 0.05; fi ;;
      esac
    done ;;
  */compute-sanitizer) echo "Device not supported"; exit 9 ;;
  */ncu)
    echo '==PROF== Connected'
    echo '"ID","Kernel Name","Metric Name","Metric Value"'
    echo '"0","conv","gpu__time_duration.sum","1,000"'
    echo '"0","conv","dram__bytes.sum","500"'
    echo '"1","norm","gpu__time_duration.sum","3,000"' ;;
  *) exec "$program" "$@" ;;
esac
"""
LACUNA = r"""#!/bin/sh
case $1 in
  --version) echo 'lacuna 0.1.0' ;;
  *) echo 'step 1 of 9  epoch 0.50  loss 6.3  121 samples/s  0:00:02 left'
     echo 'step 9 of 9  epoch 1.50  loss 5.9  2290 samples/s  0:00:00 left' ;;
esac
"""


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


class OnAMachine(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="lacuna-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = self.folder / "results"

    def machine(self, wrong="no-test"):
        for tool in ("compute-sanitizer", "ncu"):
            written(self.folder / "bin" / tool, "#!/bin/sh\n")
        written(self.folder / "bin/nvidia-smi", "#!/bin/sh\necho NVIDIA H200, 580.1, 143771 MiB\n")
        written(self.folder / "bundle/bin/with", PROGRAMS.replace("%WRONG%", wrong))
        written(self.folder / "bundle/bin/lacuna", LACUNA)
        written(self.folder / "bundle/files.tar.gz", "")

    def command(self, *words):
        return [
            sys.executable, "-B", CHECK, "--bundle", self.folder / "bundle", "--out", self.out,
            "--no-peer", *words]

    def environment(self):
        return {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    def check(self, *words, status=0):
        result = subprocess.run(self.command(*words), env=self.environment(), capture_output=True,
                                text=True)
        self.assertEqual(result.returncode, status, result)
        return result.stdout

    def records(self):
        lines = map(json.loads, (self.out / "results.jsonl").read_text().splitlines())
        return {(line["part"], line["what"]): line for line in lines}


class GpuCheck(OnAMachine):
    def test_without_a_gpu_it_is_one_sentence(self):
        written(self.folder / "bin/nvidia-smi", "#!/bin/sh\nexit 9\n")
        for command in (["tools/gpu-check"], ["tools/bench", "--device", "cuda"]):
            result = subprocess.run(command, cwd=support.SOURCE, env=self.environment(),
                                    capture_output=True, text=True)
            self.assertEqual(result.returncode, 2, result)
            self.assertIn("lacuna: this machine shows no NVIDIA GPU", result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 1, result)

    def test_each_part_records_what_it_finds(self):
        self.machine()
        printed = self.check()
        found = self.records()
        self.assertEqual(found[1, "ceilings"]["bf16"], 700)
        self.assertEqual(found[1, "versions"]["lacuna"], "lacuna 0.1.0")
        for key in ((2, "cuda device in float32 agrees"), (2, "SimCLR, agrees [with] PyTorch"),
                    (3, "cuda: trains"), (3, "nccl: sums")):
            self.assertTrue(found[key]["passed"], key)
        # 17.56e9 multiply-adds forward, three times that in a step
        for encoder, multiply_adds in (("vit_base", 17.563e9), ("resnet50", 4.087e9)):
            rate = 6 * multiply_adds * 256 / 0.05
            self.assertAlmostEqual(found[4, encoder]["of_peak"], rate / 989e12,
                                   delta=2e-4)  # of the board's data sheet
            self.assertEqual(found[4, encoder]["images_per_second"], 256 / 0.05)
            self.assertEqual(found[5, f"{encoder}, plans by timed"]["seconds"], 0.04)
        kinds = found[5, "resnet50, plans by heuristics"]["kinds"]
        floor = 2 * 256 * 56 * 56 * 64 * 64 * 9 / 989e12  # arithmetic bounds it
        self.assertAlmostEqual(kinds["convolution"]["floor"], 1e3 * floor, delta=1e-3)
        self.assertAlmostEqual(kinds["convolution"]["expected"], 1e3 * floor / 0.65, delta=1e-3)
        self.assertEqual(kinds["convolution"]["measured"], 0.2)
        self.assertAlmostEqual(kinds["optimizer"]["floor"], 1e3 * 20e6 / 4.8e12,
                               delta=1e-4)  # 20 bytes a weight, read and written
        self.assertEqual(found[6, "resnet18 at 32"]["samples_per_second"], 2290)
        self.assertIn("Device not supported", found[7, "compute-sanitizer's memcheck"]["refused"])
        self.assertEqual(found[8, "vit_base: norm"]["ns"], 3000)
        self.assertIn("eng7_k1=2", (self.out / "plans.tsv").read_text())
        self.assertIn("0 failures, 3 refusals", printed)
        self.assertLessEqual(len(list(self.out.iterdir())), 6)
        self.assertEqual({found[part, "part"]["started"] for part in range(1, 9)}, {True})

    def test_a_gpu_that_no_program_reaches_is_a_failure(self):
        self.machine()
        said = ("#!/bin/sh\necho 'error while loading shared libraries: libcudnn.so.9' >&2\n"
                "exit 127\n")
        written(self.folder / "bundle/bin/with", said)
        written(self.folder / "bundle/bin/lacuna", said)
        self.assertIn("failed: part 4: train step of resnet50",
                      self.check("--parts", "1-6", status=1))
        written(self.folder / "bin/nvidia-smi", "#!/bin/sh\nexit 9\n")
        self.assertIn("refused: train step of resnet50", self.check("--parts", "2-6", status=2))

    def test_a_board_that_is_not_known_is_measured_all_the_same(self):
        self.machine()
        written(self.folder / "bin/nvidia-smi", "#!/bin/sh\necho NVIDIA L40S, 580.1, 46068 MiB\n")
        self.assertIn("expected of an H100", self.check("--parts", "4-5"))
        self.assertNotIn("of_peak", self.records()[4, "resnet50"])

    def test_a_failure_says_what_it_takes_to_mend_it(self):
        self.machine(wrong="cuda:*trains")
        printed = self.check("--parts", "2-3", status=1)
        self.assertIn("failed: part 3: cuda: trains", printed)
        self.assertIn("output [2, 3]: relative error 0.5", (self.out / "failures.txt").read_text())
        self.assertTrue(self.records()[3, "cuda: trains"]["failed"])
        self.assertNotIn((1, "versions"), self.records())

    def test_a_check_that_is_cut_off_loses_one_part(self):
        self.machine()
        program = self.folder / "bundle/bin/with"
        program.write_text(program.read_text().replace("echo 'cuda: trains'",
                                                       "echo 'cuda: sleeps'"))
        process = subprocess.Popen(self.command(), env=self.environment(), stdout=subprocess.PIPE,
                                   text=True, start_new_session=True)
        try:
            for line in process.stdout:
                if line.startswith("== 3."):
                    break
            deadline = time.monotonic() + 20
            while (2, "part") not in self.records() and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        self.assertEqual(self.records()[1, "ceilings"]["copy"], 4000)
        self.assertTrue(self.records()[2, "part"]["started"])
        process = subprocess.Popen(self.command("--parts", "3"), env=self.environment(),
                                   stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            begun = (self.out / "log.txt").read_text().rpartition("gpu-check of")[2]
            if "parts [3]" in begun and "lacuna-gpu-tests cuda: sleeps" in begun:
                break
            time.sleep(0.05)
        process.terminate()
        self.assertEqual(process.wait(timeout=10), 143)
        process.stdout.close()
        left = subprocess.run(["pgrep", "-f", f"{self.folder}/bundle/bin/with"],
                              capture_output=True, text=True).stdout
        self.assertEqual(left, "")
        printed = self.check("--parts", "3,1", "--budget", "5.5",
                             status=1)  # a second check adds to what is there
        self.assertIn("FAILED: cuda: sleeps", printed)
        self.assertIn("1. versions and ceilings: not started, no time was left", printed)

    def test_parts_that_are_not_there_are_refused(self):
        self.machine()
        for words in ("9", "0", "x", "3-"):
            result = subprocess.run(self.command("--parts", words), capture_output=True, text=True)
            self.assertEqual(result.returncode, 2, result)
            self.assertIn("part", result.stderr)

    def test_the_report_stands_beside_the_predictions(self):
        self.machine()
        self.check()
        page = written(
            self.folder / "gpu.md",
            "before\n<!-- h200: written by tools/gpu-check --report -->\n<!-- end of h200 "
            "-->\nafter\n")
        report = [sys.executable, "-B", support.SOURCE / "tools/gpu/report.py", "--page", page]
        with open(self.out / "results.jsonl", "a") as file:
            file.write('{"part": 4, "what": "cut of')
        predicted = f"{256 / on_paper.resnet50(256, board='h200').total():.0f}"
        result = subprocess.run([*report, self.out], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result)
        text = page.read_text()
        self.assertIn(f"| ResNet-50: images a second | {predicted} | 5120 |", text)
        self.assertIn("Measured on: NVIDIA H200, 580.1, 143771 MiB; lacuna lacuna 0.1.0", text)
        self.assertRegex(
            text,
            r"\| ResNet-50: convolution, ms \| [\d.]+ \(floor [\d.]+\) \| 0\.20; plans timed 0\.20 "
            r"\|")
        self.assertTrue(text.startswith("before\n") and text.endswith("after\n"))
        subprocess.run([*report, "--board", "h200"], check=True)
        self.assertIn(f"| ResNet-50: images a second | {predicted} | not measured |",
                      page.read_text())
        # Parts that were measured in two calls.
        first, second = self.folder / "first", self.folder / "second"
        for folder, chosen in ((first, lambda part: part in
                                (0, 1, 4)), (second, lambda part: part in (0, 5))):
            written(
                folder / "results.jsonl",
                "".join(line + "\n"
                        for line in (self.out / "results.jsonl").read_text().splitlines()
                        if line.endswith("}") and chosen(json.loads(line)["part"])))
        subprocess.run([*report, first, second], check=True)
        self.assertEqual(page.read_text().count("plans timed"), text.count("plans timed"))
        self.assertIn(f"| ResNet-50: images a second | {predicted} | 5120 |", page.read_text())
        refused = subprocess.run([*report, "--board", "h100", first], capture_output=True,
                                 text=True)
        self.assertEqual(refused.returncode, 2, refused)
        self.assertIn("the results are of h200, not of h100", refused.stderr)

    def test_a_file_of_results_keeps_its_size(self):
        kept = results.Results(self.out)
        for _ in range(20):
            kept.log("x" * 2**20)
        size = (self.out / "log.txt").stat().st_size
        self.assertLess(size, 16 << 20)
        self.assertGreater(size, 14 << 20)
        self.assertIn("left out", (self.out / "log.txt").read_text()[-100:])


class OnPaper(unittest.TestCase):
    def test_the_steps_run_and_their_kernels_have_the_flops_that_are_counted_on_paper(self):
        program = support.BUILD / "tools/benchmarks/train-step"
        for encoder, paper in (("resnet50", on_paper.resnet50(1)), ("vit_base",
                                                                    on_paper.vit(1, 768, 12, 12))):
            result = subprocess.run([program, encoder, "2", "1", "cpu", "f32"],
                                    input="1\nprofile 1\nmemory\n", capture_output=True, text=True)
            self.assertEqual(result.returncode, 0, result)
            lines = result.stdout.splitlines()
            self.assertEqual(lines[0], "ready")
            self.assertGreater(float(lines[1]), 0)
            self.assertGreater(int(lines[-1]), 1e8)  # weights and momenta of at least 25 million
            counted = {}
            for line in lines[2:lines.index("end")]:
                operation, taken, given, _ = line.split("\t")
                kind = kernels.KINDS.get(operation, "element-wise")
                counted[kind] = counted.get(kind, 0) + kernels.flops(
                    operation, kernels.operands(taken), kernels.operands(given))
            for kind, entry in paper.kinds.items():
                # ViT's patches are a convolution here and a product on paper, and classes are no
                # product there.
                near = 0.01 if encoder == "resnet50" or kind.startswith(
                    ("attention", "attention: gradient")) else 0.03
                self.assertAlmostEqual(counted.get(kind, 0), entry.flops, delta=near * entry.flops,
                                       msg=f"{encoder} {kind}")


if __name__ == "__main__":
    unittest.main()
