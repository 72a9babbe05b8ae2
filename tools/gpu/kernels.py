"""Kernels as train-step tells them (operation, operands, results, seconds) beside their floor,
which the larger of their FLOPs and their bytes sets, and the time that docs/gpu.md expects: the
floor by the share of their kind."""
import dataclasses
import math
import re

import on_paper

BYTES = {
    "float64": 8, "float32": 4, "bfloat16": 2, "float16": 2, "int64": 8, "int32": 4, "uint8": 1}
# The kinds of on_paper.py. An operation that is not named is element-wise.
KINDS = {
    "convolution": "convolution", "convolution_data_gradient": "convolution: data gradient",
    "convolution_weight_gradient": "convolution: weight gradient",
    "matrix_product": "matrix product", "product_added": "matrix product",
    "product_gelu": "matrix product", "product_gelu_gradient": "matrix product",
    "attention": "attention", "attention_gradient": "attention: gradient",
    "cross_attention": "attention", "cross_attention_gradient": "attention: gradient",
    "soft_cross_entropy": "losses and metrics",
    "soft_cross_entropy_gradient": "losses and metrics",
    "layer_norm": "layer norm", "layer_norm_gradient": "layer norm: gradient",
    "batch_norm_statistics": "batch norm: statistics", "batch_norm_apply": "batch norm: apply",
    "batch_norm_gradient_statistics": "batch norm: gradient statistics",
    "batch_norm_gradient_apply": "batch norm: gradient apply", "column_sum": "column sums",
    "max_pool": "pooling", "max_pool_gradient": "pooling", "average_pool": "pooling",
    "average_pool_gradient": "pooling", "batch_norm_merge": "batch norm: statistics",
    "batch_norm_running_update": "batch norm: statistics",
    "batch_norm_parameter_gradient": "batch norm: gradient statistics",
    "softmax_cross_entropy": "losses and metrics",
    "softmax_cross_entropy_gradient": "losses and metrics", "count_correct": "losses and metrics",
    "scale": "losses and metrics", "sgd_update": "optimizer", "adamw_update": "optimizer",
    "lars_update": "optimizer", "lars_norms": "optimizer"}


@dataclasses.dataclass
class Operand:
    dtype: str
    sizes: tuple

    @property
    def count(self):
        return math.prod(self.sizes)

    @property
    def bytes(self):
        return self.count * BYTES[self.dtype]


def operands(text):
    """Of "bfloat16[2, 3] float32[4]"."""
    return [Operand(dtype, tuple(int(size) for size in sizes.split(",") if size.strip()))
            for dtype, sizes in re.findall(r"(\w+)\[([\d, ]*)\]", text)]


def flops(operation, taken, given):
    """Of the operations that FLOPs may bound, by the formulas of kernels/*.h; 0 of others."""
    if operation in ("convolution", "convolution_data_gradient"):  # y or dy, and w [K, C, kernel…]
        outputs = given[0] if operation == "convolution" else taken[0]
        return 2 * outputs.count * taken[1].count // taken[1].sizes[0]
    if operation == "convolution_weight_gradient":  # x, dy; dw
        return 2 * taken[1].count * given[0].count // given[0].sizes[0]
    if operation in ("matrix_product", "product_added", "product_gelu", "product_gelu_gradient"):
        return 2 * math.isqrt(taken[0].count * taken[1].count * given[0].count)  # (M K) (K N) (M N)
    if operation == "attention":  # qkv [B, L, 3 D]
        batch, length, width = taken[0].sizes
        return 4 * batch * length * length * width // 3
    if operation == "attention_gradient":  # dy [B, L, D]
        batch, length, width = taken[0].sizes
        return 10 * batch * length * length * width
    if operation == "cross_attention":  # q [B, M, D], k [B, L, D]
        return 4 * taken[0].count * taken[1].sizes[1]
    if operation == "cross_attention_gradient":  # dy [B, M, D], q, k [B, L, D]
        return 10 * taken[0].count * taken[2].sizes[1]
    return 0


def moved(operation, taken, given):
    """Bytes: each operand once. An optimizer's targets are its results, and are read as well."""
    there_and_back = 2 if KINDS.get(operation) == "optimizer" else 1
    return sum(each.bytes for each in taken) + there_and_back * sum(each.bytes for each in given)


@dataclasses.dataclass
class Kernel:
    operation: str
    taken: str
    given: str
    count: int = 0
    seconds: float = 0  # of all
    floor: float = 0
    expected: float = 0

    @property
    def kind(self):
        return KINDS.get(self.operation, "element-wise")


def table(lines, board):
    """Equal kernels together, the most expensive first."""
    peak, bandwidth = on_paper.BOARDS[board]
    found = {}
    for operation, taken, given, seconds in lines:
        kernel = found.setdefault((operation, taken, given), Kernel(operation, taken, given))
        sides = operands(taken), operands(given)
        floor = max(flops(operation, *sides) / peak, moved(operation, *sides) / bandwidth)
        kernel.count += 1
        kernel.seconds += float(seconds)
        kernel.floor += floor
        kernel.expected += floor / on_paper.SHARES[kernel.kind]
    return sorted(found.values(), key=lambda kernel: -kernel.seconds)


def by_kind(kernels):
    """Milliseconds measured, expected and floor of each kind."""
    kinds = {}
    for kernel in kernels:
        kind = kinds.setdefault(kernel.kind,
                                {"launches": 0, "measured": 0, "expected": 0, "floor": 0})
        kind["launches"] += kernel.count
        for name, seconds in (("measured", kernel.seconds), ("expected", kernel.expected),
                              ("floor", kernel.floor)):
            kind[name] = round(kind[name] + 1e3 * seconds, 4)
    return kinds
