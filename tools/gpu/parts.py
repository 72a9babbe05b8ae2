"""The parts of a check of a GPU, in the order of what they tell. A part is a function of a Check (check.py); it records
what it finds as it goes, and says what failed by check.fail() and what could not be tried by check.refuse()."""
import concurrent.futures
import csv
import json
import re
import statistics
import sys
import time

import flops
import kernels
import on_paper
from turns import take_turns

# What each library says of itself, by a function of its own.
VERSIONS = """
import ctypes, json, platform
found = {}
for name, library, function in (("cuDNN", "libcudnn.so.9", "cudnnGetVersion"), ("NCCL", "libnccl.so.2", "ncclGetVersion"),
                                ("driver, for CUDA", "libcuda.so.1", "cuDriverGetVersion")):
    try:
        call = getattr(ctypes.CDLL(library), function)
        number = ctypes.c_int()
        if function == "cudnnGetVersion":
            call.restype = ctypes.c_size_t
            found[name] = call()
        else:
            call(ctypes.byref(number))
            found[name] = number.value
    except OSError as error:
        found[name] = str(error)
try:
    major, minor = ctypes.c_int(), ctypes.c_int()
    ctypes.CDLL("libnvrtc.so.13").nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    found["NVRTC"] = f"{major.value}.{minor.value}"
except OSError as error:
    found["NVRTC"] = str(error)
found["glibc"] = platform.libc_ver()[1]
found["python"] = platform.python_version()
print(json.dumps(found))
"""


def versions_and_ceilings(check):
    gpu = check.run("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader", limit=10)
    lacuna = check.run("bin/lacuna", "--version", limit=30)
    found = check.run("bin/with", sys.executable, "-c", VERSIONS, limit=10)
    versions = json.loads(found.text) if found.status == 0 else {}
    check.results.say(f"  GPU: {gpu.text.strip() if gpu.status == 0 else 'nvidia-smi shows none'}; "
                      + ", ".join(f"{name} {value}" for name, value in versions.items()))
    check.record("versions", gpu=gpu.text.strip() if gpu.status == 0 else None, lacuna=lacuna.text.strip(), **versions)
    if lacuna.status != 0:
        check.fail("lacuna --version", lacuna.text)
    ceilings = check.run("bin/with", "gpu-ceilings", limit=20)
    if ceilings.status != 0:
        return check.failed_or_refused("ceilings", ceilings)
    limits = {name: float(value) for name, value in map(str.split, ceilings.text.splitlines())}
    check.record("ceilings", **limits)
    check.results.say(f"  copies {limits['copy']:.0f} GB/s, products {limits['bf16']:.0f} TFLOP/s in bf16, "
                      f"{limits['f32']:.0f} in f32")


def run_tests(check, wanted, at_once=8):
    """Each test case in a process of its own, several at once: correctness does not depend on who else is there, and
    cuDNN compiles on one core for each."""
    listed = check.run("bin/with", *check.tests, "--list-test-names-only", "cuda*,nccl*,[golden]", limit=30)
    names = [line.strip() for line in listed.text.splitlines() if line.strip() and wanted(line.strip())]
    if not names:
        return check.failed_or_refused("the list of tests", listed)

    def one(name):
        # A comma, a bracket and a backslash mean something in Catch2's specifications.
        quoted = re.sub(r"([\\,\[])", r"\\\1", name)
        return name, check.run("bin/with", *check.tests, quoted, "--durations", "yes", limit=check.left(),
                               env={"LACUNA_DUMP": str(check.results.operands)})
    with concurrent.futures.ThreadPoolExecutor(min(at_once, check.cores)) as pool:
        passed = 0
        for name, ended in pool.map(one, names):
            good = ended.status == 0 and "All tests passed" in ended.text
            check.record(name, passed=good, seconds=round(ended.seconds, 2))
            passed += good
            if not good:
                check.failed_or_refused(name, ended)
    check.results.say(f"  {passed} of {len(names)} test cases passed")


def is_of_training(name):
    """Others are of single operations and golden values, which stand for themselves in a name."""
    return name.startswith(("cuda:", "nccl:")) and not name.startswith(("cuda: every operation", "cuda: views"))


def operations(check):
    run_tests(check, lambda name: not is_of_training(name))


def trainings(check):
    run_tests(check, is_of_training)


def step_command(check, encoder, *more):
    return [check.bundle / "bin/with", "train-step", encoder, check.cores if check.rehearses else 1, check.batch(encoder),
            check.device, check.precision, *more]


def train_steps(check):
    wait_for_peers(check)
    for encoder in check.encoders:
        multiply_adds = {"resnet50": flops.resnet50(), "vit_base": flops.vit(768), "resnet18": flops.resnet18_small(),
                         "vit_tiny": flops.vit(192)}[encoder]
        try:
            with check.stepper(step_command(check, encoder)) as ours:
                values = measure(check, encoder, ours)
        except EOFError as ended:
            check.failed_or_refused(f"train step of {encoder}", ended.args[0])
            continue
        batch = check.batch(encoder)
        values["images_per_second"] = batch / values["seconds"]
        values["tflops"] = 6e-12 * multiply_adds * batch / values["seconds"]
        peak = on_paper.BOARDS.get(check.board, (None,))[0]
        if peak:
            values["of_peak"] = values["tflops"] * 1e12 / peak
        check.record(encoder, **{name: round(value, 5) for name, value in values.items()})
        check.results.say(f"  {encoder}: " + ", ".join(f"{name} {value:.4g}" for name, value in values.items()))


def wait_for_peers(check):
    """What still compiles would disturb what is timed. One that has ended, or takes half of the time, is left out."""
    until = time.monotonic() + check.left() / 2
    for (encoder, mode), peer in list(check.peers.items()):
        try:
            peer.ready_within(max(0, until - time.monotonic()))
        except EOFError as ended:
            check.refuse(f"PyTorch {mode}, {encoder}", ended.args[0].text)
            check.peers.pop((encoder, mode)).close()


def measure(check, encoder, ours):
    steps, pairs = (2, 3) if check.rehearses else (10, 5)
    values = {"seconds": statistics.median(ours.seconds(steps) for _ in range(3)), "memory": float(ours.ask("memory", ours.read))}
    if check.with_peers:
        check.start_peer(encoder, "eager")
    for mode in ("eager", "compiled"):
        peer = check.peers.pop((encoder, mode), None)
        if peer is None:
            continue
        try:
            if mode == "eager":
                peer.ready_within(check.left() / 2)
            figures = take_turns(pairs, lambda: ours.seconds(steps), lambda peer=peer: peer.seconds(steps), "{:.4f} s",
                                 check.results.say)
            values.update({f"peer_{mode}": figures["peer"], f"ratio_{mode}": statistics.median(figures["ratios"]),
                           f"peer_{mode}_memory": float(peer.ask("memory", peer.read))})
        except EOFError as ended:
            if ours.process.poll() is not None:
                raise
            check.refuse(f"PyTorch {mode}, {encoder}", ended.args[0].text)
        finally:
            peer.close()
    return values


KERNELS = ("network", "plans", "operation", "operands", "results", "count", "measured ms", "expected ms", "floor ms")


def every_kernel(check):
    board = check.board if check.board in on_paper.BOARDS else "h100"
    for encoder in check.encoders:
        for plans in ("heuristics", "timed"):
            try:
                with check.stepper(step_command(check, encoder, *(["timed"] if plans == "timed" else []))) as step:
                    seconds = statistics.median(step.seconds(2 if check.rehearses else 10) for _ in range(3))
                    found = kernels.table(step.lines("profile 3"), board)
                    chosen = step.lines("plans")
            except EOFError as ended:
                check.failed_or_refused(f"kernels of {encoder}, plans by {plans}", ended.args[0])
                continue
            check.results.rows("kernels.tsv", KERNELS, [
                (encoder, plans, each.operation, each.taken[:300], each.given[:300], each.count, f"{1e3 * each.seconds:.4f}",
                 f"{1e3 * each.expected:.4f}", f"{1e3 * each.floor:.4f}") for each in found])
            check.results.rows("plans.tsv", ("network", "plans", "problem", "engine", "workspace", "offered"),
                               [(encoder, plans, *line) for line in chosen])
            kinds = kernels.by_kind(found)
            check.record(f"{encoder}, plans by {plans}", seconds=seconds, board=board, kinds=kinds)
            check.results.say(f"  {encoder}, plans by {plans}: {1e3 * seconds:.2f} ms a step; kernels alone "
                              f"{sum(kind['measured'] for kind in kinds.values()):.2f} ms, expected "
                              f"{sum(kind['expected'] for kind in kinds.values()):.2f}")
            for name, kind in sorted(kinds.items(), key=lambda item: -item[1]["measured"])[:8]:
                check.results.say(f"    {name:28} {kind['launches']:4} launches {kind['measured']:8.3f} ms, expected "
                                  f"{kind['expected']:8.3f}, floor {kind['floor']:8.3f}")


# SimCLR from a file: images of the file and of the views, encoder, samples of the file, batch, steps.
FROM_FILES = {"resnet18 at 32": (32, 32, ["encoder.name=resnet18", "encoder.width=64"], 20000, 512, 300),
              "resnet50 at 224": (256, 224, ["encoder.name=resnet50", "encoder.width=64", "encoder.stem=imagenet"], 2048, 256, 40)}
REHEARSED = {"resnet18 at 32": (32, 32, ["encoder.name=resnet18", "encoder.width=4"], 256, 64, 4)}


def from_files(check):
    for name, (stored, seen, encoder, samples, batch, steps) in (REHEARSED if check.rehearses else FROM_FILES).items():
        data, run = check.scratch / "samples.h5", check.scratch / "run"
        made = check.run("bin/with", "write-samples", data, samples, stored, 3, limit=60)
        if made.status != 0:
            check.fail(f"data for SimCLR, {name}", made.text)
            continue
        ended = check.run("bin/lacuna", "pretrain", check.inputs / "fashion-simclr.toml", "--run", run, "--force", "--set",
                          f"data.files={data}", "data.dataset=images", "data.label=labels", f"augment.size={seen}",
                          f"train.batch={batch}", f"train.max_steps={steps}", "train.epochs=1000",
                          f"train.device={check.device}", *encoder, limit=90)
        rates = re.findall(r" ([\d.]+) samples/s ", ended.text)
        if ended.status != 0 or not rates:
            check.failed_or_refused(f"SimCLR from a file, {name}", ended)
            continue
        check.record(name, samples_per_second=float(rates[-1]))
        check.results.say(f"  SimCLR, {name}: {rates[-1]} samples/s")
        data.unlink()


def sanitizer(check):
    tool = check.toolkit("compute-sanitizer")
    if tool is None:
        return check.refuse("compute-sanitizer", "it is not on PATH and not in the toolkit's bin")

    def one(name):
        return name, check.run("bin/with", tool, "--tool", name, "--error-exitcode", "9", *check.tests,
                               "cuda device in float32*,cuda updates*", limit=check.left())
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for name, ended in pool.map(one, ("memcheck", "racecheck", "initcheck")):
            good = ended.status == 0
            check.record(name, passed=good)
            check.results.say(f"  {name}: {'nothing found' if good else 'see below'}, {ended.seconds:.0f} s")
            if not good:
                check.failed_or_refused(f"compute-sanitizer's {name}", ended)


METRICS = {"gpu__time_duration.sum": "ns", "dram__throughput.avg.pct_of_peak_sustained_elapsed": "memory %",
           "sm__throughput.avg.pct_of_peak_sustained_elapsed": "multiprocessors %"}


def profile(check):
    tool = check.toolkit("ncu")
    if tool is None:
        return check.refuse("ncu", "it is not on PATH and not in the toolkit's bin")
    for encoder in check.encoders:
        launches = 700  # of the second step; the first makes cuDNN's plans
        ended = check.run("bin/with", tool, "--csv", "--clock-control", "none", "--launch-skip", launches, "--launch-count", launches,
                          "--metrics", ",".join(METRICS), *step_command(check, encoder)[1:], limit=check.left() / 2,
                          stdin="1\n")
        rows = [line for line in ended.text.splitlines() if line.startswith('"')]
        if ended.status != 0 or len(rows) < 2:
            check.failed_or_refused(f"ncu of {encoder}", ended)
            continue
        largest = {}
        for row in csv.DictReader(rows):
            kernel = largest.setdefault(row["Kernel Name"], {"launches": 0})
            name = METRICS.get(row.get("Metric Name"))
            if name is None:
                continue
            kernel[name] = kernel.get(name, 0) + float(row["Metric Value"].replace(",", ""))
            kernel["launches"] += name == "ns"
        for name, kernel in sorted(largest.items(), key=lambda item: -item[1].get("ns", 0))[:10]:
            figures = {what: value if what in ("launches", "ns") else round(value / max(kernel["launches"], 1), 1)
                       for what, value in kernel.items()}
            check.record(f"{encoder}: {name}", **figures)
            check.results.say(f"  {encoder}: {figures} {name[:120]}")


# Number: name, what it does, seconds at most. Parts 1 to 4 fit 4 minutes, 5 to 8 another 4.
PARTS = {1: ("versions and ceilings", versions_and_ceilings, 20), 2: ("operations and golden values", operations, 70),
         3: ("trainings beside the CPU, checkpoints, recorded steps", trainings, 50),
         4: ("train steps beside PyTorch", train_steps, 100), 5: ("every kernel beside its floor", every_kernel, 90),
         6: ("SimCLR from a file", from_files, 70), 7: ("compute-sanitizer", sanitizer, 40), 8: ("profile", profile, 40)}
