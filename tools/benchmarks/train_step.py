"""The peer of train_step.cpp, by the same protocol: PyTorch, unless said otherwise eager on the
CPU, compiled on a GPU.

Usage: train_step.py resnet18|resnet50|vit_tiny|vit_base THREADS BATCH contiguous|channels_last
                     [cpu|cuda [f32|bf16 [eager|compiled]]]

A line "memory" on stdin is answered by the most bytes of the GPU, or of the process, that were in
use.
"""
import resource
import statistics
import sys
import time

import torch
from torch.nn.functional import cross_entropy
from torchvision.models import resnet50

from resnet import resnet18
from vit import vit

CLASSES = 10


def make_model(encoder, edge):
    if encoder == "resnet18":
        return resnet18(width=64, classes=CLASSES)
    if encoder == "resnet50":
        return resnet50(num_classes=CLASSES)
    return vit(encoder, edge, CLASSES)


def main():
    encoder, threads, batch, layout = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    device, precision = (sys.argv[5:7] + ["cpu", "f32"][len(sys.argv) - 5:])[:2]
    compiled = sys.argv[7] == "compiled" if len(sys.argv) > 7 else device == "cuda"
    layout = getattr(torch, layout + "_format" if layout == "contiguous" else layout)
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    torch.backends.cudnn.benchmark = True
    edge = 32 if encoder == "resnet18" else 224
    model = make_model(encoder, edge).to(device, memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    images = torch.randn(batch, 3, edge, edge).to(device, memory_format=layout)
    labels = (torch.arange(batch) % CLASSES).to(device)
    run = torch.compile(model) if compiled else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            loss = cross_entropy(run(images), labels)
        loss.backward()
        optimizer.step()

    def seconds(steps):
        start = time.perf_counter()
        for _ in range(steps):
            step()
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / steps

    seconds(10 if device == "cuda" else 2)
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "memory\n":
            print(torch.cuda.max_memory_allocated() if device == "cuda"
                  else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)
            continue
        steps = int(line)
        print(
            seconds(steps) if device == "cuda" else statistics.median(
                seconds(1) for _ in range(steps)), flush=True)


main()
