"""What tools/gpu-check and tools/bench --device cuda do as far as that can be seen without a GPU: they say so in one
sentence, the programs that they drive start, and their report is right for known times."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import support

REPORT = support.SOURCE / "tools/benchmarks/bench_gpu.py"


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


class GpuCheck(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="lacuna-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_without_a_gpu_it_is_one_sentence(self):
        written(self.folder / "nvidia-smi", "#!/bin/sh\nexit 9\n")
        env = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}
        for command in (["tools/gpu-check"], ["tools/bench", "--device", "cuda"]):
            result = subprocess.run(command, cwd=support.SOURCE, env=env, capture_output=True, text=True)
            self.assertEqual(result.returncode, 2, result)
            self.assertIn("lacuna: this machine shows no NVIDIA GPU", result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 1, result)

    # Steps of a known length, so that the fractions are known.
    def report(self, seconds):
        tools = self.folder / "tools/benchmarks"
        written(tools / "gpu-ceilings", "#!/bin/sh\necho copy 2800; echo bf16 800; echo f32 50\n")
        written(tools / "train-step", f"#!/bin/sh\necho ready\nwhile read steps; do echo {seconds}; done\n")
        written(self.folder / "nvidia-smi", "#!/bin/sh\necho NVIDIA H100 80GB HBM3\n")
        env = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}
        return subprocess.run([sys.executable, REPORT, "--build", self.folder, "--pairs", "3", "--no-peer"],
                              env=env, capture_output=True, text=True)

    def test_the_report_is_right_for_known_times(self):
        for seconds, status in ((0.05, 0), (0.07, 1)):
            result = self.report(seconds)
            self.assertEqual(result.returncode, status, result)
            told = json.loads(result.stdout.splitlines()[-1].removeprefix("RESULT "))
            # 17.56e9 multiply-adds forward, three times that in a step
            for encoder, multiply_adds in (("vit_base", 17.563e9), ("resnet50", 4.087e9)):
                rate = 6 * multiply_adds * 256 / seconds
                self.assertAlmostEqual(told[encoder]["of_products"], rate / 800e12, delta=2e-4)
                self.assertAlmostEqual(told[encoder]["mfu"], rate / 989e12, delta=2e-4)  # of the board's data sheet
            self.assertEqual("vit_base's mfu" in result.stdout, status == 1)

    def test_the_steps_that_it_measures_run(self):
        program = support.BUILD / "tools/benchmarks/train-step"
        for encoder in ("resnet50", "vit_base"):
            result = subprocess.run([program, encoder, "2", "1", "cpu", "bf16"], input="1\n", capture_output=True,
                                    text=True)
            self.assertEqual(result.returncode, 0, result)
            self.assertEqual(result.stdout.splitlines()[0], "ready")
            self.assertGreater(float(result.stdout.splitlines()[1]), 0)


if __name__ == "__main__":
    unittest.main()
