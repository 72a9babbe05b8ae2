"""Lacuna's encoders and objectives in PyTorch, by the names that its checkpoints have."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet


class ResNetEncoder(ResNet):
    """torchvision's ResNets of another width, with another stem and no classifier."""

    def __init__(self, case):
        block, counts = {
            "resnet18": (BasicBlock, [2, 2, 2, 2]), "resnet34": (BasicBlock, [3, 4, 6, 3]),
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
    """He et al. 2022 (MAE): half of the features by the column, half by the row, sines then
    cosines."""
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


ENCODERS = {"resnet": ResNetEncoder, "vit": Vit}  # by what their names begin with


def Encoder(case):
    return next(make for name, make in ENCODERS.items() if case["encoder"].startswith(name))(case)


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
