"""tools/plot: curves and maps from files laid out as docs/formats.md says, without the program."""

import subprocess
import sys

import h5py
import numpy

import support


class Plot(support.EndToEndTest):
    def plot(self, *arguments):
        command = [sys.executable, str(support.SOURCE / "tools/plot"), *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, cwd=self.folder,
            env={"MPLCONFIGDIR": str(self.path("matplotlib")), "PATH": "/usr/bin:/bin"})
        return support.Result(command, done.returncode, done.stdout, done.stderr)

    def write_run(self):
        checkpoint = self.path("run/checkpoints/step-000000300/checkpoint.h5")
        checkpoint.parent.mkdir(parents=True)
        accuracy = numpy.full(300, numpy.nan)
        accuracy[99::100] = (0.5, 0.6, 0.7)
        with h5py.File(checkpoint, "w") as file:
            file.attrs["format"] = "lacuna checkpoint"
            file["metrics/step"] = numpy.arange(1, 301)
            file["metrics/loss"] = 1 / numpy.arange(1.0, 301)
            file["metrics/lr"] = numpy.linspace(0.1, 0, 300)
            file["metrics/knn.accuracy"] = accuracy
        return self.path("run")

    def write_representations(self, path, labels=True):
        z = numpy.random.default_rng(1).normal(size=(500, 8)).astype("float32")
        z[:, 3] *= 50  # the first component
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file.attrs["format"] = "lacuna representations"
            file.attrs["step"] = 300
            file["z"] = z
            if labels:
                file["label"] = numpy.arange(500) % 4
        return path

    def check_picture(self, path):
        import matplotlib.image
        pixels = matplotlib.image.imread(path)
        self.assertGreater(min(pixels.shape[:2]), 300)
        self.assertGreater(len(numpy.unique(pixels[..., :3].reshape(-1, 3), axis=0)), 10)

    def test_run_with_representations(self):
        run = self.write_run()
        self.write_representations(run / "representations/epoch-0003.h5")
        result = self.plot(run)
        self.assertEqual(result.status, 0, result)
        self.check_picture(run / "plots/curves.png")
        self.check_picture(run / "plots/epoch-0003.png")

    def test_representations_alone_without_labels(self):
        z = self.write_representations(self.path("z.h5"), labels=False)
        result = self.plot(z, "--out", self.path("here"))
        self.assertEqual(result.status, 0, result)
        self.check_picture(self.path("here/z.png"))

    def test_run_without_checkpoint_is_one_sentence(self):
        self.path("run").mkdir()
        result = self.plot(self.path("run"))
        self.assertEqual(result.status, 2, result)
        self.assertIn("no checkpoint yet", result.complaint())

    def test_file_of_another_kind_is_refused(self):
        support.write_images(self.path("data.h5"))
        result = self.plot(self.path("data.h5"))
        self.assertEqual(result.status, 2, result)
        self.assertIn("is no lacuna representations", result.complaint())
