"""The peer of `lacuna pretrain` in tools/bench: SimCLR from HDF5 by PyTorch eager, torchvision v2,
h5py.

Usage: simclr.py FILE WIDTH STEM_STRIDE BATCH STEPS THREADS WORKERS contiguous|channels_last

Prints a line after each step. The configuration is bench.py's TOML: the same views, network, loss,
optimizer. h5py's chunk cache holds the file, and DataLoader fetches a batch at a time, so that each
chunk is decompressed once by each process that reads.
"""
import sys

import h5py
import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from resnet import resnet18

TEMPERATURE, HIDDEN, PROJECTION = 0.2, 512, 128


class Views(Dataset):
    """Two views of each image."""

    def __init__(self, path):
        self.path, self.images = path, None
        with h5py.File(path) as file:
            self.count = len(file["images"])
            mean = file["images"].attrs["mean"].tolist()
            std = file["images"].attrs["std"].tolist()
        self.transform = v2.Compose([
            v2.RandomResizedCrop((32, 32), scale=(0.2, 1), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ])

    def __len__(self):
        return self.count

    def __getitems__(self, indices):
        if self.images is None:  # each worker opens the file itself
            self.images = h5py.File(self.path, rdcc_nbytes=1 << 30, rdcc_nslots=100003)["images"]
        order = sorted(indices)  # h5py wants them ascending
        rows = torch.from_numpy(self.images[order]).permute(0, 3, 1, 2)
        return [(self.transform(row), self.transform(row)) for row in rows]


class SimClr(nn.Module):
    def __init__(self, width, stem_stride):
        super().__init__()
        self.encoder = resnet18(width, stem_stride=stem_stride)
        self.projector = nn.Sequential(
            nn.Linear(8 * width, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN), nn.ReLU(inplace=True),
            nn.Linear(HIDDEN, PROJECTION, bias=False), nn.BatchNorm1d(PROJECTION))

    def forward(self, view):
        return normalize(self.projector(self.encoder(view)))


def nt_xent(z0, z1):
    z = torch.cat([z0, z1])
    similarity = z @ z.T / TEMPERATURE
    similarity.fill_diagonal_(float("-inf"))
    rows = torch.arange(len(z))
    return cross_entropy(similarity, rows.roll(len(z0)))


def endless(loader):
    while True:
        yield from loader


def main():
    path, (width, stride, batch, steps, threads, workers) = sys.argv[1], map(int, sys.argv[2:8])
    layout = {"contiguous": torch.contiguous_format,
              "channels_last": torch.channels_last}[sys.argv[8]]
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = SimClr(width, stride).to(memory_format=layout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
    loader = DataLoader(Views(path), batch, shuffle=True, drop_last=True, num_workers=workers,
                        persistent_workers=workers > 0)
    for step, (view0, view1) in enumerate(endless(loader)):
        optimizer.zero_grad(set_to_none=True)
        loss = nt_xent(model(view0.to(memory_format=layout)), model(view1.to(memory_format=layout)))
        loss.backward()
        optimizer.step()
        print("step", step + 1, float(loss.detach()), flush=True)
        if step + 1 == steps:
            break


if __name__ == "__main__":
    main()
