"""The train steps of ResNet-50 and ViT-B (224x224, bf16) on a GPU beside PyTorch's, compiled and channels-last, in one
run, and as fractions of what the GPU can do; called by tools/bench --device cuda and tools/gpu-check.

Where this Python has no PyTorch for CUDA ours is measured alone, and the report says so.
"""
import argparse
import contextlib
import json
import pathlib
import statistics
import subprocess
import sys

import flops
from turns import Stepper, environment, take_turns

HERE = pathlib.Path(__file__).resolve().parent
# What docs/gpu.md asks: the share of the board's peak in bf16, and the ratio to the peer.
STEPS = {"resnet50": (flops.resnet50(), "ratio", 1.2), "vit_base": (flops.vit(768), "mfu", 0.5)}
PEAKS = {"A100": 312, "H100 PCIe": 756, "H100": 989, "H200": 989, "B200": 2250}  # TFLOP/s, NVIDIA's data sheets, dense


def peak():
    """Of the GPU at hand; None where it is not among those above."""
    name = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True,
                          text=True).stdout.partition("\n")[0]
    return next((PEAKS[board] for board in sorted(PEAKS, key=len, reverse=True) if board in name), None)


def ceilings(build):
    lines = subprocess.run([build / "tools/benchmarks/gpu-ceilings"], check=True, capture_output=True,
                           text=True).stdout.splitlines()
    return {name: float(value) for name, value in map(str.split, lines)}


def has_peer():
    return subprocess.run([sys.executable, "-c", "import torch, torchvision; assert torch.cuda.is_available()"],
                          capture_output=True).returncode == 0


def measure(encoder, options, peer_there):
    ours = [options.build / "tools/benchmarks/train-step", encoder, 1, options.batch, options.device, "bf16"]
    peer = [sys.executable, HERE / "train_step.py", encoder, 1, options.batch, "channels_last", "cuda", "bf16"]
    with contextlib.ExitStack() as stack:
        def begin(command):
            return stack.enter_context(contextlib.closing(Stepper(command, environment())))
        mine = begin(ours)
        if not peer_there:
            return {"ours": statistics.median(mine.seconds(10) for _ in range(options.pairs))}
        theirs = begin(peer)
        figures = take_turns(options.pairs, lambda: mine.seconds(10), lambda: theirs.seconds(10), "{:.4f} s")
        return {"ours": figures["ours"], "peer": figures["peer"], "ratio": statistics.median(figures["ratios"])}


def main():
    parser = argparse.ArgumentParser(prog="tools/bench --device cuda", description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--device", default="cuda", help=argparse.SUPPRESS)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--no-peer", action="store_true", help="ours alone")
    parser.add_argument("--batch", type=int, default=256)
    options = parser.parse_args()
    limits = ceilings(options.build)
    peer_there = not options.no_peer and has_peer()
    most = peak()
    print(f"ceilings: copies {limits['copy']:.0f} GB/s, products {limits['bf16']:.0f} TFLOP/s in bf16, "
          f"{limits['f32']:.0f} in f32" + (f"; the data sheet's {most} in bf16" if most else "")
          + ("" if peer_there else "; ours alone, without PyTorch for CUDA"), flush=True)
    result, short = {"ceilings": limits}, []
    for encoder, (multiply_adds, asked, least) in STEPS.items():
        figures = measure(encoder, options, peer_there)
        rate = 6e-12 * multiply_adds * options.batch / figures["ours"]
        figures["of_products"] = rate / limits["bf16"]
        if most:
            figures["mfu"] = rate / most
        result[encoder] = {name: round(value, 4) for name, value in figures.items()}
        print(f"{encoder}: {options.batch / figures['ours']:.0f} images/s, {rate:.0f} TFLOP/s, "
              f"{figures['of_products']:.2f} of the products' rate"
              + (f", {figures['mfu']:.2f} of the peak" if most else "")
              + (f", {figures['ratio']:.2f} of the peer's speed" if "ratio" in figures else ""), flush=True)
        if asked in figures and figures[asked] < least:
            short.append(f"{encoder}'s {asked} is {figures[asked]:.2f}, {least} is wanted")
    print(*short, sep="\n")
    print("RESULT", json.dumps(result))
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
