"""The parts of a check of a GPU, in the order of what they tell. A part is a function of a Check
(check.py); it records what it finds as it goes, and says what failed by check.fail() and what could
not be tried by check.refuse()."""
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
for name, library, function in (("cuDNN", "libcudnn.so.9", "cudnnGetVersion"),
                                ("NCCL", "libnccl.so.2", "ncclGetVersion"),
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
    lacuna = check.run("bin/lacuna", "--version", limit=30)
    found = check.run("bin/with", sys.executable, "-c", VERSIONS, limit=10)
    versions = json.loads(found.out) if found.status == 0 else {}
    check.results.say(f"  GPU: {check.gpu or 'nvidia-smi shows none'}; "
                      + ", ".join(f"{name} {value}" for name, value in versions.items()))
    check.record("versions", lacuna=lacuna.out.strip(), **versions)
    if lacuna.status != 0:
        check.fail("lacuna --version", lacuna.text)
    ceilings = check.run("bin/with", "gpu-ceilings", limit=20)
    limits = {
        name: float(value)
        for name, value in re.findall(r"^(copy|bf16|f32) ([\d.]+)$", ceilings.out, re.MULTILINE)}
    units = {
        "copy": "copies {:.0f} GB/s", "bf16": "products {:.0f} TFLOP/s in bf16",
        "f32": "{:.0f} in f32"}
    if limits:
        check.record("ceilings", **limits)
        check.results.say("  " +
                          ", ".join(units[name].format(value) for name, value in limits.items()))
    if ceilings.status != 0:
        check.failed_or_refused("ceilings", ceilings)


def run_tests(check, wanted):
    """Each test case in a process of its own, several at once: correctness does not depend on who
    else is there, and cuDNN compiles on one core for each."""
    listed = check.run("bin/with", *check.tests, "--list-test-names-only", "cuda*,nccl*,[golden]",
                       limit=30)
    names = [
        line.strip() for line in listed.out.splitlines() if line.strip() and wanted(line.strip())]
    if not names or listed.status in (126, 127):  # the loader's own
        return check.failed_or_refused("the list of tests", listed)

    def one(name):
        # A comma, a bracket and a backslash mean something in Catch2's specifications.
        quoted = re.sub(r"([\\,\[])", r"\\\1", name)
        return name, check.run("bin/with", *check.tests, quoted, "--durations", "yes",
                               limit=check.left(),
                               env={"LACUNA_DUMP": str(check.results.operands.resolve())})
    passed = 0
    for name, ended in check.side_by_side(one, names, 8):
        good = ended.status == 0 and "All tests passed" in ended.out
        check.record(name, passed=good, seconds=round(ended.seconds, 2))
        passed += good
        if not good:
            check.failed_or_refused(name, ended)
    check.results.say(f"  {passed} of {len(names)} test cases passed")


def is_of_training(name):
    """Others are of single operations and golden values, which stand for themselves in a name."""
    return name.startswith(("cuda:", "nccl:")) and not name.startswith(
        ("cuda: every operation", "cuda: views"))


def operations(check):
    run_tests(check, lambda name: not is_of_training(name))


def trainings(check):
    run_tests(check, is_of_training)


def step_command(check, encoder, *more):
    return [
        check.bundle / "bin/with", "train-step", encoder, check.cores if check.rehearses else 1,
        check.batch(encoder), check.device, check.precision, *more]


MULTIPLY_ADDS = {
    "resnet50": flops.resnet50(), "vit_base": flops.vit(768), "vit_tiny": flops.vit(192)}
BROKEN = (EOFError, OSError, ValueError)  # of a process that ended, or answered something else


def train_steps(check):
    wait_for_peers(check)
    for place, encoder in enumerate(check.encoders):
        values = {}
        try:
            with check.stepper(step_command(check, encoder),
                               check.left() / (len(check.encoders) - place)) as ours:
                measure(check, encoder, ours, values)
        except BROKEN as error:
            broke(check, f"train step of {encoder}", error)
        if "seconds" not in values:
            continue
        batch = check.batch(encoder)
        values["images_per_second"] = batch / values["seconds"]
        values["tflops"] = 6e-12 * MULTIPLY_ADDS[encoder] * batch / values["seconds"]
        peak = on_paper.BOARDS.get(check.board, (None,))[0]
        if peak:
            values["of_peak"] = values["tflops"] * 1e12 / peak
        check.record(encoder, **{name: round(value, 5) for name, value in values.items()})
        check.results.say(f"  {encoder}: " +
                          ", ".join(f"{name} {value:.4g}" for name, value in values.items()))


def broke(check, title, error):
    """A stepper that ended, or answered something else than its protocol has."""
    said = error.args[0] if error.args else ""
    if hasattr(said, "status"):
        return check.failed_or_refused(title, said)
    check.fail(title, f"{type(error).__name__}: {error}")


def left_out(check, encoder, mode, error):
    said = error.args[0] if error.args else ""
    check.refuse(f"PyTorch {mode}, {encoder}", getattr(said, "text", str(error)))


def wait_for_peers(check):
    """What still compiles would disturb what is timed. One that has ended, or takes half of the
    time, is left out."""
    until = time.monotonic() + check.left() / 2
    for (encoder, mode), peer in list(check.peers.items()):
        peer.left = lambda: max(0.1, until - time.monotonic())
        try:
            peer.ready()
            peer.left = check.left
        except BROKEN as error:
            left_out(check, encoder, mode, error)
            check.peers.pop((encoder, mode)).close()


def measure(check, encoder, ours, values):
    """Ours alone, then in turns with PyTorch eager, which starts now, and compiled, which is
    ready."""
    steps, pairs = (2, 3) if check.rehearses else (10, 5)
    values["seconds"] = statistics.median(ours.seconds(steps) for _ in range(3))
    values["memory"] = float(ours.ask("memory", ours.read))
    if check.with_peers:
        check.start_peer(encoder, "eager")
    for mode in ("compiled", "eager"):
        peer = check.peers.get((encoder, mode))
        if peer is None:
            continue
        try:
            if mode == "eager":
                peer.ready()
            figures = take_turns(pairs, lambda: ours.seconds(steps),
                                 lambda peer=peer: peer.seconds(steps), "{:.4f} s",
                                 check.results.say)
            values.update({
                f"peer_{mode}": figures["peer"],
                f"ratio_{mode}": statistics.median(figures["ratios"]),
                f"peer_{mode}_memory": float(peer.ask("memory", peer.read))})
        except BROKEN as error:
            if ours.process.poll() is not None:
                raise
            left_out(check, encoder, mode, error)
        finally:
            check.peers.pop((encoder, mode)).close()


KERNELS = ("network", "plans", "operation", "operands", "results", "count", "measured ms",
           "expected ms", "floor ms")


def every_kernel(check):
    """By the heuristics' plans first: timing all that cuDNN offers may take what time there is."""
    todo = [(encoder, plans) for plans in ("heuristics", "timed") for encoder in check.encoders]
    for place, (encoder, plans) in enumerate(todo):
        try:
            with check.stepper(
                    step_command(check, encoder, *(["timed"] if plans == "timed" else [])),
                    check.left() / min(2,
                                       len(todo) - place)) as step:
                report_kernels(check, encoder, plans, step)
        except BROKEN as error:
            broke(check, f"kernels of {encoder}, plans by {plans}", error)


def report_kernels(check, encoder, plans, step):
    board = check.board or "h100"
    seconds = statistics.median(step.seconds(2 if check.rehearses else 10) for _ in range(3))
    found = kernels.table(step.lines("profile 3"), board)
    check.results.rows("kernels.tsv", KERNELS, [
        (encoder, plans, each.operation, each.taken[:300], each.given[:300], each.count,
         f"{1e3 * each.seconds:.4f}", f"{1e3 * each.expected:.4f}", f"{1e3 * each.floor:.4f}")
        for each in found])
    check.results.rows("plans.tsv",
                       ("network", "plans", "problem", "engine", "workspace", "offered"), [
                           (encoder, plans, *line) for line in step.lines("plans")])
    kinds = kernels.by_kind(found)
    check.record(f"{encoder}, plans by {plans}", seconds=seconds, board=board, kinds=kinds)
    check.results.say(
        f"  {encoder}, plans by {plans}: {1e3 * seconds:.2f} ms a step; kernels alone "
        f"{sum(kind['measured'] for kind in kinds.values()):.2f} ms, expected of an "
        f"{board.upper()} "
        f"{sum(kind['expected'] for kind in kinds.values()):.2f}")
    for name, kind in sorted(kinds.items(), key=lambda item: -item[1]["measured"])[:8]:
        check.results.say(
            f"    {name:30} {kind['launches']:4} launches {kind['measured']:8.3f} ms, expected "
            f"{kind['expected']:8.3f}, floor {kind['floor']:8.3f}")


# SimCLR from a file: images of the file and of the views, encoder, samples of the file, batch,
# steps.
FROM_FILES = {
    "resnet18 at 32": (32, 32, ["encoder.name=resnet18", "encoder.width=64"], 20000, 512, 300),
    "resnet50 at 224": (256, 224,
                        ["encoder.name=resnet50", "encoder.width=64",
                         "encoder.stem=imagenet"], 2048, 256, 40)}
REHEARSED = {"resnet18 at 32": (32, 32, ["encoder.name=resnet18", "encoder.width=4"], 256, 64, 4)}


def from_files(check):
    for name, (stored, seen, encoder, samples, batch,
               steps) in (REHEARSED if check.rehearses else FROM_FILES).items():
        data, run = check.scratch / "samples.h5", check.scratch / "run"
        made = check.run("bin/with", "write-samples", data, samples, stored, 3, limit=60)
        if made.status != 0:
            check.failed_or_refused(f"data for SimCLR, {name}", made)
            continue
        ended = check.run("bin/lacuna", "pretrain", check.inputs / "images/fashion-simclr.toml",
                          "--run", run, "--force", "--set", f"data.files={data}",
                          "data.dataset=images", "data.label=labels", f"augment.size={seen}",
                          f"train.batch={batch}", f"train.max_steps={steps}", "train.epochs=1000",
                          f"train.device={check.device}", *encoder, limit=90)
        rates = re.findall(r" ([\d.]+) samples/s ", ended.out)
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
        return name, check.run("bin/with", tool, "--tool", name, "--error-exitcode", "9",
                               *check.tests, "cuda device in float32*,cuda updates*",
                               limit=check.left())
    for name, ended in check.side_by_side(one, ("memcheck", "racecheck", "initcheck"), 3):
        good = ended.status == 0
        unfinished = ended.status is None and not re.search(
            r"^=+ +(Invalid|Error|Warning|Race|Uninit)", ended.text, re.MULTILINE)
        check.record(name, passed=good)
        check.results.say(
            f"  {name}: {'nothing found' if good or unfinished else 'see below'} in "
            f"{ended.seconds:.0f} s")
        if not good:
            check.failed_or_refused(f"compute-sanitizer's {name}", ended, tool=unfinished or
                                    ended.status is not None)


# Few enough for one pass: a kernel that is run again needs its memory put back, gigabytes here.
METRICS = {"gpu__time_duration.sum": "ns", "dram__bytes.sum": "bytes"}


def profile(check):
    """Some kernels of the second step: the first one makes cuDNN's plans, and later ones are
    recorded."""
    tool = check.toolkit("ncu")
    if tool is None:
        return check.refuse("ncu", "it is not on PATH and not in the toolkit's bin")
    for place, encoder in enumerate(check.encoders):
        ended = check.run("bin/with", tool, "--csv", "--print-units", "base", "--clock-control",
                          "none", "--launch-skip", 600, "--launch-count", 150, "--metrics",
                          ",".join(METRICS),
                          *step_command(check, encoder)[1:],
                          limit=check.left() / (len(check.encoders) - place), stdin="1\n")
        rows = [line for line in ended.out.splitlines() if line.startswith('"')]
        if ended.status != 0 or len(rows) < 2:
            check.failed_or_refused(f"ncu of {encoder}", ended, tool=True)
            continue
        for name, kernel in sorted(largest(rows).items(), key=lambda item: -item[1]["ns"])[:10]:
            check.record(f"{encoder}: {name}", **kernel)
            check.results.say(
                f"  {encoder}: {kernel['launches']} launches, {1e-6 * kernel['ns']:.3f} ms, "
                f"{kernel['bytes'] / max(kernel['ns'], 1):.0f} GB/s: {name[:120]}")


def largest(rows):
    found = {}
    for row in csv.DictReader(rows):
        kernel = found.setdefault(row["Kernel Name"], {"launches": 0, "ns": 0, "bytes": 0})
        name = METRICS.get(row.get("Metric Name"))
        value = row.get("Metric Value", "").replace(",", "")
        if name and re.fullmatch(r"[\d.]+", value):
            kernel[name] += float(value)
            kernel["launches"] += name == "ns"
    return found


# Number: name, what it does, seconds at most. Parts 1 to 4 fit 4 minutes, with what lies between
# them; 5 to 8 another 4.
PARTS = {
    1: ("versions and ceilings", versions_and_ceilings, 20), 2: ("operations and golden values",
                                                                 operations, 65),
    3: ("trainings beside the CPU, checkpoints, recorded steps", trainings, 45),
    4: ("train steps beside PyTorch", train_steps, 100), 5: ("every kernel beside its floor",
                                                             every_kernel, 90),
    6: ("SimCLR from a file", from_files, 70), 7: ("compute-sanitizer", sanitizer, 40),
    8: ("profile", profile, 40)}
