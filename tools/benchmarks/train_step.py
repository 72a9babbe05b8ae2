"""The peer of train_step.cpp, by the same protocol: PyTorch eager.

Usage: train_step.py resnet18|vit_tiny THREADS BATCH contiguous|channels_last
"""
import statistics
import sys
import time

import torch
from torch.nn.functional import cross_entropy

from resnet import resnet18
from vit import vit_tiny


def main():
    encoder, threads, batch, layout = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    layout = getattr(torch, layout + "_format" if layout == "contiguous" else layout)
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    edge = 224 if encoder == "vit_tiny" else 32
    model = vit_tiny(edge, classes=10) if encoder == "vit_tiny" else resnet18(width=64, classes=10)
    model = model.to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    images = torch.randn(batch, 3, edge, edge).to(memory_format=layout)
    labels = torch.arange(batch) % 10

    def seconds():
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(model(images), labels).backward()
        optimizer.step()
        return time.perf_counter() - start

    for _ in range(2):
        seconds()
    print("ready", flush=True)
    for line in sys.stdin:
        print(statistics.median(seconds() for _ in range(int(line))), flush=True)


main()
