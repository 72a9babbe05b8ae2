#!/usr/bin/env python3
"""Writes pytorch.h5: what PyTorch makes of small networks, losses, optimizers and schedules in float64.

Usage: make.py     (needs torch, torchvision, numpy, h5py; the tests read the file without them)

Weights and inputs are drawn by Lacuna's counter-based formula (src/base/random.h), reimplemented here, so
that the file holds results only. Each group is a case: its attributes say how to make it, `names` [N] and
`sizes` [N] (elements) list its tensors, `values` float64 holds them one behind the other: whole up to 64
elements, else as their Euclidean norm and 8 projections on vectors of -1 and 1. docs/testing.md describes
the tests that read it (tests/golden/*.cpp).

In float32 a ReLU or a max pooling whose operands are within rounding of each other may decide otherwise
than in float64, and then gradients differ by far more than rounding; PyTorch's own do. Inputs on which
that happens to PyTorch are rejected; attributes and output say how many.
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
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

# ------------------------------------------------------------------- Lacuna's draws (src/base/random.h)

INITIAL_WEIGHTS, TEST = 1, 1000  # Purpose
WORD = 0xFFFFFFFF
LONG = 0xFFFFFFFFFFFFFFFF


def splitmix64(z):
    z = (z + 0x9E3779B97F4A7C15) & LONG
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & LONG
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & LONG
    return z ^ (z >> 31)


def hash_name(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & LONG
    return h


def philox(counter, key):
    """Philox4x32-10 of many counters (4 arrays of uint64 below 2^32)."""
    c = list(counter)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(key[0]), p1 & np.uint64(WORD),
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(key[1]), p0 & np.uint64(WORD)]
        key = ((key[0] + 0x9E3779B9) & WORD, (key[1] + 0xBB67AE85) & WORD)
    return c


class Draws:
    def __init__(self, seed, purpose, subject, detail=0):
        self.key = splitmix64(seed ^ splitmix64(purpose))
        self.subject, self.detail = subject, detail

    def blocks(self, count):
        rest = [np.full(count, v, np.uint64)
                for v in (self.detail, self.subject & WORD, self.subject >> 32)]
        return philox([np.arange(count, dtype=np.uint64), *rest], (self.key & WORD, self.key >> 32))

    def _fraction(self, high, low):
        return (((high << np.uint64(32)) | low) >> np.uint64(11)).astype(np.float64)

    def uniform(self, count):
        b = self.blocks(count)
        return self._fraction(b[0], b[1]) * 2.0**-53

    def normal(self, count):
        b = self.blocks(count)
        u = (self._fraction(b[0], b[1]) + 0.5) * 2.0**-53
        v = self._fraction(b[2], b[3]) * 2.0**-53
        return np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)

    def bits(self, count):
        return np.stack(self.blocks((count + 3) // 4), -1).reshape(-1)[:count]


def test_normal(name, shape, seed=1, detail=0):
    draws = Draws(seed, TEST, hash_name(name), detail)
    return torch.from_numpy(draws.normal(math.prod(shape))).reshape(shape)


# ------------------------------------------------------------------------------------------ summaries

WHOLE, PROJECTIONS = 64, 8


def summary(values):
    if values.size <= WHOLE:
        return values
    bits = Draws(1, TEST, hash_name("projection")).bits(values.size)
    signs = [1.0 - 2.0 * ((bits >> np.uint64(k)) & np.uint64(1)).astype(np.float64)
             for k in range(PROJECTIONS)]
    return np.array([np.linalg.norm(values), *(s @ values for s in signs)])


def write_case(file, name, attributes, tensors):
    group = file.create_group(name)
    for key, value in attributes.items():
        group.attrs[key] = value
    flat = {key: np.asarray(value, np.float64).reshape(-1) for key, value in tensors.items()}
    group.create_dataset("names", data=list(flat), dtype=h5py.string_dtype(), track_times=False)
    group.create_dataset("sizes", data=np.array([v.size for v in flat.values()], np.int64),
                         track_times=False)
    group.create_dataset("values", data=np.concatenate([summary(v) for v in flat.values()]),
                         track_times=False)


# ------------------------------------------------------------------------------------------- networks


class ResNetEncoder(ResNet):
    """torchvision's ResNets of another width, with another stem and no classifier."""

    def __init__(self, case):
        block, counts = {"resnet18": (BasicBlock, [2, 2, 2, 2]), "resnet34": (BasicBlock, [3, 4, 6, 3]),
                         "resnet50": (Bottleneck, [3, 4, 6, 3])}[case["encoder"]]
        super().__init__(block, counts)
        width = self.inplanes = case["width"]
        if case["stem"] == "imagenet":
            self.conv1 = nn.Conv2d(case["channels"], width, 7, 2, 3, bias=False)
        else:
            self.conv1 = nn.Conv2d(case["channels"], width, 3, case["stem_stride"], 1, bias=False)
            self.maxpool = nn.Identity()
        self.bn1 = nn.BatchNorm2d(width)
        for stage in range(4):
            layer = self._make_layer(block, width << stage, counts[stage],
                                     stride=1 if stage == 0 else 2)
            setattr(self, f"layer{stage + 1}", layer)
        self.fc = nn.Identity()
        self.features = width * 8 * block.expansion
        self.stride = 8 * (4 if case["stem"] == "imagenet" else case["stem_stride"])

    def map(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class Attention(nn.Module):
    def __init__(self, features, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(features, 3 * features)
        self.proj = nn.Linear(features, features)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(d // self.heads)).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(b, n, d))


class Block(nn.Module):
    """Dosovitskiy et al. 2021, eq. 2 and 3."""

    def __init__(self, features, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(features, eps=1e-6)
        self.attn = Attention(features, heads)
        self.norm2 = nn.LayerNorm(features, eps=1e-6)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(features, 4 * features),
                                  "fc2": nn.Linear(4 * features, features)})

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


def sine_positions(rows, columns, features):
    """He et al. 2022 (MAE): half of the features by the column, half by the row, sines then cosines."""
    omega = 1 / 10000 ** (np.arange(features // 4) / (features / 4))
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    angles = [np.outer(at.reshape(-1), omega) for at in (column, row)]
    return torch.from_numpy(np.concatenate([f(a) for a in angles for f in (np.sin, np.cos)], 1))


class Vit(nn.Module):
    """By timm's names."""

    def __init__(self, case):
        super().__init__()
        d, patch = self.features, self.stride = case["features"], case["patch"]
        self.rows, self.columns = case["height"] // patch, case["length"] // patch
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(case["channels"], d, patch, patch)})
        self.first = 1 if case["pool"] == "class" else 0
        if self.first:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, d))
        if case["positions"] == "sine":
            sines = sine_positions(self.rows, self.columns, d)
            self.register_buffer("pos_embed", torch.cat([torch.zeros(self.first, d), sines])[None])
        else:
            count = self.first + self.rows * self.columns
            self.pos_embed = nn.Parameter(torch.zeros(1, count, d))
        self.blocks = nn.ModuleList(Block(d, case["heads"]) for _ in range(case["depth"]))
        self.norm = nn.LayerNorm(d, eps=1e-6)

    def tokens(self, x):
        x = self.patch_embed["proj"](x).flatten(2).transpose(1, 2)
        if self.first:
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
        x = x + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def map(self, x):
        patches = self.tokens(x)[:, self.first:]
        return patches.transpose(1, 2).unflatten(2, (self.rows, self.columns))

    def forward(self, x):
        x = self.tokens(x)
        return x[:, 0] if self.first else x.mean(1)


def Encoder(case):
    return Vit(case) if case["encoder"].startswith("vit") else ResNetEncoder(case)


class Stage(nn.Module):
    def __init__(self, linear, norm):
        super().__init__()
        self.linear = linear
        if norm is not None:
            self.norm = norm


class Mlp(nn.Module):
    def __init__(self, sizes, last_norm):
        super().__init__()
        self.layers = nn.ModuleList()
        for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
            normed = last_norm or i + 2 < len(sizes)
            self.layers.append(Stage(nn.Linear(a, b, bias=not normed),
                                     nn.BatchNorm1d(b) if normed else None))
        self.relu = nn.ReLU()

    def forward(self, x):
        for i, stage in enumerate(self.layers):
            x = stage.linear(x)
            if hasattr(stage, "norm"):
                x = stage.norm(x)
            if i + 1 < len(self.layers):
                x = self.relu(x)
        return x


class DecoderStage(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.conv = nn.Conv2d(a, b, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(b)


class Decoder(nn.Module):
    def __init__(self, encoder, case):
        super().__init__()
        self.count = (encoder.stride - 1).bit_length()
        a = encoder.features
        self.size = [-(-case[edge] // 2 ** self.count) for edge in ("height", "length")]
        if case["decode"] == "features":
            self.expand = nn.Linear(a, self.size[0] * self.size[1] * a)
        for i in range(self.count):
            b = max(8, a // 2)
            setattr(self, f"stage{i}", DecoderStage(a, b))
            a = b
        self.output = nn.Conv2d(a, case["channels"], 3, 1, 1)
        self.relu = nn.ReLU()

    def forward(self, x, height, width):
        if hasattr(self, "expand"):
            x = self.expand(x).reshape(len(x), *self.size, -1).permute(0, 3, 1, 2)
        for i in range(self.count):
            step = 2 ** (self.count - 1 - i)
            x = F.interpolate(x, size=(-(-height // step), -(-width // step)), mode="nearest")
            stage = getattr(self, f"stage{i}")
            x = self.relu(stage.bn(stage.conv(x)))
        return self.output(x)


HIDDEN, PROJECTION, TEMPERATURE, MOMENTUM = 16, 8, 0.2, 0.99


def nt_xent(z0, z1, temperature):
    """Chen et al. 2020, eq. 1, as the cross entropy of each row with its pair as the class."""
    z = torch.cat([z0, z1])
    n = len(z0)
    similarity = z @ z.T / temperature
    similarity = similarity.masked_fill(torch.eye(2 * n, dtype=torch.bool), -math.inf)
    return F.cross_entropy(similarity, (torch.arange(2 * n) + n) % (2 * n))


class Features(nn.Module):
    """A linear functional of the features."""

    def __init__(self, case):
        super().__init__()
        self.encoder = Encoder(case)

    def loss(self, fields):
        return (self.encoder(fields["view0"]) * fields["functional"]).sum()


class SimClr(nn.Module):
    def __init__(self, case):
        super().__init__()
        self.encoder = Encoder(case)
        self.projector = Mlp([self.encoder.features, HIDDEN, PROJECTION], True)

    def loss(self, fields):
        z = [F.normalize(self.projector(self.encoder(fields[v]))) for v in ("view0", "view1")]
        return nt_xent(*z, TEMPERATURE)


class Branch(nn.Module):
    def __init__(self, case):
        super().__init__()
        self.encoder = Encoder(case)
        self.projector = Mlp([self.encoder.features, HIDDEN, PROJECTION], False)


class Byol(Branch):
    def __init__(self, case):
        super().__init__(case)
        self.predictor = Mlp([PROJECTION, HIDDEN, PROJECTION], False)
        self.teacher = Branch(case).requires_grad_(False)

    def loss(self, fields):
        views = fields["view0"], fields["view1"]
        p = [F.normalize(self.predictor(self.projector(self.encoder(v)))) for v in views]
        with torch.no_grad():
            t = [F.normalize(self.teacher.projector(self.teacher.encoder(v))) for v in views]
        # Grill et al. 2020, eq. 2: |p - t|^2 = 2 - 2 cos.
        return sum((2 - 2 * (a * b).sum(1)).mean() for a, b in zip(p, reversed(t)))

    def after_step(self):
        for part in ("encoder", "projector"):
            student, teacher = getattr(self, part), getattr(self.teacher, part)
            for s, t in zip(student.parameters(), teacher.parameters()):
                t.data.mul_(MOMENTUM).add_(s.data, alpha=1 - MOMENTUM)


class Rotation(nn.Module):
    def __init__(self, case):
        super().__init__()
        self.encoder = Encoder(case)
        self.head = nn.Linear(self.encoder.features, 4)

    def loss(self, fields):
        return F.cross_entropy(self.head(self.encoder(fields["view0"])), fields["rotation"])


class Inpaint(nn.Module):
    def __init__(self, case):
        super().__init__()
        self.encoder = Encoder(case)
        self.decoder = Decoder(self.encoder, case)
        self.pooled = case["decode"] == "features"
        self.fraction = case["mask"]

    def loss(self, fields):
        image, mask = fields["view0"], fields["mask"]
        shown = image * (1 - mask)
        seen = self.encoder(shown) if self.pooled else self.encoder.map(shown)
        filled = self.decoder(seen, *image.shape[2:])
        return (mask * (filled - image) ** 2).sum() / (self.fraction * image.numel())


OBJECTIVES = {"features": Features, "simclr": SimClr, "byol": Byol, "rotation": Rotation,
              "inpaint": Inpaint}


def deviation(module, name):
    """Of initial weights: torchvision's for convolutions, 1 / sqrt(in) for linear layers, of which a patch
    embedding is one, 0.02 for embeddings."""
    if name.endswith(("cls_token", "pos_embed")):
        return 0.02
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(module.weight)
    if isinstance(module, nn.Conv2d) and not name.endswith("patch_embed.proj.weight"):
        return nn.init.calculate_gain("relu") / math.sqrt(fan_out)
    return 1 / math.sqrt(fan_in)


def tensors_of(model):
    return {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}


def draw_weights(model):
    """Weights by Lacuna's initialisation; norms, biases and statistics by draws of the tests' own, since
    ones and zeros would hide errors. A teacher's weights are its student's."""
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
    """Rounded to float32, as batches are."""
    b, h, w, c = (case[k] for k in ("batch", "height", "length", "channels"))
    fields = {}
    for view in ("view0", "view1"):
        image = test_normal(view, (b, h, w, c), seed).float().double()
        fields[view] = image.permute(0, 3, 1, 2).contiguous()
    fields["functional"] = test_normal("functional", (b, case["features"]), seed).float().double()
    rotation = Draws(seed, TEST, hash_name("rotation")).uniform(b) * 4
    fields["rotation"] = torch.from_numpy(rotation.astype(np.int64))
    mask = Draws(seed, TEST, hash_name("mask")).uniform(b * h * w) < case["mask"]
    fields["mask"] = torch.from_numpy(mask).double().reshape(b, 1, h, w)
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
    """Whether all decisions are the same, and would be at MARGIN times the rounding error that is seen: a
    processor with other kernels rounds otherwise."""
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
    "small_stem_of_stride_2": dict(objective="features", stem_stride=2, width=8, channels=1, height=33,
                                   length=29, batch=4),
    "imagenet_stem": dict(objective="features", stem="imagenet", width=5, channels=3, height=65,
                          length=57, batch=4),
    "simclr": dict(objective="simclr", width=4, channels=3, height=15, length=15, batch=8),
    "simclr_imagenet_stem": dict(objective="simclr", stem="imagenet", width=3, channels=1, height=41,
                                 length=37, batch=6),
    "byol": dict(objective="byol", width=4, channels=1, height=15, length=15, batch=8),
    "rotation": dict(objective="rotation", width=6, channels=3, height=19, length=19, batch=5),
    "inpaint": dict(objective="inpaint", width=4, channels=3, height=21, length=18, batch=4),
    "inpaint_from_features": dict(objective="inpaint", decode="features", width=4, channels=2, height=18,
                                  length=21, batch=5),
    "resnet34": dict(objective="features", encoder="resnet34", width=3, channels=3, height=17, length=13,
                     batch=5),
    "resnet50": dict(objective="features", encoder="resnet50", width=2, channels=3, height=17, length=13,
                     batch=4, rate=1e-5),
    "vit_of_class_token": dict(objective="features", encoder="vit", features=24, heads=3, depth=3, patch=4,
                               channels=3, height=12, length=20, batch=3),
    "vit_of_mean_and_sines": dict(objective="features", encoder="vit", features=16, heads=2, depth=2,
                                  patch=3, pool="mean", positions="sine", channels=1, height=9, length=12,
                                  batch=4),
    "vit_of_class_token_and_sines": dict(objective="features", encoder="vit", features=16, heads=1,
                                         depth=1, patch=7, positions="sine", channels=2, height=14,
                                         length=7, batch=4),
    "simclr_vit": dict(objective="simclr", encoder="vit_tiny", features=192, heads=3, depth=2, patch=4,
                       channels=1, height=16, length=12, batch=5),
    "inpaint_vit": dict(objective="inpaint", encoder="vit_tiny", features=192, heads=3, depth=2, patch=7,
                        pool="mean", channels=3, height=14, length=14, batch=3),
}
DEFAULTS = dict(encoder="resnet18", stem="small", stem_stride=1, mask=0.25, pool="class",
                positions="learned", width=0, rate=0.002, decode="map")


# What float32 is held to (golden.cpp): inputs so steep that PyTorch itself misses it are rejected too.
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
        raise SystemExit(f"{name}: no inputs on which PyTorch agrees with itself; make the case smaller")
    print(f"{name}: {len(tensors)} tensors, inputs rejected: {rejected}, "
          f"PyTorch's float32: forward {own['forward']:.1e}, backward {own['backward']:.1e}")
    attributes = case | dict(seed=seed, rejected=rejected, temperature=TEMPERATURE,
                             pytorch_float32_forward=own["forward"],
                             pytorch_float32_backward=own["backward"])
    write_case(file, f"network/{name}", attributes, tensors)


# --------------------------------------------------------------------- losses, optimizers, schedules


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
    """You, Gitman, Ginsburg 2017: what SGD with momentum has to be given to be LARS. Biases and norms
    (one axis) are neither decayed nor adapted."""
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
        w = torch.zeros(shape, dtype=torch.float64) if zero else test_normal(key, shape).float().double()
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


def main():
    warnings.filterwarnings("ignore", module="torch.optim.lr_scheduler")
    torch.set_num_threads(1)
    path = pathlib.Path(__file__).with_name("pytorch.h5")
    part = path.with_suffix(".part")
    with h5py.File(part, "w", libver=("v108", "v110")) as file:
        file.attrs["made_with"] = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
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
