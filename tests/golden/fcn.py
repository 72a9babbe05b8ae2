#!/usr/bin/env python3
"""Writes fcn.h5: what PyTorch makes of the FCN encoder in float64, as make.py does of the others.

Usage: fcn.py     (needs torch, torchvision, numpy, h5py; the tests read the file without them)
"""
import pathlib

from torch import nn

from make import write_networks
from networks import ENCODERS


class Fcn(nn.Module):
    """Wang, Yan, Oates 2017, figure 1 (b): convolutions of 8, 5 and 3 with "same" padding."""

    def __init__(self, case):
        super().__init__()
        self.features = width = case["width"]
        self.stride = 1
        channels = case["channels"]
        for i, (out, kernel) in enumerate(((width, 8), (2 * width, 5), (width, 3)), 1):
            setattr(self, f"conv{i}",
                    nn.Conv1d(channels, out, kernel, padding="same", bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm1d(out))
            channels = out
        self.relu = nn.ReLU()

    def map(self, x):
        for i in (1, 2, 3):
            x = self.relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x)))
        return x

    def forward(self, x):
        return self.map(x).mean(2)


ENCODERS["fcn"] = Fcn

if __name__ == "__main__":
    write_networks(pathlib.Path(__file__).with_suffix(".h5"), {
        "fcn": dict(objective="features", encoder="fcn", width=6, features=6, channels=3,
                    length=19, batch=5)})
