"""Files as people have them: what is loaded of each is compared, bit for bit, with the same data
given plainly. A case is a few lines; all cases of a test are loaded by one process (lacuna-load)."""

import dataclasses
import pathlib
import subprocess
import typing

import h5py
import numpy

import support

TOML = """
[objective]
name = "simclr"
[data]
{lines}
[train]
batch = 4
"""


def numbers(*shape, dtype="uint8", seed=1):
    """Numbers of all sizes: integers over the type's range, up to 16 bits; floats in [0, 1]."""
    random = numpy.random.default_rng(seed)
    kind = numpy.dtype(dtype)
    if kind.kind in "ui":
        low, high = (max(numpy.iinfo(kind).min, -32768), min(numpy.iinfo(kind).max, 65535))
        return random.integers(low, high, shape, endpoint=True).astype(kind)
    return random.random(shape).astype(kind)


@dataclasses.dataclass
class Case:
    """One way to write data. `write(h5)` fills a file, or `write_files(folder)` makes some and
    returns a pattern; `lines` are of [data]. `like` is the same data as "x" of a plain file, read
    with `plain`; or the loading is `refused` with a text. `said` must be told in either case, and
    `unsaid` not."""

    name: str
    write: typing.Callable = None
    lines: str = ""
    like: numpy.ndarray = None
    plain: str = ""
    said: tuple = ()
    unsaid: tuple = ()
    refused: str = ""
    recipe: str = "plain"
    write_files: typing.Callable = None


def fields_of(path):
    """What lacuna-load wrote, by name."""
    front, rest = path.read_bytes().split(b"\n\n", 1)
    found, at = {}, 0
    for line in front.decode().splitlines():
        name, dtype, *sizes = line.split()
        shape = [int(size) for size in sizes]
        kind = numpy.dtype(dtype)
        bytes_of_it = int(numpy.prod(shape)) * kind.itemsize
        found[name] = numpy.frombuffer(rest[at:at + bytes_of_it], kind).reshape(shape)
        at += bytes_of_it
    return found


class ForeignFiles(support.EndToEndTest):
    def prepare(self, case):
        """Writes the case's files and configurations; returns the lines for lacuna-load."""
        folder = self.path(case.name.replace(" ", "_"))
        folder.mkdir()
        pattern = folder / "a.h5"
        if case.write_files:
            pattern = case.write_files(folder)
        else:
            with h5py.File(pattern, "w") as file:
                case.write(file)

        def config(name, files, lines):
            dataset = "" if "dataset" in lines else 'dataset = "x"\n'
            (folder / name).write_text(TOML.format(lines=f'files = "{files}"\n{dataset}{lines}'))
            return f"{folder / name} {folder / name}.out {case.recipe}"

        asked = [config("case", pattern, case.lines)]
        if case.like is not None:
            with h5py.File(folder / "plain.h5", "w") as file:
                file["x"] = case.like
            asked.append(config("plain", folder / "plain.h5", case.plain))
        return asked

    def compare(self, case, told):
        folder = self.path(case.name.replace(" ", "_"))
        for text in case.said:
            self.assertIn(text, told[0])
        for text in case.unsaid:
            self.assertNotIn(text, told[0])
        if case.refused:
            self.assertRegex(told[0], f"error: .*{case.refused}")
            return
        for text in told:
            self.assertNotIn("error: ", text)
        if case.like is None:
            return
        found, wanted = fields_of(folder / "case.out"), fields_of(folder / "plain.out")
        self.assertEqual(found.keys(), wanted.keys())
        for name, values in wanted.items():
            self.assertEqual(found[name].shape, values.shape)
            self.assertEqual(found[name].tobytes(), values.tobytes(),
                             f"{name} {found[name].ravel()[:8]} {values.ravel()[:8]}")

    def check(self, cases):
        asked = [self.prepare(case) for case in cases]
        lines = [line for lines in asked for line in lines]
        program = subprocess.run([support.BUILD / "tests" / "lacuna-load"], text=True,
                                 input="\n".join(lines) + "\n", capture_output=True, timeout=120,
                                 check=True)
        told = iter(program.stdout.split("end\n"))
        for case, lines in zip(cases, asked):
            with self.subTest(case.name):
                self.compare(case, [next(told) for _ in lines])

    def test_where_a_sample_and_its_channels_lie(self):
        rgb = numbers(20, 32, 32, 3)
        first = rgb.transpose(0, 3, 1, 2)
        bands = numbers(20, 12, 24, 24, dtype="float32")

        def listed(name, values):
            def write(file):
                file["x"] = bands
                file["x"].attrs[name] = values

            return write

        def each_a_file(folder):
            for i, image in enumerate(rgb):
                with h5py.File(folder / f"s{i:03}.h5", "w") as file:
                    file["x"] = image
            return folder / "s*.h5"

        def each_a_dataset(file):
            for i, image in enumerate(rgb):
                file[f"sample_{i}/image"] = image
            file["sample_x"] = 1

        def in_chunks_of_the_last_axis(file):
            file.create_dataset("x", data=numpy.moveaxis(rgb, 0, -1), chunks=(32, 8, 3, 7),
                                compression=1)

        cube = numbers(16, 16, 120, dtype="uint16")
        self.check([
            Case("channels first", lambda f: f.update(x=first), like=rgb,
                 said=["20 samples of 32 x 32 pixels, 3 channels (first), uint8, 0 to 255 as 0"]),
            Case("channels last", lambda f: f.update(x=rgb), like=first,
                 said=["3 channels (last)"]),
            Case("one channel first", lambda f: f.update(x=first[:, :1]), like=rgb[..., :1]),
            Case("said to be otherwise", lambda f: f.update(x=first), 'channels = "last"',
                 said=["3 x 32 pixels, 32 channels (last)"]),
            Case("both ends short", lambda f: f.update(x=rgb[:, :3]),
                 refused=r"\[3, 32, 3\].* set data.channels"),
            Case("no end short", lambda f: f.update(x=bands),
                 refused=r"\[12, 24, 24\].* set data.channels"),
            Case("a list of wavelengths", listed("wavelengths", numpy.arange(12.)), like=bands,
                 plain='channels = "first"', said=["12 channels (first)"]),
            Case("names of bands", listed("bands", [f"B{i}" for i in range(12)]), like=bands,
                 plain='channels = "first"'),
            Case("a list of another length", listed("wavelengths", numpy.arange(13.)),
                 refused="set data.channels"),
            Case("given statistics", lambda f: f.update(x=bands),
                 f'statistics = "given"\nmean = {[.5] * 12}\nstd = {[.3] * 12}', like=bands,
                 plain=f'channels = "first"\nstatistics = "given"\nmean = {[.5] * 12}\n'
                 f'std = {[.3] * 12}'),
            Case("samples last", lambda f: f.update(x=cube), 'samples = "last"',
                 like=numpy.moveaxis(cube, -1, 0), said=["120 samples of 16 x 16 pixels"],
                 unsaid=["warning"]),
            Case("samples last in chunks", in_chunks_of_the_last_axis, 'samples = "last"', like=rgb),
            Case("samples last unsaid", lambda f: f.update(x=cube),
                 said=["warning: there are as many samples as they have on an edge, 16",
                       'data.samples = "last"']),
            Case("as many samples as an edge", lambda f: f.update(x=rgb[:, :20, :20]),
                 'samples = "first"', unsaid=["warning"]),
            Case("a file is a sample", write_files=each_a_file, lines='samples = "file"', like=rgb),
            Case("a file is a sample, the old word", write_files=each_a_file, lines="leading = 0",
                 like=rgb),
            Case("a file is a sample, unsaid", write_files=each_a_file, lines='kind = "image"',
                 said=["warning: each of the 20 files has 32 rows", 'data.samples = "file"']),
            Case("a file is a sample, and may be signals", write_files=each_a_file,
                 refused='data.samples to "file"'),
            Case("a dataset is a sample", each_a_dataset, 'dataset = "sample_*/image"', like=rgb),
            Case("none matches", each_a_dataset, 'dataset = "sample_?/mask"',
                 refused="no dataset .*a.h5 matches sample_./mask"),
            Case("datasets of two shapes",
                 lambda f: f.update({"s/1": rgb[0], "s/2": rgb[1, :8]}), 'dataset = "s/*"',
                 refused=r"/s/2 .* is \[8, 32, 3\] uint8, but /s/1 is \[32, 32, 3\]"),
            Case("two leading axes", lambda f: f.update(x=rgb.reshape(4, 5, 32, 32, 3)),
                 "leading = 2", like=rgb),
        ])
