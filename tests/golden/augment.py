#!/usr/bin/env python3
"""Writes augment.h5: what torchvision v2 makes of a few images with given parameters.

Usage: augment.py     (needs torch, torchvision, numpy, h5py; the tests read the file without them)

Each group is a case: the attribute `operation` names it, `parameters` are its numbers, `input` what
it is applied to; the dataset `output` float32 [h, w, C] is torchvision's result. Inputs are the
datasets /grey and /colour, uint8 [H, W, C]; torchvision gets them as float32 in [0, 1], channels
first, and resizes with antialias=True. Read by tests/augment/image/golden.cpp.
"""
import pathlib

import h5py
import numpy as np
import torch
import torchvision
from torchvision.transforms.v2 import functional as F


def image(height, width, channels):
    """Smooth shapes with some noise, so that neither means nor edges are trivial."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 90 * np.sin(0.3 * x + 0.1 * c * y + c) * np.cos(0.23 * y + 0.05 * x * c)
              for c in range(channels)]
    noisy = np.stack(planes, -1) + rng.normal(0, 20, (height, width, channels))
    return noisy.clip(0, 255).astype(np.uint8)


def blend_all(x, brightness, contrast, saturation, hue, order):
    steps = [lambda v: F.adjust_brightness(v, brightness), lambda v: F.adjust_contrast(v, contrast),
             lambda v: F.adjust_saturation(v, saturation), lambda v: F.adjust_hue(v, hue)]
    for which in order:
        x = steps[which](x)
    return x


def pipeline(x, top, left, height, width, size, sigma):
    """A whole SimCLR view with its draws fixed."""
    x = F.resized_crop(x, top, left, height, width, [size, size], antialias=True)
    x = F.horizontal_flip(x)
    x = blend_all(x, 1.3, 0.6, 1.5, -0.12, (2, 0, 3, 1))
    x = F.gaussian_blur(x, [5, 5], [sigma, sigma])
    x = F.solarize(x, 0.5)
    return F.normalize(x, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


OPERATIONS = {
    "crop": lambda x, top, left, h, w, to_h, to_w: F.resized_crop(
        x, int(top), int(left), int(h), int(w), [int(to_h), int(to_w)], antialias=True),
    "brightness": F.adjust_brightness,
    "contrast": F.adjust_contrast,
    "saturation": F.adjust_saturation,
    "hue": F.adjust_hue,
    "grey": lambda x: F.rgb_to_grayscale(x, num_output_channels=3),
    "solarise": F.solarize,
    "blur": lambda x, radius, sigma: F.gaussian_blur(x, [2 * int(radius) + 1] * 2, [sigma] * 2),
    "flips": lambda x: F.vertical_flip(F.horizontal_flip(x)),
    "pipeline": lambda x, *p: pipeline(x, *map(int, p[:5]), p[5]),
}

# input, operation, parameters
CASES = [
    ("colour", "crop", (3, 5, 15, 11, 7, 9)),
    ("colour", "crop", (6, 2, 9, 11, 17, 15)),
    ("grey", "crop", (0, 0, 28, 28, 28, 28)),
    ("grey", "crop", (2, 7, 25, 13, 28, 28)),
    ("grey", "crop", (1, 0, 27, 28, 5, 9)),
    ("colour", "brightness", (1.6,)),
    ("colour", "brightness", (0.3,)),
    ("colour", "contrast", (1.7,)),
    ("grey", "contrast", (0.4,)),
    ("colour", "saturation", (1.8,)),
    ("colour", "saturation", (0.2,)),
    ("colour", "hue", (0.2,)),
    ("colour", "hue", (-0.37,)),
    ("colour", "grey", ()),
    ("colour", "solarise", (0.5,)),
    ("colour", "blur", (1, 1.7)),
    ("grey", "blur", (6, 2.0)),
    ("grey", "blur", (11, 0.4)),
    ("colour", "flips", ()),
    ("colour", "pipeline", (4, 3, 13, 14, 16, 0.9)),
]


def main():
    torch.set_num_threads(1)
    images = {"grey": image(28, 28, 1), "colour": image(19, 17, 3)}
    path = pathlib.Path(__file__).with_suffix(".h5")
    with h5py.File(path, "w", libver=("v108", "v110")) as file:
        file.attrs["made_with"] = (f"torch {torch.__version__}, "
                                   f"torchvision {torchvision.__version__}")
        for name, values in images.items():
            file.create_dataset(name, data=values, track_times=False)
        for number, (name, operation, parameters) in enumerate(CASES):
            x = torch.from_numpy(images[name]).permute(2, 0, 1).float() / 255
            y = OPERATIONS[operation](x, *parameters).permute(1, 2, 0).contiguous().numpy()
            group = file.create_group(f"case{number:02d}")
            group.attrs["input"] = name
            group.attrs["operation"] = operation
            if parameters:
                group.attrs["parameters"] = np.array(parameters, np.float64)
            group.create_dataset("output", data=y.astype(np.float32), track_times=False)
    print(f"{path}: {path.stat().st_size} bytes, {len(CASES)} cases")


if __name__ == "__main__":
    main()
