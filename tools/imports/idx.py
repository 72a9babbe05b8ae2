"""Copies an IDX file (the format of MNIST and its relatives), gzipped or not, into an HDF5 dataset.

    tools/import idx train-images-idx3-ubyte.gz data.h5 train/images --chunk 256 --gzip 4
    tools/import idx train-labels-idx1-ubyte.gz data.h5 train/labels

The HDF5 file is made if it does not exist; a dataset that exists is an error. Samples are copied
in blocks, so that memory is bounded whatever the size.
"""

import gzip
import math
import os
import struct
import zlib

import h5py
import numpy

from imports import BadInput

# Third byte of the magic number -> type, big-endian as IDX has it.
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def open_idx(path):
    with open(path, "rb") as probe:
        compressed = probe.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if compressed else open(path, "rb")


def read_header(stream, path):
    """Returns (dtype, shape) of the IDX stream; the stream then stands at the first element."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] == 0:
        raise BadInput(f"{path} is not an IDX file: it begins with {magic.hex() or 'nothing'}, "
                       "where two zero bytes, a type (08 to 0e) and a rank should be")
    rank = magic[3]
    sizes = stream.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise BadInput(
            f"{path} ends within its header: {len(sizes)} bytes of sizes, {4 * rank} wanted")
    return numpy.dtype(TYPES[magic[2]]), struct.unpack(f">{rank}I", sizes)


def copy(stream, path, dataset, dtype, shape, block):
    """Fills the dataset from the stream, `block` samples at a time."""
    sample_bytes = dtype.itemsize * math.prod(shape[1:])
    for row in range(0, shape[0], block):
        count = min(block, shape[0] - row)
        data = stream.read(count * sample_bytes)
        if len(data) != count * sample_bytes:
            raise BadInput(
                f"{path} is truncated: its header says {shape[0]} samples of "
                f"{sample_bytes} bytes, it ends in sample {row + len(data) // sample_bytes}")
        values = numpy.frombuffer(data, dtype).reshape((count,) + shape[1:])
        dataset[row:row + count] = values.astype(dtype.newbyteorder("="))
    if stream.read(1):
        raise BadInput(f"{path} goes on behind the {shape[0]} samples that its header says")


def import_idx(arguments):
    with open_idx(arguments.idx) as stream, h5py.File(arguments.hdf5, "a") as target:
        dtype, shape = read_header(stream, arguments.idx)
        if arguments.dataset in target:
            raise BadInput(f"{arguments.hdf5} has a dataset {arguments.dataset} already: "
                           "choose another name, or another file")
        options = {}
        if arguments.chunk or arguments.gzip:
            options["chunks"] = (max(1, min(arguments.chunk or 256, shape[0])),) + shape[1:]
        if arguments.gzip:
            options["compression"] = "gzip"
            options["compression_opts"] = arguments.gzip
        dataset = target.create_dataset(arguments.dataset, shape, dtype.newbyteorder("="),
                                        **options)
        try:
            copy(stream, arguments.idx, dataset, dtype, shape, arguments.chunk or 4096)
        except BaseException:
            del target[arguments.dataset]  # nothing half-written
            raise
        dataset.attrs["source"] = os.path.basename(arguments.idx)


def add_arguments(parser):
    parser.add_argument("idx", help="IDX file, gzipped or not")
    parser.add_argument("hdf5", help="HDF5 file, made if it does not exist")
    parser.add_argument("dataset", help="path of the new dataset, e.g. train/images")
    parser.add_argument("--chunk", type=int, default=0, metavar="N",
                        help="samples per chunk (default: contiguous, or 256 with --gzip)")
    parser.add_argument("--gzip", type=int, default=0, choices=range(10), metavar="LEVEL",
                        help="compress with gzip, 1 (fast) to 9 (small); 0, the default: not")


def run(arguments):
    if arguments.chunk < 0:
        raise BadInput(f"--chunk {arguments.chunk}: must be at least 1")
    try:
        import_idx(arguments)
    except (EOFError, zlib.error) as error:
        raise BadInput(f"{arguments.idx} is damaged: {error}") from error
