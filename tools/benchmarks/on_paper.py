#!/usr/bin/env python3
"""on_paper.py [BOARD]: what one training step of an encoder takes on a board (h100) on paper,
kernel by kernel as Lacuna starts them (bf16 activations, f32 weights): FLOPs, bytes, the floor that
the larger of both sets, the share of the floor that each kind is expected to reach, and so the
time. The tables of docs/gpu.md are its output. No GPU is needed."""

import dataclasses
import sys

# FLOP/s in bf16 on tensor cores, dense, and bytes/s of memory: NVIDIA's data sheets.
BOARDS = {
    "a100": (312e12, 2.04e12), "h100": (989e12, 3.35e12), "h200": (989e12, 4.8e12),
    "b200": (2250e12, 8e12)}
N = 2  # bytes of an activation
# Of the floor, by kind: cuDNN's figures are usual ones for these shapes, ours those of the table by
# kernel.
SHARES = {
    "convolution": 0.65, "convolution: data gradient": 0.6, "convolution: weight gradient": 0.5,
    "matrix product": 0.7, "attention": 0.5, "attention: gradient": 0.45, "layer norm": 0.75,
    "layer norm: gradient": 0.6, "batch norm: statistics": 0.8, "batch norm: apply": 0.85,
    "batch norm: gradient statistics": 0.7, "batch norm: gradient apply": 0.8, "element-wise": 0.85,
    "column sums": 0.8, "pooling": 0.6, "layouts and casts of weights": 0.6, "optimizer": 0.85,
    "losses and metrics": 0.5}


@dataclasses.dataclass
class Sum:
    calls: int = 0
    flops: float = 0
    bytes: float = 0
    floor: float = 0


class Step:
    def __init__(self, board="h100"):
        self.kinds = {}
        self.peak, self.bandwidth = BOARDS[board]

    def add(self, kind, flops, moved, calls=1):
        entry = self.kinds.setdefault(kind, Sum())
        entry.calls += calls
        entry.flops += flops * calls
        entry.bytes += moved * calls
        entry.floor += max(flops / self.peak, moved / self.bandwidth) * calls

    def total(self):
        return sum(entry.floor / SHARES[kind] for kind, entry in self.kinds.items())

    def table(self):
        lines = [
            "| kernels | launches | TFLOP | GB | floor, ms | share | expected, ms |",
            "|---|---|---|---|---|---|---|"]
        for kind, e in self.kinds.items():
            lines.append(
                f"| {kind} | {e.calls} | {e.flops / 1e12:.2f} | {e.bytes / 1e9:.2f} | "
                f"{e.floor * 1e3:.2f} | "
                f"{SHARES[kind]} | {e.floor / SHARES[kind] * 1e3:.2f} |")
        floor = sum(e.floor for e in self.kinds.values())
        lines.append(f"| all | {sum(e.calls for e in self.kinds.values())} | "
                     f"{sum(e.flops for e in self.kinds.values()) / 1e12:.2f} | "
                     f"{sum(e.bytes for e in self.kinds.values()) / 1e9:.2f} | {floor * 1e3:.2f} | "
                     f"{floor / self.total():.2f} | {self.total() * 1e3:.2f} |")
        return "\n".join(lines)


def convolution(step, batch, size, c, k, kernel, stride, residual=False, relu=True, first=False):
    """A convolution, its batch norm (ReLU and residual in one kernel) and their gradients; the size
    behind it."""
    out = (size + 2 * (kernel // 2) - kernel) // stride + 1
    x, y = batch * size * size * max(c, 8) * N, batch * out * out * k * N
    weights = c * k * kernel * kernel
    flops = 2 * batch * out * out * k * c * kernel * kernel
    if first:  # channels padded to 8, forward and for the weights' gradient
        step.add("layouts and casts of weights", 0, batch * size * size * (c + 8) * N, 2)
    step.add("convolution", flops, x + y + weights * N)
    step.add("layouts and casts of weights", 0, weights * (4 + N), 1 if first else 2)
    step.add("batch norm: statistics", 0, y)
    step.add("batch norm: apply", 0, y * (3 if residual else 2))
    step.add("batch norm: gradient statistics", 0, y * (3 if residual else 2))
    step.add("batch norm: gradient apply", 0, y * (5 if residual else 3))
    if not first:
        step.add("convolution: data gradient", flops, x + y + weights * N)
    step.add("convolution: weight gradient", flops, x + y + weights * N)
    step.add("layouts and casts of weights", 0, weights * (4 + N))
    return out


def resnet50(batch, image=224, board="h100"):
    step, weights = Step(board), 25.6e6
    size = convolution(step, batch, image, 3, 64, 7, 2, first=True)
    step.add("pooling", 0, batch * size * size * 64 * N * 1.25)
    step.add("pooling", 0, batch * size * size * 64 * N * 2.25)
    size //= 2
    c = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 << stage
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            convolution(step, batch, size, c, width, 1, 1)
            out = convolution(step, batch, size, width, width, 3, stride)
            if block == 0:
                convolution(step, batch, size, c, 4 * width, 1, stride, relu=False)
            convolution(step, batch, out, width, 4 * width, 1, 1, residual=True)
            step.add("element-wise", 0,
                     3 * batch * size * size * c * N)  # the two gradients of the block's input
            c, size = 4 * width, out
    step.add("pooling", 0, batch * size * size * c * N, 2)
    step.add("optimizer", 0, weights * 20)  # SGD with momentum
    return step


def linear(step, rows, inputs, outputs, beside=0, beside_gradient=0):
    """A product with a bias, and its gradients; bytes that what follows it, and its data gradient,
    moves beside."""
    flops, weights = 2 * rows * inputs * outputs, inputs * outputs
    moved = (rows * (inputs + outputs) + weights) * N
    step.add("matrix product", flops, moved + beside)
    step.add("matrix product", flops, moved + beside_gradient)
    step.add("matrix product", flops, moved + 2 * weights)  # the weights' gradient is f32
    step.add("layouts and casts of weights", 0, weights * (4 + N), 2)
    step.add("column sums", 0, rows * outputs * N)


def vit(batch, width, depth, heads, patch=16, image=224, board="h100"):
    step, tokens = Step(board), (image // patch) ** 2 + 1
    rows = batch * tokens
    tensor = rows * width * N
    weights = depth * 12 * width * width + 3 * patch * patch * width
    linear(step, batch * (tokens - 1), 3 * patch * patch, width)
    step.add("element-wise", 0, 2 * tensor, 4)  # class token, positions, and back
    products = 4 * batch * heads * tokens * tokens * (width // heads)
    for _ in range(depth):
        step.add("layer norm", 0, 2 * tensor, 2)
        step.add("layer norm: gradient", 0, 5 * tensor, 2)
        linear(step, rows, width, 3 * width)
        step.add("attention", products, 4 * tensor)
        step.add("attention: gradient", 2.5 * products, 8 * tensor)
        linear(step, rows, width, width, beside=tensor)  # what it is added to
        linear(step, rows, width, 4 * width, beside=4 * tensor)  # before the GELU
        linear(step, rows, 4 * width, width, beside=tensor, beside_gradient=4 * tensor)
        step.add("element-wise", 0, 3 * tensor, 2)  # sums of the residuals' gradients
    step.add("optimizer", 0, weights * 20)
    return step


def steps(board, batch=256):
    """Of each network: its title, the step, and the FLOPs of the model alone."""
    vit_base = vit(batch, 768, 12, 12, board=board)
    return {"resnet50": ("ResNet-50", resnet50(batch, board=board), 3 * 2 * 4.09e9 * batch),
            "vit_base": ("ViT-B/16", vit_base, sum(e.flops for e in vit_base.kinds.values()))}


def main():
    batch, board = 256, (sys.argv[1:] or ["h100"])[0]
    if board not in BOARDS:
        sys.exit(f"on_paper.py knows no board {board}: {', '.join(BOARDS)}")
    for title, step, model in steps(board, batch).values():
        print(f"{title}, {batch} images of 224x224: {batch / step.total():.0f} images a second, "
              f"{model / step.total() / step.peak:.2f} of the peak\n\n{step.table()}\n")


if __name__ == "__main__":
    main()
