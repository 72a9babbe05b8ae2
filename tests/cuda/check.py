"""lacuna check --device: memory and plans of a job on GPUs that are not here, from the same plans
as in the tables."""

import re
import statistics
import subprocess
import time

import support


class GpuTests(support.EndToEndTest):
    def test_the_tests_for_a_gpu_are_built(self):
        listed = subprocess.run([
            support.BUILD / "tests/lacuna-gpu-tests", "--list-test-names-only",
            "cuda*,nccl*,[golden]"], capture_output=True, text=True).stdout
        for name in ("cuda device in bfloat16 agrees", "cuda: every objective trains a ResNet",
                     "SimCLR agrees with PyTorch", "nccl: collectives"):
            self.assertIn(name, listed)


class StartUp(support.EndToEndTest):
    def test_looking_for_a_gpu_takes_less_than_a_tenth_of_a_second(self):
        support.write_images(self.path("data.h5"), samples=16)
        support.write_experiment(self.path("a.toml"))
        seconds = {"auto": [], "cpu": []}
        for _ in range(7):
            for device, found in seconds.items():
                started = time.perf_counter()
                self.succeeds("pretrain", "a.toml", "--run", "run", "--force", "--set",
                              "train.max_steps=1", f"train.device={device}",
                              env={"CUDA_VISIBLE_DEVICES": ""})
                found.append(time.perf_counter() - started)
        medians = {device: statistics.median(found) for device, found in seconds.items()}
        print(f"start-up and one step: auto {medians['auto']:.3f} s, cpu {medians['cpu']:.3f} s")
        self.assertLess(medians["auto"] - medians["cpu"], 0.1)


# A driver of which only what a start looks at is there.
DRIVER = """
int cuInit(unsigned flags) { (void)flags; return 0; }
int cuDeviceGetCount(int* count) { *count = 2; return 0; }
int cuDeviceGet(int* device, int number) { *device = number; return 0; }
int cuDriverGetVersion(int* version) { *version = VERSION; return 0; }
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  *value = attribute == 75 ? (device == 1 ? CAPABILITY : 9) : attribute == 76 ? 0 : -1;
  return 0;
}
"""


class OldDrivers(support.EndToEndTest):
    def start(self, device, version, capability):
        self.path("driver.c").write_text(DRIVER)
        subprocess.run([
            "cc", "-shared", "-fPIC", f"-DVERSION={version}", f"-DCAPABILITY={capability}",
            "-Wl,-soname,libcuda.so.1", "-o",
            self.path("libcuda.so.1"),
            self.path("driver.c")], check=True)
        return self.lacuna("pretrain", "a.toml", "--run", "run", "--force", "--set",
                           "train.max_steps=1", f"train.device={device}",
                           env={"LD_LIBRARY_PATH": str(self.path("."))})

    def test_a_driver_or_a_gpu_that_is_too_old_is_named_and_auto_takes_the_cpu(self):
        support.write_images(self.path("data.h5"), samples=16)
        support.write_experiment(self.path("a.toml"))
        for version, capability, words in (
            (11020, 9, "the NVIDIA driver is for CUDA 11.2 and Lacuna was built with CUDA"),
            (99000, 7, "GPU 1 has compute capability 7.0 and 8.0 (A100) is the least")):
            refused = self.start("cuda", version, capability)
            self.assertEqual(refused.status, 2, refused)
            self.assertIn(words, refused.complaint())
            taken = self.start("auto", version, capability)
            self.assertEqual(taken.status, 0, taken)
            self.assertIn("cpu device", taken.stdout + taken.stderr)


class CheckOnGpu(support.EndToEndTest):
    def setUp(self):
        super().setUp()
        support.write_images(self.path("data.h5"), samples=512, size=(28, 28))

    def check(self, *words, status=0):
        result = self.lacuna("check", support.SOURCE / "inputs/images/fashion-simclr.toml", *words,
                             "--set", f"data.files={self.path('data.h5')}", "data.dataset=images",
                             "data.label=labels")
        self.assertEqual(result.status, status, result)
        return result

    def test_memory_and_plans_are_those_of_the_table(self):
        for board, name in (("a100", "A100"), ("h100", "H100"), ("b200", "B200")):
            listed = {}
            for line in (support.SOURCE /
                         f"tests/cuda/plans-{board}.tsv").read_text().splitlines()[1:]:
                words = line.split("\t")
                listed[words[1] + ("/memory" if words[2] == "memory" else "")] = words
            text = self.check("--device", board, "--plans").stdout
            self.assertIn(f"a rank on one NVIDIA {name}", text)
            most = float(re.search(r"at most +([0-9.]+) MiB of", text)[1]) * 2**20
            self.assertAlmostEqual(most, int(listed["fashion-simclr/memory"][3]), delta=1e7)
            problems = re.findall(r"^  (.*): (eng[0-9]+_\S*), [0-9.]+ [KMG]?i?B$", text,
                                  re.MULTILINE)
            self.assertGreater(len(problems), 20)
            for problem, engine in problems:
                self.assertEqual(listed[problem][2], engine, problem)

    def test_float16_takes_what_bfloat16_takes(self):
        def planned(precision):
            text = self.check("--device", "h100", "--plans", "--set",
                              f"train.precision={precision}").stdout
            self.assertIn(f"{name[precision]} activations", text)
            return (re.search(r"activations and gradients +([0-9.]+ \w+)", text)[1],
                    len(re.findall(rf"^  .*{name[precision]}.*: eng[0-9]+_", text, re.MULTILINE)))
        name = {"bf16": "bfloat16", "f16": "float16"}
        wide = planned("bf16")
        self.assertGreater(wide[1], 20)
        self.assertEqual(planned("f16"), wide)

    def test_what_does_not_fit_is_refused(self):
        result = self.check("--device", "h100", "--set", "train.batch=30000", "train.epochs=100",
                            "encoder.name=resnet50", "encoder.width=64", "objective.name=byol",
                            status=2)
        self.assertIn(
            "and one NVIDIA H100 80GB HBM3 has 79.2 GiB, of which driver, cuDNN and NCCL take 2 "
            "GiB or so: lower train.batch",
            result.complaint())

    def test_plans_of_a_file_that_do_not_fit_are_counted(self):
        problems = re.findall(r"^  (.*): (eng[0-9]+_\S*), ",
                              self.check("--device", "h100", "--plans").stdout, re.MULTILINE)
        file = self.path("plans.txt")
        for lines, words in ((problems[:3], f"3 of {len(problems)} problems\n"), ([
            ("convolution of something else",
             "eng0_k1=1")], f"0 of {len(problems)} problems: they were timed for")):
            file.write_text("# Lacuna: plans of cuDNN\n" +
                            "".join(f"{problem}\t{engine}\n" for problem, engine in lines))
            self.assertIn(words,
                          self.check("--device", "h100", "--set", f"train.plans={file}").stdout)
        result = self.check("--device", "h100", "--set", f"train.plans={self.path('none')}",
                            status=2)
        self.assertIn("train.plans names", result.complaint())

    def test_more_ranks_take_less_each(self):
        most = [
            float(
                re.search(r"at most +([0-9.]+) MiB of",
                          self.check("--device", "h100", "--ranks", ranks).stdout)[1])
            for ranks in "18"]
        self.assertLess(most[1], most[0])
