"""gpu-check: everything that only a GPU can show, in parts in the order of what they tell. Needs
the driver, cuDNN, NCCL and a Python 3; PyTorch, compute-sanitizer and ncu are used where they are.
What is found is appended to a few files in $OUT (else gpu-check-results/) as it goes, so that a
check that is cut off loses one part. Exit status: 0 where all held, 1 where something failed, 2
where there was no GPU to check.
"""
import argparse
import concurrent.futures
import contextlib
import dataclasses
import importlib.util
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent /
                    "benchmarks"))  # among the sources; in a bundle all lie beside each other

import on_paper  # noqa: E402
import parts  # noqa: E402
from results import Results  # noqa: E402
from turns import Stepper, environment  # noqa: E402

PEER = pathlib.Path(on_paper.__file__).parent / "train_step.py"

# What programs say where there is no GPU, or where a virtual machine keeps a tool from it.
REFUSALS = ("has no NVIDIA driver", "driver shows no GPU", "driver version is insufficient",
            "no CUDA-capable device", "stub library", "error while loading shared libraries",
            "Device not supported", "LibraryNotLoaded", "ERR_NVGPUCTRPERM",
            "Failed to initialize the profiler", "An error occurred while trying to profile")

# A group of its own for each program: what it has started ends with it, and none outlives this
# check's session.
OWN_GROUP = {"process_group": 0} if sys.version_info >= (3, 11) else {"preexec_fn": os.setpgrp}


def end_group(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@dataclasses.dataclass
class Ended:
    status: int  # None: it was ended at its limit
    text: str    # all that it said
    seconds: float = 0
    out: str = ""  # of it, what came on stdout


class Watched(Stepper):
    """One that is given a limit for each answer, and tells what it said when it ends by itself."""

    def __init__(self, command, left, log):
        self.left, self.log = left, log
        self.said = tempfile.TemporaryFile("w+", errors="replace")
        self.answers = queue.Queue()
        super().__init__(command, environment(), wait=False, stderr=self.said, **OWN_GROUP)
        threading.Thread(target=self.listen, args=(self.process.stdout,), daemon=True).start()

    def listen(self, stream):
        for line in stream:
            self.answers.put(line)
        self.answers.put(None)

    def read(self):
        try:
            line = self.answers.get(timeout=self.left())
        except queue.Empty:
            raise EOFError(
                Ended(None,
                      f"no answer in the time that was left for it\n{self.stderr()}")) from None
        if line is None:
            raise EOFError(Ended(self.process.wait(), self.stderr()))
        return line

    def stderr(self):
        self.said.seek(0)
        return self.said.read()

    def close(self):
        end_group(self.process)
        self.process.wait()
        self.log(self.stderr())
        self.said.close()
        with contextlib.suppress(OSError):
            self.process.stdin.close()


class Check:
    def __init__(self, options, scratch):
        self.bundle = options.bundle.resolve()
        self.inputs = next(place
                           for place in (HERE.parent / "inputs", HERE.parent.parent / "inputs")
                           if place.is_dir())
        self.results = Results(options.out)
        self.scratch = pathlib.Path(scratch)
        self.rehearses = options.rehearse
        self.device, self.precision = ("cpu", "f32") if options.rehearse else ("cuda", "bf16")
        self.encoders = ("vit_tiny",) if options.rehearse else ("resnet50", "vit_base")
        self.tests = [options.tests or "lacuna-gpu-tests"]
        self.cores = os.cpu_count() or 1
        self.patience = options.patience
        self.with_peers = not options.no_peer and importlib.util.find_spec("torch") is not None
        self.end = time.monotonic() + options.budget
        self.part_end = self.end
        self.part = 0
        self.running = set()
        self.peers = {}
        self.failed = []
        self.refused = []
        self.gpu = self.find_gpu()
        self.board = next((board for board in on_paper.BOARDS if board in self.gpu.lower()), "")

    def find_gpu(self):
        """Its name, driver and memory; "" where nvidia-smi shows none."""
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            shown = subprocess.run([
                "nvidia-smi", "--query-gpu=name,driver_version,memory.total",
                "--format=csv,noheader"], check=True, capture_output=True, text=True,
                                   timeout=10).stdout.splitlines()
            if shown:
                return shown[0] + (f" (one of {len(shown)})" if len(shown) > 1 else "")
        return ""

    def batch(self, encoder):
        return 2 if self.rehearses else 256

    def left(self):
        return max(0.1, min(self.part_end, self.end) - time.monotonic())

    def run(self, program, *words, limit, env=None, stdin=None):
        """A program of the bundle (bin/…) or of this machine, with its limit of seconds or what is
        left; never raises."""
        program = str(self.bundle / program) if program.startswith("bin/") else program
        command = [program, *map(str, words)]
        begun = time.monotonic()
        self.results.log(f"$ {' '.join(command)}\n")
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True, errors="replace",
                                       env={**os.environ, **(env or {})}, **OWN_GROUP)
        except OSError as error:
            return Ended(127, f"{program}: {error.strerror}")
        self.running.add(process)
        try:
            out, err = process.communicate(stdin, timeout=min(limit, self.left()))
            status = process.returncode
        except subprocess.TimeoutExpired:
            end_group(process)
            out, err = process.communicate()
            status = None
        self.running.discard(process)
        self.results.log(out + err)
        return Ended(status, out + err, time.monotonic() - begun, out)

    def side_by_side(self, function, items, at_once):
        """Results in the order in which they come."""
        pool = concurrent.futures.ThreadPoolExecutor(min(at_once, self.cores))
        try:
            for done in concurrent.futures.as_completed([
                    pool.submit(function, item) for item in items]):
                yield done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            self.end_all()
            raise
        pool.shutdown()

    def end_all(self):
        for process in list(self.running):
            end_group(process)
        for peer in self.peers.values():
            peer.close()
        self.peers.clear()

    @contextlib.contextmanager
    def stepper(self, command, seconds):
        self.results.log(f"$ {' '.join(map(str, command))}\n")
        until = min(time.monotonic() + seconds, self.part_end, self.end)
        stepper = Watched(command, lambda: max(0.1, until - time.monotonic()), self.results.log)
        self.running.add(stepper.process)
        try:
            stepper.ready()
            yield stepper
        finally:
            stepper.close()
            self.running.discard(stepper.process)

    def start_peers(self):
        """PyTorch compiles beside the tests of parts 2 and 3, which are not timed."""
        for encoder in self.encoders:
            self.start_peer(encoder, "compiled")

    def start_peer(self, encoder, mode):
        command = [
            sys.executable, PEER, encoder, self.cores if self.rehearses else 1,
            self.batch(encoder), "channels_last" if encoder.startswith("resnet") else "contiguous",
            self.device, self.precision, mode]
        self.peers[encoder, mode] = Watched(command, self.left, self.results.log)

    def toolkit(self, tool):
        homes = [os.environ[name] for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
        for folder in (None, *(f"{home}/bin" for home in homes), "/usr/local/cuda/bin"):
            found = shutil.which(tool, path=folder)
            if found:
                return found
        return None

    def record(self, what, **values):
        self.results.record(self.part, what, **values)

    def fail(self, title, text):
        self.failed.append(f"part {self.part}: {title}")
        self.record(title, failed=True)
        self.results.fail(f"part {self.part}: {title}", text)
        self.results.say(f"  FAILED: {title}\n" +
                         "\n".join(f"    {line}" for line in text.rstrip().splitlines()[-25:]))

    def refuse(self, title, text):
        self.refused.append(f"part {self.part}: {title}")
        said = next(
            (line.strip() for line in text.splitlines() if any(sign in line for sign in REFUSALS)),
            text.strip()[-200:])
        self.record(title, refused=said)
        self.results.say(f"  refused: {title}: {said}")

    def failed_or_refused(self, title, ended, tool=False):
        """Where there is a GPU only tools may be refused it, and run out of time."""
        if any(sign in ended.text for sign in REFUSALS) and (tool or not self.gpu):
            self.refuse(title, ended.text)
        elif ended.status is not None:
            self.fail(title, f"{ended.text}\n(exit status {ended.status})")
        elif tool:
            self.refuse(title, f"not finished after {ended.seconds:.0f} s, where its time was up")
        else:
            self.fail(title,
                      f"{ended.text}\n(ended after {ended.seconds:.0f} s, where its time was up)")

    def do(self, number):
        name, function, limit = parts.PARTS[number]
        limit *= self.patience
        self.part = number
        if self.end - time.monotonic() < 5:
            self.results.say(f"== {number}. {name}: not started, no time was left")
            self.failed.append(f"part {number}: not started")
            return self.record("part", name=name, started=False)
        begun = time.monotonic()
        self.part_end = begun + limit
        self.results.say(f"== {number}. {name} (at most {min(limit, self.end - begun):.0f} s)")
        try:
            function(self)
        except Exception as error:  # noqa: BLE001: a part that breaks must not end those behind it
            self.fail(f"{name}: this check itself broke", f"{type(error).__name__}: {error}")
        self.record("part", name=name, started=True, seconds=round(time.monotonic() - begun, 1))

    def do_all(self, numbers):
        """Peers begin as late as they may: behind the ceilings, before the tests."""
        peers_wait = 4 in numbers and self.with_peers
        for number in numbers:
            if peers_wait and number != 1:
                self.start_peers()
                peers_wait = False
            self.do(number)

    def status(self):
        say = self.results.say
        say(f"gpu-check: {len(self.failed)} failures, {len(self.refused)} refusals" +
            ("" if self.gpu or self.rehearses else
             "; this machine shows no NVIDIA GPU (nvidia-smi)"))
        for line in self.failed:
            say(f"  failed: {line}")
        if self.failed:
            return 1
        return 2 if self.refused and not self.gpu and not self.rehearses else 0


def numbers(text):
    """1-4,7 as a list."""
    chosen = []
    for piece in text.split(","):
        first, dash, last = piece.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise argparse.ArgumentTypeError(f"\"{text}\" names no parts: give numbers as in 1-4,7")
        chosen += range(int(first), int(last or first) + 1)
    if not chosen or not set(chosen) <= set(parts.PARTS):
        raise argparse.ArgumentTypeError(
            f"there are parts 1 to {max(parts.PARTS)}, and \"{text}\" names others")
    return chosen


def arguments():
    lines = "\n".join(f"  {number}  {name}, at most {limit} s"
                      for number, (name, _, limit) in parts.PARTS.items())
    parser = argparse.ArgumentParser(prog="gpu-check", description=__doc__,
                                     epilog=f"parts:\n{lines}",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=pathlib.Path, required=True,
                        help="a folder that tools/gpu-bundle has made")
    parser.add_argument("--parts", type=numbers, default=list(parts.PARTS),
                        help="as in 1-4,7; default: all")
    parser.add_argument("--budget", type=float, default=590, metavar="SECONDS",
                        help="of all parts together; default: 590")
    parser.add_argument("--out", type=pathlib.Path,
                        default=pathlib.Path(os.environ.get("OUT") or "gpu-check-results"))
    parser.add_argument("--no-peer", action="store_true", help="without PyTorch")
    parser.add_argument(
        "--rehearse", action="store_true",
        help="train steps and files in small sizes on the processor: "
        "shows that the check itself works")
    parser.add_argument("--patience", type=float, default=1, metavar="FACTOR",
                        help="times the limits of the parts")
    parser.add_argument("--tests", help="another program of the same tests, as one over doubles")
    options = parser.parse_args()
    if not (options.bundle / "files.tar.gz").exists():
        sys.exit(f"lacuna: {options.bundle} is no bundle: make one by tools/gpu-bundle")
    return options


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what runs is ended on the way out
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as scratch:
        check = Check(options, scratch)
        check.results.say(
            f"gpu-check of {check.bundle}, {time.strftime('%F %T')}: parts {options.parts}; "
            "results in "
            f"{check.results.folder}")
        if 4 in options.parts and not check.with_peers and not options.no_peer:
            check.results.say(f"{sys.executable} has no PyTorch: train steps are measured alone")
        check.record("check", gpu=check.gpu, board=check.board)
        try:
            check.do_all(options.parts)
        finally:
            check.end_all()
        return check.status()


if __name__ == "__main__":
    sys.exit(main())
