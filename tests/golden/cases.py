"""What the scripts of golden values share: draws by Lacuna's counter-based formula
(src/base/random.h), reimplemented here, and cases as they stand in the files."""

import math

import h5py
import numpy as np
import torch

INITIAL_WEIGHTS, TEST = 1, 1000  # Purpose
WORD = 0xFFFFFFFF
LONG = 0xFFFFFFFFFFFFFFFF


def splitmix64(z):
    z = (z + 0x9E3779B97F4A7C15) & LONG
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & LONG
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & LONG
    return z ^ (z >> 31)


def hash_name(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & LONG
    return h


def philox(counter, key):
    """Philox4x32-10 of many counters (4 arrays of uint64 below 2^32)."""
    c = list(counter)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(key[0]), p1 & np.uint64(WORD),
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(key[1]), p0 & np.uint64(WORD)]
        key = ((key[0] + 0x9E3779B9) & WORD, (key[1] + 0xBB67AE85) & WORD)
    return c


class Draws:
    def __init__(self, seed, purpose, subject, detail=0):
        self.key = splitmix64(seed ^ splitmix64(purpose))
        self.subject, self.detail = subject, detail

    def blocks(self, count):
        rest = [np.full(count, v, np.uint64)
                for v in (self.detail, self.subject & WORD, self.subject >> 32)]
        return philox([np.arange(count, dtype=np.uint64), *rest], (self.key & WORD, self.key >> 32))

    def _fraction(self, high, low):
        return (((high << np.uint64(32)) | low) >> np.uint64(11)).astype(np.float64)

    def uniform(self, count):
        b = self.blocks(count)
        return self._fraction(b[0], b[1]) * 2.0**-53

    def normal(self, count):
        b = self.blocks(count)
        u = (self._fraction(b[0], b[1]) + 0.5) * 2.0**-53
        v = self._fraction(b[2], b[3]) * 2.0**-53
        return np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)

    def bits(self, count):
        return np.stack(self.blocks((count + 3) // 4), -1).reshape(-1)[:count]


def test_normal(name, shape, seed=1, detail=0):
    draws = Draws(seed, TEST, hash_name(name), detail)
    return torch.from_numpy(draws.normal(math.prod(shape))).reshape(shape)


WHOLE, PROJECTIONS = 64, 8


def summary(values):
    if values.size <= WHOLE:
        return values
    bits = Draws(1, TEST, hash_name("projection")).bits(values.size)
    signs = [1.0 - 2.0 * ((bits >> np.uint64(k)) & np.uint64(1)).astype(np.float64)
             for k in range(PROJECTIONS)]
    return np.array([np.linalg.norm(values), *(s @ values for s in signs)])


def write_case(file, name, attributes, tensors):
    group = file.create_group(name)
    for key, value in attributes.items():
        group.attrs[key] = value
    flat = {key: np.asarray(value, np.float64).reshape(-1) for key, value in tensors.items()}
    group.create_dataset("names", data=list(flat), dtype=h5py.string_dtype(), track_times=False)
    group.create_dataset("sizes", data=np.array([v.size for v in flat.values()], np.int64),
                         track_times=False)
    group.create_dataset("values", data=np.concatenate([summary(v) for v in flat.values()]),
                         track_times=False)
