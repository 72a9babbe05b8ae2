#!/usr/bin/env python3
"""Writes clip.h5: what PyTorch makes of CLIP in float64, as make.py does of the others.

Usage: clip.py     (needs torch, torchvision, numpy, h5py; the tests read the file without them)
"""
import pathlib

import torch
from torch import nn
from torch.nn import functional as F

from make import write_networks
from networks import OBJECTIVES, PROJECTION, Encoder


class Tower(nn.Module):
    def __init__(self, case):
        super().__init__()
        self.encoder = Encoder(case)
        self.projector = nn.Linear(self.encoder.features, PROJECTION, bias=False)

    def embed(self, x):
        return F.normalize(self.projector(self.encoder(x)))


class Clip(Tower):
    """Both parts are images: the second one is what other objectives have as the second view."""

    def __init__(self, case):
        super().__init__(case)
        self.paired = Tower(case)
        self.logit_scale = nn.Parameter(torch.zeros(()))

    def loss(self, fields):
        """Radford et al. 2021, figure 3."""
        first, second = self.embed(fields["view0"]), self.paired.embed(fields["view1"])
        logits = first @ second.T * self.logit_scale.exp()
        labels = torch.arange(len(logits))
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


OBJECTIVES["clip"] = Clip

if __name__ == "__main__":
    write_networks(pathlib.Path(__file__).with_suffix(".h5"), {
        "clip": dict(objective="clip", width=4, channels=3, height=15, length=15, batch=8)})
