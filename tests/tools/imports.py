"""tools/import: hand-made IDX files come back element by element; bad ones end in one sentence."""

import gzip
import struct
import subprocess
import sys

import h5py
import numpy

import support


class ImportIdx(support.EndToEndTest):
    def run_tool(self, *arguments):
        command = [
            sys.executable,
            str(support.SOURCE / "tools/import"), "idx", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return support.Result(command, done.returncode, done.stdout, done.stderr)

    def write(self, name, data):
        self.path(name).write_bytes(data)
        return self.path(name)

    def test_gzipped_images_arrive_in_chunks(self):
        pixels = bytes(range(5 * 2 * 3))
        idx = self.write("i.gz",
                         gzip.compress(b"\0\0\x08\x03" + struct.pack(">3I", 5, 2, 3) + pixels))
        out = self.path("o.h5")
        result = self.run_tool(idx, out, "train/images", "--chunk", 2, "--gzip", 4)
        self.assertEqual(result.status, 0, result)
        with h5py.File(out) as file:
            images = file["train/images"]
            self.assertEqual((images.dtype, images.chunks, images.compression),
                             (numpy.uint8, (2, 2, 3), "gzip"))
            self.assertEqual(images[4, 1].tolist(), [27, 28, 29])
            self.assertEqual(images[:].tobytes(), pixels)

    def test_big_endian_values_keep_their_meaning(self):
        idx = self.write("i", b"\0\0\x0b\x01" + struct.pack(">I3h", 3, -2, 300, 32767))
        result = self.run_tool(idx, self.path("o.h5"), "x")
        self.assertEqual(result.status, 0, result)
        with h5py.File(self.path("o.h5")) as file:
            self.assertEqual(file["x"][:].tolist(), [-2, 300, 32767])

    def refuses(self, idx, *words, dataset="x"):
        result = self.run_tool(idx, self.path("o.h5"), dataset)
        self.assertEqual(result.status, 2, result)
        self.assertEqual(result.stderr, result.complaint() + "\n")
        for word in words:
            self.assertIn(word, result.stderr)
        if self.path("o.h5").exists():
            with h5py.File(self.path("o.h5")) as file:
                self.assertNotIn("x", file)

    def test_a_mistyped_kind_gets_the_nearest_one(self):
        for words, told in ((["idxx"],
                             "there is no kind of import \"idxx\": do you mean idx? (kinds: idx)"),
                            ([], "name what to import: idx")):
            result = subprocess.run([sys.executable, support.SOURCE / "tools/import", *words],
                                    capture_output=True, text=True)
            self.assertEqual(result.returncode, 2, result)
            self.assertIn(told, result.stderr)

    def test_help_lists_the_kinds(self):
        result = subprocess.run([sys.executable, support.SOURCE / "tools/import", "--help"],
                                capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result)
        self.assertIn("    idx      Copies an IDX file", result.stdout)

    def test_not_idx(self):
        self.refuses(self.write("i", b"\x89HDF\r\n"), "not an IDX file", "89484446")

    def test_truncated(self):
        self.refuses(self.write("i", b"\0\0\x08\x02" + struct.pack(">2I", 4, 2) + b"12345"),
                     "truncated", "4 samples", "in sample 2")

    def test_truncated_gzip(self):
        whole = gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 4000) + numpy.random.bytes(4000))
        self.refuses(self.write("i", whole[:2000]), "damaged")

    def test_trailing_bytes(self):
        self.refuses(self.write("i", b"\0\0\x08\x01" + struct.pack(">I", 2) + b"123"), "goes on")

    def test_missing_file(self):
        self.refuses(self.path("none"), "none", "No such file")

    def test_existing_dataset_is_kept(self):
        idx = self.write("i", b"\0\0\x08\x01" + struct.pack(">I", 2) + b"12")
        self.assertEqual(self.run_tool(idx, self.path("o.h5"), "y").status, 0)
        self.refuses(idx, "has a dataset y already", dataset="y")
        with h5py.File(self.path("o.h5")) as file:
            self.assertEqual(file["y"][:].tolist(), [49, 50])
