"""The peer of train_step.cpp, by the same protocol: PyTorch eager.

Usage: train_step.py THREADS BATCH contiguous|channels_last
"""
import statistics
import sys
import time

import torch
from torch.nn.functional import cross_entropy

from resnet import resnet18


def main():
    threads, batch = int(sys.argv[1]), int(sys.argv[2])
    layout = getattr(torch, sys.argv[3] + "_format" if sys.argv[3] == "contiguous" else sys.argv[3])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = resnet18(width=64, classes=10).to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    images = torch.randn(batch, 3, 32, 32).to(memory_format=layout)
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
