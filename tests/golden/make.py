#!/usr/bin/env python3
"""Writes pytorch.h5: what PyTorch makes of small networks, losses, optimizers and schedules in
float64.

Usage: make.py     (needs torch, torchvision, numpy, h5py; the tests read the file without them)

Weights and inputs are drawn by Lacuna's counter-based formula (cases.py), so that the file holds
results only. Each group is a case: its attributes say how to make it, `names` [N] and `sizes` [N]
(elements) list its tensors, `values` float64 holds them one behind the other: whole up to 64
elements, else as their Euclidean norm and 8 projections on vectors of -1 and 1. docs/testing.md
describes the tests that read it (tests/golden/*.cpp).

In float32 a ReLU or a max pooling whose operands are within rounding of each other may decide
otherwise than in float64, and then gradients differ by far more than rounding; PyTorch's own do.
Inputs on which that happens to PyTorch are rejected; attributes and output say how many.
"""
import copy
import math
import pathlib
import warnings

import h5py
import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from cases import INITIAL_WEIGHTS, TEST, Draws, hash_name, test_normal, write_case
from networks import OBJECTIVES, TEMPERATURE, nt_xent


def deviation(module, name):
    """Of initial weights: torchvision's for convolutions, 1 / sqrt(in) for linear layers, of which
    a patch embedding is one, 0.02 for embeddings."""
    if name.endswith(("cls_token", "pos_embed")):
        return 0.02
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(module.weight)
    if isinstance(module, (nn.Conv1d, nn.Conv2d)) and not name.endswith("patch_embed.proj.weight"):
        return nn.init.calculate_gain("relu") / math.sqrt(fan_out)
    return 1 / math.sqrt(fan_in)


def tensors_of(model):
    return {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}


def draw_weights(model):
    """Weights by Lacuna's initialisation; norms, biases and statistics by draws of the tests' own,
    since ones and zeros would hide errors. A teacher's weights are its student's."""
    fixed = {name for name, _ in model.named_buffers() if name.endswith("pos_embed")}
    for name, tensor in tensors_of(model).items():
        if name in fixed:
            continue
        if tensor.dim() > 1:
            source = name.removeprefix("teacher.")
            module = model.get_submodule(source.rpartition(".")[0])
            draws = Draws(1, INITIAL_WEIGHTS, hash_name(source)).normal(tensor.numel())
            value = torch.from_numpy(draws).reshape(tensor.shape) * deviation(module, source)
        else:
            value = test_normal(name, tensor.shape)
            if name.endswith("running_var"):
                value = 3 * torch.exp(0.2 * value)
            elif name.endswith("weight"):
                value = 1 + 0.2 * value
            else:
                value = 0.1 * value
        tensor.copy_(value)


def draw_fields(case, seed):
    """Rounded to float32, as batches are: of images, or of signals, which have no height."""
    b = case["batch"]
    axes = [case[axis] for axis in ("height", "length") if axis in case]
    fields = {}
    for view in ("view0", "view1"):
        sample = test_normal(view, (b, *axes, case["channels"]), seed).float().double()
        fields[view] = sample.movedim(-1, 1).contiguous()
    fields["functional"] = test_normal("functional", (b, case["features"]), seed).float().double()
    rotation = Draws(seed, TEST, hash_name("rotation")).uniform(b) * 4
    fields["rotation"] = torch.from_numpy(rotation.astype(np.int64))
    mask = Draws(seed, TEST, hash_name("mask")).uniform(b * math.prod(axes)) < case["mask"]
    fields["mask"] = torch.from_numpy(mask).double().reshape(b, 1, *axes)
    return fields


def cast(fields, dtype):
    return {k: v.to(dtype) if v.is_floating_point() else v for k, v in fields.items()}


class Decisions:
    """The operands of every ReLU and max pooling of a training step's forward pass."""

    def __init__(self, model, fields):
        self.relu, self.pool = [], []
        model = copy.deepcopy(model)  # running statistics change
        for module in model.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False
                module.register_forward_pre_hook(
                    lambda _, x: self.relu.append(x[0].double()))
            if isinstance(module, nn.MaxPool2d):
                module.register_forward_pre_hook(
                    lambda _, x: self.pool.append(x[0].double()))
        with torch.no_grad():
            model.train().loss(fields)


MARGIN = 4


def agree(exact, rounded):
    """Whether all decisions are the same, and would be at MARGIN times the rounding error that is
    seen: a processor with other kernels rounds otherwise."""
    for a, b in zip(exact.relu, rounded.relu):
        if (a.abs().min() < MARGIN * (a - b).abs().max()) or ((a > 0) != (b > 0)).any():
            return False
    for a, b in zip(exact.pool, rounded.pool):
        windows = F.unfold(F.pad(a, (1, 1, 1, 1)), 3, stride=2)  # operands are >= 0: 0 is as -inf
        windows = windows.reshape(a.shape[0], a.shape[1], 9, -1).topk(2, dim=2).values
        gap = (windows[:, :, 0] - windows[:, :, 1])[windows[:, :, 0] > 0]
        if gap.min() < 2 * MARGIN * (a - b).abs().max():
            return False
    return True


MOMENTUM_SGD, DECAY = 0.9, 1e-4


def run(model, fields, rate):
    """One SGD step, then evaluation: the case's tensors."""
    model.train()
    probe = copy.deepcopy(model)
    tensors = {"features": probe.encoder(fields["view0"]).detach()}
    loss = model.loss(fields)
    loss.backward()
    tensors["loss"] = loss.detach()
    trained = {k: p for k, p in model.named_parameters() if p.requires_grad}
    for name, parameter in trained.items():
        tensors["gradient/" + name] = parameter.grad
    decayed = {k for k, p in trained.items()
               if p.dim() > 1 and not k.endswith(("cls_token", "pos_embed"))}
    groups = [{"params": [p for k, p in trained.items() if k in decayed], "weight_decay": DECAY},
              {"params": [p for k, p in trained.items() if k not in decayed], "weight_decay": 0.0}]
    torch.optim.SGD(groups, lr=rate, momentum=MOMENTUM_SGD).step()
    if hasattr(model, "after_step"):
        model.after_step()
    for name, tensor in tensors_of(model).items():
        tensors["state/" + name] = tensor
    model.eval()
    tensors["evaluation"] = model.encoder(fields["view0"]).detach()
    return {k: v.detach().double().numpy() for k, v in tensors.items()}


def worst(exact, rounded):
    """The largest relative differences, forward and backward, as the tests measure them."""
    whole = math.sqrt(sum((v**2).sum() for k, v in exact.items() if k.startswith("gradient/")))
    result = {"forward": 0.0, "backward": 0.0}
    for name, value in exact.items():
        gradient = name.startswith("gradient/")
        size = np.linalg.norm(value)
        if gradient and size < 1e-6 * whole:
            size = whole
        kind = "backward" if gradient else "forward"
        result[kind] = max(result[kind], np.linalg.norm(value - rounded[name]) / size)
    return result


NETWORKS = {
    "small_stem": dict(objective="features", width=4, channels=3, height=17, length=13, batch=5),
    "small_stem_of_stride_2": dict(
        objective="features", stem_stride=2, width=8, channels=1, height=33, length=29, batch=4),
    "imagenet_stem": dict(
        objective="features", stem="imagenet", width=5, channels=3, height=65, length=57, batch=4),
    "simclr": dict(objective="simclr", width=4, channels=3, height=15, length=15, batch=8),
    "simclr_imagenet_stem": dict(
        objective="simclr", stem="imagenet", width=3, channels=1, height=41, length=37, batch=6),
    "byol": dict(objective="byol", width=4, channels=1, height=15, length=15, batch=8),
    "rotation": dict(objective="rotation", width=6, channels=3, height=19, length=19, batch=5),
    "inpaint": dict(objective="inpaint", width=4, channels=3, height=21, length=18, batch=4),
    "inpaint_from_features": dict(
        objective="inpaint", decode="features", width=4, channels=2, height=18, length=21,
        batch=5),
    "resnet34": dict(
        objective="features", encoder="resnet34", width=3, channels=3, height=17, length=13,
        batch=5),
    "resnet50": dict(
        objective="features", encoder="resnet50", width=2, channels=3, height=17, length=13,
        batch=4, rate=1e-05),
    "vit_of_class_token": dict(
        objective="features", encoder="vit", features=24, heads=3, depth=3, patch=4, channels=3,
        height=12, length=20, batch=3),
    "vit_of_mean_and_sines": dict(
        objective="features", encoder="vit", features=16, heads=2, depth=2, patch=3, pool="mean",
        positions="sine", channels=1, height=9, length=12, batch=4),
    "vit_of_class_token_and_sines": dict(
        objective="features", encoder="vit", features=16, heads=1, depth=1, patch=7,
        positions="sine", channels=2, height=14, length=7, batch=4),
    "simclr_vit": dict(
        objective="simclr", encoder="vit_tiny", features=192, heads=3, depth=2, patch=4,
        channels=1, height=16, length=12, batch=5),
    "inpaint_vit": dict(
        objective="inpaint", encoder="vit_tiny", features=192, heads=3, depth=2, patch=7,
        pool="mean", channels=3, height=14, length=14, batch=3),
}
DEFAULTS = dict(encoder="resnet18", stem="small", stem_stride=1, mask=0.25, pool="class",
                positions="learned", width=0, rate=0.002, decode="map")


# What float32 is held to (golden.cpp): inputs so steep that PyTorch itself misses it are rejected
# too.
FORWARD, BACKWARD = 1e-5, 1e-4


def network(file, name, given):
    case = DEFAULTS | given
    if "features" not in case:
        case["features"] = case["width"] * (32 if case["encoder"] == "resnet50" else 8)
    model = OBJECTIVES[case["objective"]](case).double()
    draw_weights(model)
    single = copy.deepcopy(model).float()
    for rejected in range(1000):
        seed = 1 + rejected
        fields = draw_fields(case, seed)
        rounded_fields = cast(fields, torch.float32)
        if not agree(Decisions(model, fields), Decisions(single, rounded_fields)):
            continue
        tensors = run(copy.deepcopy(model), fields, case["rate"])
        own = worst(tensors, run(copy.deepcopy(single), rounded_fields, case["rate"]))
        if own["forward"] < FORWARD and own["backward"] < BACKWARD:
            break
    else:
        raise SystemExit(
            f"{name}: no inputs on which PyTorch agrees with itself; make the case smaller")
    print(f"{name}: {len(tensors)} tensors, inputs rejected: {rejected}, "
          f"PyTorch's float32: forward {own['forward']:.1e}, backward {own['backward']:.1e}")
    attributes = case | dict(seed=seed, rejected=rejected, temperature=TEMPERATURE,
                             pytorch_float32_forward=own["forward"],
                             pytorch_float32_backward=own["backward"])
    write_case(file, f"network/{name}", attributes, tensors)


# --------------------------------------------------------------------- losses, optimizers,
# schedules


def nt_xent_case(file, name, rows, features, temperature):
    x = [test_normal(v, (rows, features)).float().double().requires_grad_() for v in ("x0", "x1")]
    loss = nt_xent(*(F.normalize(v) for v in x), temperature)
    loss.backward()
    write_case(file, f"nt_xent/{name}",
               dict(rows=rows, features=features, temperature=temperature),
               {"loss": loss.detach(), "gradient/x0": x[0].grad, "gradient/x1": x[1].grad})


SHAPES = {"matrix": (3, 5), "kernel": (4, 3, 3, 3), "bias": (7,), "no_gradient": (2, 4),
          "no_weights": (3, 2), "nothing": (2, 2), "bias_without_gradient": (3,)}
STEPS, WARMUP, PEAK = 8, 3, 0.1


def schedule(peak, warmup, total):
    """Of PyTorch's schedulers: the rates of steps 0 .. total - 1."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=peak)
    kinds = torch.optim.lr_scheduler
    scheduler = kinds.CosineAnnealingLR(optimizer, total - warmup)
    if warmup > 0:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=peak)
        rise = kinds.LinearLR(optimizer, 1 / warmup, 1, warmup - 1)
        scheduler = kinds.SequentialLR(
            optimizer, [rise, kinds.CosineAnnealingLR(optimizer, total - warmup)], [warmup])
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def lars_gradient(p, decay, trust):
    """You, Gitman, Ginsburg 2017: what SGD with momentum has to be given to be LARS. Biases and
    norms (one axis) are neither decayed nor adapted."""
    if p.dim() <= 1:
        return p.grad
    g = p.grad + decay * p.data
    a, b = torch.linalg.vector_norm(p.data), torch.linalg.vector_norm(g)
    return g * (trust * a / b) if a > 0 and b > 0 else g


OPTIMIZERS = {
    "sgd": dict(kind="sgd", momentum=0.9, weight_decay=0.01),
    "sgd_without_momentum_clipped": dict(kind="sgd", momentum=0.0, weight_decay=0.0, clip=2.0),
    "lars": dict(kind="lars", momentum=0.9, weight_decay=0.01, trust=0.02),
    "lars_without_decay": dict(kind="lars", momentum=0.8, weight_decay=0.0, trust=0.001),
    "adamw": dict(kind="adamw", beta1=0.9, beta2=0.99, epsilon=1e-8, weight_decay=0.05),
    "adamw_clipped": dict(kind="adamw", beta1=0.8, beta2=0.999, epsilon=1e-3, weight_decay=0.1,
                          clip=5.0),
}


def optimizer_case(file, name, o):
    weights = {}
    for key, shape in SHAPES.items():
        zero = key in ("no_weights", "nothing")
        w = torch.zeros(shape, dtype=torch.float64) if zero else test_normal(
            key, shape).float().double()
        weights[key] = nn.Parameter(w)
    decay = o["weight_decay"]
    groups = [{"params": [p for p in weights.values() if p.dim() > 1], "weight_decay": decay},
              {"params": [p for p in weights.values() if p.dim() <= 1], "weight_decay": 0.0}]
    if o["kind"] == "adamw":
        optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(o["beta1"], o["beta2"]),
                                      eps=o["epsilon"])
    elif o["kind"] == "lars":
        optimizer = torch.optim.SGD(list(weights.values()), lr=PEAK, momentum=o["momentum"])
    else:
        optimizer = torch.optim.SGD(groups, lr=PEAK, momentum=o["momentum"])
    tensors = {}
    for step, rate in enumerate(schedule(PEAK, WARMUP, STEPS)):
        for key, p in weights.items():
            p.grad = torch.zeros_like(p)
            if key not in ("no_gradient", "nothing", "bias_without_gradient"):
                p.grad += test_normal(key, p.shape, 1, step + 1).float().double()
        if "clip" in o:
            nn.utils.clip_grad_norm_(list(weights.values()), o["clip"])
        if o["kind"] == "lars":
            for p in weights.values():
                p.grad = lars_gradient(p, decay, o["trust"])
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        for key, p in weights.items():
            tensors[f"{step}/{key}"] = p.detach().clone()
    write_case(file, f"optimizer/{name}", o | dict(steps=STEPS, warmup=WARMUP, peak=PEAK), tensors)


def write_networks(path, networks):
    """A file of these networks alone; an objective's or an encoder's own script makes it."""
    torch.set_num_threads(1)
    part = path.with_suffix(".part")
    with h5py.File(part, "w", libver=("v108", "v110")) as file:
        file.attrs[
            "made_with"] = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
        for name, case in networks.items():
            network(file, name, case)
    part.rename(path)
    print(f"{path}: {path.stat().st_size} bytes")


def main():
    warnings.filterwarnings("ignore", module="torch.optim.lr_scheduler")
    torch.set_num_threads(1)
    path = pathlib.Path(__file__).with_name("pytorch.h5")
    part = path.with_suffix(".part")
    with h5py.File(part, "w", libver=("v108", "v110")) as file:
        file.attrs[
            "made_with"] = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
        for name, case in NETWORKS.items():
            network(file, name, case)
        nt_xent_case(file, "few_rows", 3, 5, 0.5)
        nt_xent_case(file, "many_rows", 37, 19, 0.07)
        for name, o in OPTIMIZERS.items():
            optimizer_case(file, name, o)
        for peak, warmup, total in ((0.1, 0, 10), (2e-3, 7, 50), (3.0, 2, 3), (0.5, 100, 1000)):
            write_case(file, f"schedule/warmup_{warmup}_of_{total}",
                       dict(peak=peak, warmup=warmup, total=total),
                       {"rate": schedule(peak, warmup, total)})
    part.rename(path)
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
