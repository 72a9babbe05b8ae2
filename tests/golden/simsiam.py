#!/usr/bin/env python3
"""Writes simsiam.h5: what PyTorch makes of SimSiam in float64, as make.py does of the others.

Usage: simsiam.py     (needs torch, torchvision, numpy, h5py; the tests read the file without them)
"""
import pathlib

from torch import nn
from torch.nn import functional as F

from make import write_networks
from networks import HIDDEN, OBJECTIVES, PROJECTION, Encoder, Mlp

BOTTLENECK = 16


class SimSiam(nn.Module):
    def __init__(self, case):
        super().__init__()
        self.encoder = Encoder(case)
        self.projector = Mlp([self.encoder.features, HIDDEN, PROJECTION], True)
        self.predictor = Mlp([PROJECTION, BOTTLENECK, PROJECTION], False)

    def loss(self, fields):
        """Chen, He 2021, algorithm 1, and 1 on top, so that perfect agreement is 0."""
        z = [self.projector(self.encoder(fields[view])) for view in ("view0", "view1")]
        p = [self.predictor(each) for each in z]
        cosines = [F.cosine_similarity(a, b.detach()).mean() for a, b in zip(p, reversed(z))]
        return 1 - sum(cosines) / 2


OBJECTIVES["simsiam"] = SimSiam

if __name__ == "__main__":
    write_networks(pathlib.Path(__file__).with_suffix(".h5"), {
        "simsiam": dict(objective="simsiam", width=4, channels=3, height=15, length=15, batch=8)})
