"""lacuna inspect: what a file holds, and files that cannot be read. Needs no MPI."""

import support


class Inspect(support.EndToEndTest):
    def test_data_set_is_told_in_plain_words(self):
        support.write_images(self.path("a.h5"), samples=20, channels=3, chunk=5, gzip=4)
        text = self.succeeds("inspect", "a.h5").stdout
        self.assertTrue(text.startswith("a.h5: a data set of 20 samples, "), text)
        self.assertIn("/images  [20, 8, 8, 3] uint8, chunks of [5, 8, 8, 3], deflate", text)
        self.assertIn("/labels  [20] uint8, contiguous", text)

    def test_files_that_cannot_be_read_are_refused(self):
        self.path("text.h5").write_text("not HDF5")
        for name in ("none.h5", "text.h5", "."):
            result = self.lacuna("inspect", name, timeout=20)
            self.assertEqual(result.status, 2, result)
            self.assertEqual(result.stdout, "")
            self.assertIn(name, result.complaint())

    def test_missing_argument_is_one_sentence(self):
        result = self.lacuna("inspect")
        self.assertEqual(result.status, 2, result)
        self.assertIn("ANY.h5 is missing", result.complaint())
