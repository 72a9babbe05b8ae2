"""Images per second and core of the SimCLR views, two of each image, ours beside torchvision v2's.

Usage: tools/bench-augment [LACUNA-TESTS]      (default: build/tests/lacuna-tests)

Both sides take float images in memory, one at a time, on one thread, and are timed by the thread's
processor time; the transforms are Chen et al. 2020's: crop from 0.08 of the area, flip, jitter of
strength 1 in 80 %, grey in 20 %, blur of a tenth of the edge in 50 %, normalised.
"""
import pathlib
import re
import subprocess
import sys
import time

import torch
import torchvision
from torchvision.transforms import v2

SHAPES = [(28, 28, 1), (32, 32, 3), (224, 224, 3)]


def peer(height, width, channels):
    kernel = max((height + 10) // 20, 1) * 2 + 1
    jitter = v2.ColorJitter(0.8, 0.8, 0.8, 0.2 if channels == 3 else 0)
    return v2.Compose([
        v2.RandomResizedCrop((height, width), scale=(0.08, 1), antialias=True),
        v2.RandomHorizontalFlip(),
        v2.RandomApply([jitter], 0.8),
        v2.RandomGrayscale(0.2),
        v2.RandomApply([v2.GaussianBlur(kernel, (0.1, 2.0))], 0.5),
        v2.Normalize([0.5] * channels, [0.25] * channels),
    ])


def peer_rate(height, width, channels):
    views = peer(height, width, channels)
    image = torch.rand(channels, height, width)
    best = 0
    for _ in range(3):
        start, images = time.thread_time(), 0
        while time.thread_time() - start < 1:
            views(image), views(image)
            images += 1
        best = max(best, images / (time.thread_time() - start))
    return best


def our_rates(program):
    text = subprocess.run([program, "[benchmark]"], check=True, capture_output=True,
                          text=True).stdout
    found = re.findall(r"^SimCLR +(\d+) x +(\d+) x (\d+) +(\d+) images/s", text, re.M)
    return {tuple(map(int, row[:3])): int(row[3]) for row in found}


def main():
    torch.set_num_threads(1)
    default = pathlib.Path(__file__).resolve().parents[2] / "build/tests/lacuna-tests"
    ours = our_rates(sys.argv[1] if len(sys.argv) > 1 else str(default))
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}")
    for shape in SHAPES:
        theirs = peer_rate(*shape)
        print("%3d x %3d x %d   ours %8.0f   torchvision %8.1f images/s and core   ratio %5.1f"
              % (*shape, ours[shape], theirs, ours[shape] / theirs))


if __name__ == "__main__":
    main()
