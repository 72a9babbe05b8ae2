"""Files as people have them: what is loaded of each is compared, bit for bit, with the same data
given plainly. A case is a few lines; all cases of a test are loaded by one process."""

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
            Case("a list as long as an edge", lambda f: (
                f.update(x=first), f["x"].attrs.update(names=numpy.arange(32.))), like=rgb),
            Case("a list as long as one edge alone", lambda f: (
                f.update(x=first[..., :24]), f["x"].attrs.update(names=numpy.arange(24.))),
                 refused=r"\[3, 32, 24\].* set data.channels"),
            Case("a list of times", lambda f: (
                f.update(x=bands[..., 0]), f["x"].attrs.update(time=numpy.arange(24.))),
                 'kind = "signal"', said=["24 positions, 12 channels (first)"]),
            Case("a list of another length", listed("wavelengths", numpy.arange(13.)),
                 refused="set data.channels"),
            Case("given statistics", lambda f: f.update(x=bands),
                 f'statistics = "given"\nmean = {[.5] * 12}\nstd = {[.3] * 12}', like=bands,
                 plain=f'channels = "first"\nstatistics = "given"\nmean = {[.5] * 12}\n'
                 f'std = {[.3] * 12}'),
            Case("samples last", lambda f: f.update(x=cube), 'samples = "last"',
                 like=numpy.moveaxis(cube, -1, 0), said=["120 samples of 16 x 16 pixels"],
                 unsaid=["warning"]),
            Case("samples last in chunks", in_chunks_of_the_last_axis, 'samples = "last"',
                 like=rgb),
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

    def test_what_numbers_mean(self):
        random = numpy.random.default_rng(7)
        wide = random.normal(280, 20, (20, 16, 16, 3)).astype("float32")
        gone = random.random(wide.shape) < 0.1
        holed = numpy.where(gone, numpy.nan, wide)
        packed = random.integers(-3000, 3000, (20, 16, 16), dtype="int16")
        missing = random.random(packed.shape) < 0.2
        small = random.integers(0, 200, (20, 16, 16), dtype="uint8")
        lost = small > 180
        mean = 'missing = "mean"'
        given = ('range = [200, 350]\nstatistics = "given"\n'
                 "mean = [0.5, 0.5, 0.5]\nstd = [1, 1, 1]")
        signal = 'kind = "signal"\nchannels = "last"'
        waves = random.normal(0, 1, (20, 64, 2))

        def with_attributes(values, **attributes):
            def write(file):
                file["x"] = values
                file["x"].attrs.update(attributes)

            return write

        def with_validity(values, valid, name="quality"):
            def write(file):
                file["x"] = values
                file[name] = valid

            return write

        def scaled_in_each_file(folder):
            for i, scale in enumerate((0.01, 0.5)):
                with h5py.File(folder / f"s{i}.h5", "w") as file:
                    file["x"] = packed[10 * i:10 * i + 10]
                    file["x"].attrs.update(scale_factor=scale, add_offset=100.0 * i)
            return folder / "s*.h5"

        def units_in_each_file(folder):
            for i, units in enumerate(("K", "degC")):
                with h5py.File(folder / f"s{i}.h5", "w") as file:
                    file["x"] = wide
                    file["x"].attrs["units"] = units
            return folder / "s*.h5"

        def netcdf_fill(file):
            file.create_dataset("x", wide.shape, "f4", fillvalue=9.969209968386869e36,
                                chunks=(5, 16, 16, 3))[:15] = wide[:15]

        def bit_field(file):
            space = h5py.h5s.create_simple(bools.shape)
            data = h5py.h5d.create(file.id, b"x", h5py.h5t.STD_B8LE, space)
            data.write(h5py.h5s.ALL, h5py.h5s.ALL, bools.astype("u1"), h5py.h5t.NATIVE_B8)

        unpacked = packed * 0.01 + 250
        per_file = numpy.concatenate([packed[:10] * 0.01, packed[10:] * 0.5 + 100.0])
        nan = numpy.nan
        enumeration = h5py.enum_dtype({"cloud": -1, "land": 0, "sea": 1, "ice": 3}, basetype="i1")
        kinds = random.choice([-1, 0, 1, 3], (20, 16, 16)).astype("int8")
        bools = random.random((20, 16, 16)) < 0.3
        phases = (random.normal(size=(20, 16, 16)) + 1j * random.normal(size=(20, 16, 16)))
        parts = numpy.stack([phases.real, phases.imag], -1)
        quads = numpy.stack([phases, 2 * phases, 3 * phases], 1).astype("complex64")
        channels_of_quads = numpy.ascontiguousarray(numpy.moveaxis(quads, 1, -1)).view("f4")
        first = 'channels = "last"\n'
        self.check([
            Case("a fill value is refused", with_attributes(numpy.where(gone, -9999, wide),
                                                            _FillValue=numpy.float32(-9999)),
                 refused='holds a missing value in row 0; set data.missing to "mean"'),
            Case("NaN is refused as ever", with_attributes(holed),
                 refused="holds a NaN or infinity in row 0; mend or remove"),
            Case("a fill value", with_attributes(numpy.where(gone, -9999, wide),
                                                 _FillValue=numpy.float32(-9999)), mean, like=holed,
                 plain=mean, said=[" % missing as the mean"]),
            Case("a large fill value told in double", with_attributes(
                numpy.where(gone, numpy.float32(1e20), wide), missing_value=1e20), mean, like=holed,
                 plain=mean),
            Case("two missing values", with_attributes(
                numpy.where(gone, numpy.where(wide > 280, -1, -2), wide).astype("float32"),
                missing_value=numpy.array([-1, -2], "f4")), mean, like=holed, plain=mean),
            Case("a valid range", with_attributes(
                numpy.where(gone, numpy.where(wide > 280, 1e9, -1), wide).astype("float32"),
                valid_range=numpy.array([0, 1000], "f4")), mean, like=holed, plain=mean),
            Case("valid_min and valid_max", with_attributes(
                numpy.where(gone, numpy.where(wide > 280, 1e9, -1), wide).astype("float32"),
                valid_min=numpy.float32(0), valid_max=numpy.float32(1000)), mean, like=holed,
                 plain=mean),
            Case("infinity is missing", with_attributes(numpy.where(gone, numpy.inf, wide)), mean,
                 like=holed, plain=mean),
            Case("missing as a value", with_attributes(holed),
                 f"missing = 250\n{given}",
                 like=numpy.where(gone, 250, wide).astype("float32"), plain=given,
                 said=["missing as 250"]),
            Case("scale and offset", with_attributes(packed, scale_factor=0.01, add_offset=250.0),
                 like=unpacked, said=["int16 by scale_factor and add_offset"]),
            Case("scale in float32", with_attributes(packed, scale_factor=numpy.float32(0.01)),
                 like=packed * numpy.float32(0.01)),
            Case("scale of each file", write_files=scaled_in_each_file, like=per_file),
            Case("scale and a packed fill value", with_attributes(
                numpy.where(missing, -32768, packed).astype("int16"), scale_factor=0.01,
                add_offset=250.0, _FillValue=numpy.int16(-32768)), mean,
                 like=numpy.where(missing, nan, unpacked), plain=mean),
            Case("a valid range of packed numbers", with_attributes(
                packed, scale_factor=0.01, valid_range=numpy.array([-2000, 2000], "i2")), mean,
                 like=numpy.where(abs(packed) > 2000, nan, packed * 0.01), plain=mean),
            Case("a valid range of unpacked numbers", with_attributes(
                packed, scale_factor=0.01, valid_range=[-20.0, 20.0]), mean,
                 like=numpy.where(abs(packed * 0.01) > 20, nan, packed * 0.01), plain=mean),
            Case("uint8 with a fill value", with_attributes(
                numpy.where(lost, 255, small).astype("uint8"), _FillValue=numpy.uint8(255)), mean,
                 like=numpy.where(lost, nan, small).astype("float32"),
                 plain=mean + "\nrange = [0, 255]", said=["uint8, 0 to 255 as 0 to 1"]),
            Case("a scale of 1 says nothing", with_attributes(small, scale_factor=1.0,
                                                              add_offset=0.0), like=small),
            Case("a scale of 0", with_attributes(small, scale_factor=0.0),
                 refused="scale_factor of /x in .* is 0"),
            Case("a scale that is a text", with_attributes(small, scale_factor="2"),
                 refused='attribute scale_factor of /x in .* is the text "2"'),
            Case("integers that NetCDF calls unsigned", with_attributes(
                small.view("i1"), _Unsigned="true"), refused="have the attribute _Unsigned"),
            Case("what NetCDF fills with", netcdf_fill, mean, plain=mean,
                 like=numpy.where(numpy.arange(20)[:, None, None, None] < 15, wide, nan)),
            Case("units", with_attributes(wide, units="K"), like=wide, said=[", in K"]),
            Case("units of each file", write_files=units_in_each_file,
                 refused='has the units "degC", but in .* "K"'),
            Case("a signed enumeration", lambda f: f.create_dataset("x", data=kinds,
                                                                    dtype=enumeration),
                 like=kinds.astype("int16"), plain="range = [-1, 3]",
                 said=["enumeration, -1 to 3 as 0 to 1"]),
            Case("bool", with_attributes(bools), like=bools.astype("float32"),
                 plain="range = [0, 1]", said=["bool, 0 to 1 as 0 to 1"]),
            Case("bool of PyTables", bit_field, like=bools, said=["bool, 0 to 1"]),
            Case("bool of MATLAB", with_attributes(bools.astype("uint8"),
                                                   MATLAB_class=numpy.bytes_("logical")),
                 like=bools, said=["bool, 0 to 1"]),
            Case("complex", with_attributes(phases), like=parts, plain=first,
                 said=["2 channels of real and imaginary parts, complex128"]),
            Case("complex, channels first", with_attributes(quads), 'channels = "first"',
                 like=channels_of_quads, plain=first),
            Case("complex, samples last", with_attributes(numpy.moveaxis(phases, 0, -1)),
                 'samples = "last"', like=parts, plain=first),
            Case("validity of each number", with_validity(wide, ~gone),
                 f'{mean}\nvalid = "quality"', like=holed, plain=mean),
            Case("validity of each pixel", with_validity(wide, ~gone[..., 0]),
                 f'{mean}\nvalid = "quality"', like=numpy.where(gone[..., :1], nan, wide),
                 plain=mean),
            Case("validity of each pixel, channels first",
                 with_validity(numpy.moveaxis(wide, -1, 1), (~gone[..., 0]).astype("int32")),
                 f'{mean}\nvalid = "quality"', like=numpy.where(gone[..., :1], nan, wide),
                 plain=mean),
            Case("validity of each sample", with_validity(wide, numpy.arange(20) % 5 > 0),
                 f'{mean}\nvalid = "quality"', plain=mean,
                 like=numpy.where((numpy.arange(20) % 5 > 0)[:, None, None, None], wide, nan)),
            Case("validity of other shape", with_validity(wide, numpy.ones((20, 7))),
                 f'{mean}\nvalid = "quality"', refused="/quality has .7. for each row of /x"),
            Case("validity in chunks", lambda f: (
                f.create_dataset("x", data=wide, chunks=(3, 16, 16, 3), compression=1),
                f.create_dataset("quality", data=~gone, chunks=(4, 16, 16, 3), compression=1)),
                 f'{mean}\nvalid = "quality"\n{given}', like=holed, plain=f"{mean}\n{given}"),
            Case("missing in signals", with_attributes(numpy.where(abs(waves) > 2, 1e30, waves),
                                                       _FillValue=1e30), f"{signal}\n{mean}",
                 like=numpy.where(abs(waves) > 2, nan, waves), plain=f"{signal}\n{mean}"),
            Case("missing in tables", with_attributes(
                numpy.where(abs(waves[:, :, 0]) > 2, -999, waves[:, :, 0]), missing_value=-999.0),
                 f'kind = "vector"\n{mean}', plain=f'kind = "vector"\n{mean}',
                 like=numpy.where(abs(waves[:, :, 0]) > 2, nan, waves[:, :, 0])),
            Case("validity of series", with_validity(waves, abs(waves[:, :, 0]) < 1),
                 f'kind = "signal"\nlength = 16\nhop = 8\n{mean}\nvalid = "quality"',
                 like=numpy.where((abs(waves[:, :, 0]) < 1)[..., None], waves, nan),
                 plain=f'kind = "signal"\nlength = 16\nhop = 8\n{mean}'),
        ])

    def test_missing_numbers_change_no_statistics(self):
        """Mean, spread and range are those of the numbers that are there."""
        values = numbers(20, 16, 16, 3, dtype="float32")
        holed = values.copy()
        holed[3:] = numpy.where(numbers(17, 16, 16, 3, dtype="float32", seed=2) < 0.5, numpy.nan,
                                holed[3:])
        cases = [Case("holes", lambda f: f.update(x=holed), 'missing = "mean"\nstatistics = "all"')]
        self.check(cases)
        found = fields_of(self.path("holes") / "case.out")["view0"]
        there = numpy.isfinite(holed)
        low, high = numpy.percentile(holed[there], [0.1, 99.9])
        scaled = numpy.clip((holed.astype("f8") - low) / (high - low), 0, 1)
        wanted = ((scaled - numpy.nanmean(scaled, axis=(0, 1, 2))) /
                  numpy.nanstd(scaled, axis=(0, 1, 2)))
        self.assertLess(numpy.abs(found - wanted)[there].max(), 5e-3)
        self.assertEqual(numpy.abs(found[~there]).max(), 0)

    def test_bands_of_unlike_size(self):
        random = numpy.random.default_rng(3)
        shape = (40, 16, 16)
        small = random.normal(0, 1e-4, shape)
        large = random.normal(5000, 900, shape)
        unlike = numpy.stack([small, large], -1).astype("float32")
        alike = numpy.stack([large, large[::-1] / 2, large / 3], -1).astype("float32")
        flat = numpy.stack([large, numpy.full(shape, 7.0), large[::-1]], -1).astype("float32")
        far = numpy.stack([random.random(shape), 1e6 + random.random(shape)], -1)
        rare = numpy.zeros(shape)
        rare[0, 0, 0] = 1e-3
        last = 'channels = "last"'

        def ranges(values):
            """Of each channel, written as the numbers that they are."""
            found = [numpy.percentile(values[..., c].astype("f8"), [0.1, 99.9])
                     for c in range(values.shape[-1])]
            return found

        def scaled(values):
            return numpy.stack([(values[..., c].astype("f8") - low) / (high - low)
                                for c, (low, high) in enumerate(ranges(values))], -1)

        self.check([
            Case("ranges that are unlike", lambda f: f.update(x=unlike), last,
                 said=["the range of each channel as 0 to 1 (", "no colours"], unsaid=["warning"]),
            Case("channels far apart", lambda f: f.update(x=far), last,
                 said=["the range of each channel as 0 to 1 ("]),
            Case("ranges that are alike", lambda f: f.update(x=alike), last,
                 unsaid=["range of each", "no colours"]),
            Case("ranges asked for", lambda f: f.update(x=alike), last + '\nrange = "channel"',
                 said=["the range of each channel as 0 to 1 (", "no colours"]),
            Case("one range for all that are unlike", lambda f: f.update(x=unlike),
                 last + '\nrange = "percentiles"', unsaid=["range of each"]),
            Case("a band without variation", lambda f: f.update(x=flat), last,
                 said=["warning: channel 1 of /x (counted from 0) has the same value throughout"]),
            Case("a band that hardly varies", lambda f: f.update(
                x=numpy.stack([large / 1e4, rare], -1)), last + "\nrange = [0, 1]",
                 unsaid=["same value throughout"]),
            Case("colours denied", lambda f: f.update(x=alike), last + "\ncolours = false",
                 said=["the 3 channels are read as no colours"]),
            Case("colours asserted", lambda f: f.update(x=unlike), last + "\ncolours = true",
                 unsaid=["no colours"]),
        ])

        def view(name):
            return fields_of(self.path(name.replace(" ", "_")) / "case.out")["view0"]

        for name, values in (("ranges that are unlike", unlike), ("ranges asked for", alike),
                             ("channels far apart", far)):
            found = view(name)
            wanted = numpy.clip(scaled(values), 0, 1)
            wanted = (wanted - wanted.mean((0, 1, 2))) / wanted.std((0, 1, 2))
            self.assertLess(numpy.abs(found - wanted).max(), 0.03, name)
        hardly = view("a band that hardly varies")[..., 1]
        self.assertAlmostEqual(float(hardly.std()), 1, 4)
        self.assertEqual(len(numpy.unique(hardly)), 2)

    def test_what_is_missing_is_not_to_be_found_again(self):
        random = numpy.random.default_rng(5)
        images = random.random((20, 16, 16, 3)).astype("float32")
        gone = random.random(images.shape) < 0.2
        waves = random.normal(size=(20, 64, 2))
        table = random.normal(size=(20, 12))
        kinds = {
            "image": (images, "crop = [1, 1]\ncrop_ratio = [1, 1]\nflip = 0"),
            "signal": (waves, "crop = [1, 1]"), "vector": (table, "corrupt = [0.5]")}
        for kind, (values, augment) in kinds.items():
            holes = random.random(values.shape) < 0.2
            holed = numpy.where(holes, numpy.nan, values)
            lines = f'kind = "{kind}"\nmissing = "mean"\n'
            if kind != "vector":
                lines += 'channels = "last"\n'
            self.check([Case(kind, lambda f, holed=holed: f.update(x=holed),
                             f"{lines}[augment]\n{augment}", recipe="masked")])
            found = fields_of(self.path(kind) / "case.out")
            hidden = numpy.broadcast_to(found["mask"], values.shape) != 0
            self.assertEqual(found["counted"].tolist(), (hidden & ~holes).astype(int).tolist())
            self.assertGreater(hidden[holes].sum(), 0)
        self.check([Case("moved", lambda f: f.update(x=numpy.where(gone, numpy.nan, images)),
                         'missing = "mean"\n[augment]\njitter = [0, 0, 0, 0]\ngreyscale = 0',
                         recipe="masked")])
        found = fields_of(self.path("moved") / "case.out")
        self.assertLess(found["counted"].mean(), 0.25 * 0.7)
        self.assertGreater(found["counted"].mean(), 0)

    def test_twice_the_same_file_and_parts_that_are_not_there(self):
        rgb = numbers(20, 32, 32, 3)

        def linked(folder):
            with h5py.File(folder / "s1.h5", "w") as file:
                file["x"] = rgb
            (folder / "s2.h5").symlink_to("s1.h5")
            (folder / "s3.h5").hardlink_to(folder / "s1.h5")
            return folder / "s*.h5"

        def virtual(folder, parts=(0, 1)):
            layout = h5py.VirtualLayout((20, 32, 32, 3), "u1")
            for i in range(2):
                layout[10 * i:10 * i + 10] = h5py.VirtualSource(f"part{i}.h5", "x", (10, 32, 32, 3))
            for i in parts:
                with h5py.File(folder / f"part{i}.h5", "w") as file:
                    file["x"] = rgb[10 * i:10 * i + 10]
            with h5py.File(folder / "v.h5", "w") as file:
                file.create_virtual_dataset("x", layout)
            return folder / "v.h5"

        def half_written(file):
            data = file.create_dataset("x", (20, 32, 32, 3), "u1", chunks=(5, 32, 32, 3))
            data[:10] = rgb[:10]

        half = numpy.where(numpy.arange(20)[:, None, None, None] < 10, rgb, 0).astype("u1")
        flat = "10 of 20 samples that were looked at hold one value throughout"
        self.check([
            Case("three names of a file", write_files=linked, like=rgb,
                 said=["warning: data.files names files 2 times under another name", "s2.h5 is "]),
            Case("virtual", write_files=virtual, like=rgb, unsaid=["warning"]),
            Case("a virtual part is not there", write_files=lambda folder: virtual(folder, (0, )),
                 like=half, said=["2 files, 1 of them such that are not there, as part1.h5", flat]),
            Case("chunks never written", half_written, like=half,
                 said=["2 chunks of /x in ", " were never written", flat]),
            Case("none never written", lambda f: f.create_dataset(
                "x", data=rgb, chunks=(6, 32, 32, 3)), like=rgb, unsaid=["warning"]),
        ])


class Runs(support.EndToEndTest):
    def test_who_uses_a_run_reads_as_it_did(self):
        """Other files say less than the run's own."""
        random = numpy.random.default_rng(9)
        bands = random.random((16, 6, 8, 8)).astype("float32")
        bands[:, 2] *= 1e-5
        holes = random.random(bands.shape) < 0.1
        for name in ("data.h5", "other.h5"):
            with h5py.File(self.path(name), "w") as file:
                file["images"] = numpy.where(holes, -1, bands).astype("float32")
                file["images"].attrs["_FillValue"] = numpy.float32(-1)
                file["labels"] = numpy.arange(16) % 2
                if name == "data.h5":
                    file["images"].attrs["bands"] = numpy.arange(6)
                    file["images"].attrs["units"] = "K"
        support.write_experiment(self.path("a.toml"))
        read = "16 samples of 8 x 8 pixels, 6 channels (first), float32, the range of each channel"
        told = self.succeeds("pretrain", "a.toml", "--run", "run", "--set", "data.missing=mean")
        self.assertIn(read, told.stdout)
        self.assertIn("the 6 channels are read as no colours", told.stdout)
        asked = self.lacuna("pretrain", "a.toml", "--run", "no", "--set", "data.files=other.h5",
                            "--set", "data.missing=mean")
        self.assertIn("set data.channels", asked.complaint())
        z = []
        for name in ("data.h5", "other.h5"):
            told = self.succeeds("embed", "run", "--data", name, "--out", "z.h5", "--force")
            self.assertIn(read, told.stdout)
            self.assertIn(", missing as the mean", told.stdout)
            with h5py.File(self.path("z.h5")) as file:
                z.append(file["z"][:])
        self.assertEqual(z[0].tobytes(), z[1].tobytes())
        with h5py.File(self.path("other.h5"), "r+") as file:
            file["images"].attrs["units"] = "degC"
        told = self.succeeds("embed", "run", "--data", "other.h5", "--out", "z.h5", "--force")
        self.assertIn("warning: samples of /images are in degC, and those of the run were in K",
                      told.stdout)
        support.write_task(self.path("linear.toml"), "linear")
        told = self.succeeds("finetune", "linear.toml", "--from", "run", "--run", "probe",
                             "--set", "data.files=other.h5")
        self.assertEqual(told.stdout.count(read), 2)

    def test_inpainting_learns_from_what_is_there(self):
        """Numbers in the place of missing ones change no loss, on one rank and on two."""
        values = numbers(24, 8, 8, 3, dtype="float32")
        holes = numbers(24, 8, 8, 1, dtype="float32", seed=2) < 0.2
        support.write_experiment(self.path("a.toml"), objective="inpaint")
        curves = []
        for ranks, instead in ((None, -5.0), (2, 1e9)):
            with h5py.File(self.path("data.h5"), "w") as file:
                file["images"] = numpy.where(holes, instead, values).astype("float32")
                file["images"].attrs["missing_value"] = numpy.float32(instead)
            run = self.path(f"run{ranks}")
            self.succeeds("pretrain", "a.toml", "--run", run, "--set", "data.missing=mean", "--set",
                          "train.device=reference", ranks=ranks)
            curves.append([row["loss"] for row in support.curve(run) if "loss" in row])
        self.assertGreater(len(curves[0]), 2)
        for one, two in zip(*curves):
            self.assertAlmostEqual(one, two, 8)

    def test_check_tells_of_channels_and_of_what_is_missing(self):
        values = numbers(24, 8, 8, 4, dtype="float32")
        values[..., 1] *= 1e-4
        values[..., 2] = 0.5
        values[:12, 0, 0, 0] = -9
        with h5py.File(self.path("data.h5"), "w") as file:
            file["images"] = values
            file["images"].attrs["_FillValue"] = numpy.float32(-9)
        support.write_experiment(self.path("a.toml"))
        refused = self.lacuna("check", "a.toml")
        self.assertEqual(refused.status, 3)
        self.assertIn("12 of 24 samples looked at hold missing numbers, the first in row 0 of "
                      "/images", refused.complaint())
        told = self.succeeds("check", "a.toml", "--set", "data.missing=mean").stdout
        first = told.splitlines()[0]
        self.assertIn("24 samples of 8 x 8 pixels, 4 channels (last), float32", first)
        self.assertRegex(told, r"values +.*; 0\.2 % missing")
        self.assertRegex(told, r"channels +values span .* \(channel 1, counted from 0\) to .*")
        self.assertIn("warning: channels 2 (counted from 0) have the same value", told)
