"""gpu-check: everything that only a GPU can show, in parts in the order of what they tell. Needs the driver, cuDNN, NCCL
and a Python 3; PyTorch, compute-sanitizer and ncu are used where they are. What is found is appended to a few files in
$OUT (else gpu-check-results/) as it goes, so that a check that is cut off loses one part. Exit status: 0 where all held,
1 where something failed, 2 where there was no GPU to check.
"""
import argparse
import contextlib
import dataclasses
import importlib.util
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "benchmarks"))  # among the sources; in a bundle all lie beside each other

import on_paper  # noqa: E402
import parts  # noqa: E402
from results import Results  # noqa: E402
from turns import Stepper, environment  # noqa: E402

PEER = pathlib.Path(on_paper.__file__).parent / "train_step.py"

# What programs say where there is no GPU, no library, or a virtual machine that keeps a tool from the device.
REFUSALS = ("has no NVIDIA driver", "driver shows no GPU", "driver version is insufficient", "no CUDA-capable device",
            "stub library", "Device not supported", "LibraryNotLoaded", "ERR_NVGPUCTRPERM", "error while loading shared libraries",
            "Failed to initialize the profiler", "==ERROR== An error occurred while trying to profile", "libcuda.so.1")


@dataclasses.dataclass
class Ended:
    status: int  # None: it was ended at its limit
    text: str
    seconds: float = 0


class Watched(Stepper):
    """One that is ended at a limit, and tells what it said when it ends by itself."""

    def __init__(self, command, limit, said, **how):
        self.said = said
        super().__init__(command, stderr=said, **how)
        self.watch = threading.Timer(limit, self.process.kill)
        self.watch.daemon = True
        self.watch.start()

    def read(self):
        line = self.process.stdout.readline()
        if line:
            return line
        status = self.process.wait()
        self.said.seek(0)
        raise EOFError(Ended(None if status == -signal.SIGKILL else status, self.said.read()))

    def ready_within(self, seconds):
        """As ready(), but one that takes longer is told as one that ended."""
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise EOFError(Ended(None, f"not ready after {seconds:.0f} s more", seconds))
        self.ready()

    def close(self):
        if hasattr(self, "watch"):
            self.watch.cancel()
        super().close()
        self.said.close()


class Check:
    def __init__(self, options, scratch):
        self.bundle = options.bundle.resolve()
        self.inputs = next(place for place in (HERE.parent / "inputs", HERE.parent.parent / "inputs") if place.is_dir())
        self.results = Results(options.out)
        self.scratch = pathlib.Path(scratch)
        self.device = "cpu" if options.rehearse else "cuda"
        self.rehearses = options.rehearse
        self.precision = "f32" if options.rehearse else "bf16"
        self.encoders = ("vit_tiny",) if options.rehearse else ("resnet50", "vit_base")
        self.tests = [options.tests or "lacuna-gpu-tests"]
        self.cores = os.cpu_count() or 1
        self.end = time.monotonic() + options.budget
        self.part_end = self.end
        self.part = 0
        self.failed = []
        self.refused = []
        self.board = self.find_board()
        self.peers = {}
        self.patience = options.patience
        self.with_peers = not options.no_peer and importlib.util.find_spec("torch") is not None

    def find_board(self):
        with contextlib.suppress(OSError):
            name = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True,
                                  text=True, timeout=10).stdout.lower()
            return next((board for board in on_paper.BOARDS if board in name), "")
        return ""

    def batch(self, encoder):
        return 2 if self.rehearses else 256

    def left(self):
        return max(1.0, min(self.part_end, self.end) - time.monotonic())

    def run(self, program, *words, limit, env=None, stdin=None):
        """A program of the bundle (bin/…) or of this machine, with its limit of seconds or what is left; never raises."""
        program = str(self.bundle / program) if program.startswith("bin/") else program
        command = [program, *map(str, words)]
        begun = time.monotonic()
        self.results.log(f"$ {' '.join(command)}\n")
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                       errors="replace", start_new_session=True, env={**os.environ, **(env or {})})
        except OSError as error:
            return Ended(127, f"{program}: {error.strerror}")
        try:
            text, _ = process.communicate(stdin, timeout=min(limit, self.left()))
            status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            text, _ = process.communicate()
            status = None
        self.results.log(text)
        return Ended(status, text, time.monotonic() - begun)

    @contextlib.contextmanager
    def stepper(self, command):
        self.results.log(f"$ {' '.join(map(str, command))}\n")
        said = tempfile.TemporaryFile("w+", errors="replace")
        stepper = Watched(command, self.left(), said, wait=False, env=environment())
        try:
            stepper.ready()
            yield stepper
        finally:
            stepper.close()

    def start_peers(self):
        """PyTorch compiles beside the tests of the first parts: none of those is timed."""
        for encoder in self.encoders:
            self.start_peer(encoder, "compiled")

    def start_peer(self, encoder, mode):
        command = [sys.executable, PEER, encoder, self.cores if self.rehearses else 1, self.batch(encoder),
                   "channels_last" if encoder.startswith("resnet") else "contiguous", self.device, self.precision, mode]
        said = tempfile.TemporaryFile("w+", errors="replace")
        self.peers[encoder, mode] = Watched(command, self.end - time.monotonic(), said, wait=False, env=environment())

    def toolkit(self, tool):
        for folder in ("", *(f"{os.environ[name]}/bin" for name in ("CUDA_HOME", "CUDA_PATH") if name in os.environ),
                       "/usr/local/cuda/bin"):
            found = shutil.which(tool, path=folder or None)
            if found:
                return found
        return None

    def record(self, what, **values):
        self.results.record(self.part, what, **values)

    def fail(self, title, text):
        self.failed.append(f"part {self.part}: {title}")
        self.record(title, failed=True)
        self.results.fail(f"part {self.part}: {title}", text)
        self.results.say(f"  FAILED: {title}\n" + "\n".join(f"    {line}" for line in text.rstrip().splitlines()[-25:]))

    def refuse(self, title, text):
        self.refused.append(f"part {self.part}: {title}")
        said = next((line.strip() for line in text.splitlines() if any(sign in line for sign in REFUSALS)), text.strip()[-200:])
        self.record(title, refused=said)
        self.results.say(f"  refused: {title}: {said}")

    def failed_or_refused(self, title, ended):
        if ended.status is None:
            self.fail(title, f"{ended.text}\n(ended after {ended.seconds:.0f} s, where its time was up)")
        elif any(sign in ended.text for sign in REFUSALS):
            self.refuse(title, ended.text)
        else:
            self.fail(title, f"{ended.text}\n(exit status {ended.status})")

    def do(self, number):
        name, function, limit = parts.PARTS[number]
        self.part = number
        if self.end - time.monotonic() < 5:
            self.results.say(f"== {number}. {name}: not started, no time was left")
            self.failed.append(f"part {number}: not started")
            return self.record("part", name=name, started=False)
        begun = time.monotonic()
        limit *= self.patience
        self.part_end = begun + limit
        self.results.say(f"== {number}. {name} (at most {min(limit, self.end - begun):.0f} s)")
        try:
            function(self)
        except Exception as error:  # noqa: BLE001: a part that breaks must not end those behind it
            self.fail(f"{name}: this check itself broke", f"{type(error).__name__}: {error}")
        self.record("part", name=name, started=True, seconds=round(time.monotonic() - begun, 1))


def numbers(text):
    """1-4,7 as a list."""
    chosen = []
    for piece in text.split(","):
        first, dash, last = piece.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise argparse.ArgumentTypeError(f"\"{text}\" names no parts: give numbers as in 1-4,7")
        chosen += range(int(first), int(last or first) + 1)
    if not chosen or not set(chosen) <= set(parts.PARTS):
        raise argparse.ArgumentTypeError(f"there are parts 1 to {max(parts.PARTS)}, and \"{text}\" names others")
    return chosen


def arguments():
    lines = "\n".join(f"  {number}  {name}, at most {limit} s" for number, (name, _, limit) in parts.PARTS.items())
    parser = argparse.ArgumentParser(prog="gpu-check", description=__doc__, epilog=f"parts:\n{lines}",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=pathlib.Path, required=True, help="a folder that tools/gpu-bundle has made")
    parser.add_argument("--parts", type=numbers, default=list(parts.PARTS), help="as in 1-4,7; default: all")
    parser.add_argument("--budget", type=float, default=590, metavar="SECONDS", help="of all parts together; default: 590")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(os.environ.get("OUT", "gpu-check-results")))
    parser.add_argument("--no-peer", action="store_true", help="without PyTorch")
    parser.add_argument("--rehearse", action="store_true", help="train steps and files in small sizes on the processor: "
                        "shows that the check itself works")
    parser.add_argument("--patience", type=float, default=1, metavar="FACTOR", help="times the limits of the parts, on a slow machine")
    parser.add_argument("--tests", help="another program of the same tests, as one over doubles")
    options = parser.parse_args()
    if not (options.bundle / "files.tar.gz").exists():
        sys.exit(f"lacuna: {options.bundle} is no bundle: make one by tools/gpu-bundle")
    return options


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as scratch:
        check = Check(options, scratch)
        check.results.say(f"gpu-check of {check.bundle}, {time.strftime('%F %T')}: parts {options.parts}; results in "
                          f"{check.results.folder}")
        if 4 in options.parts and check.with_peers:
            check.start_peers()
        elif 4 in options.parts and not options.no_peer:
            check.results.say(f"{sys.executable} has no PyTorch: train steps are measured alone")
        try:
            for number in options.parts:
                check.do(number)
        finally:
            for peer in check.peers.values():
                peer.close()
    say = check.results.say
    say(f"gpu-check: {len(check.failed)} failures, {len(check.refused)} refusals"
        + ("" if check.board or check.rehearses else "; this machine shows no NVIDIA GPU that is known here (nvidia-smi)"))
    for line in check.failed:
        say(f"  failed: {line}")
    if check.failed:
        return 1
    return 2 if check.refused and not check.board and not check.rehearses else 0


if __name__ == "__main__":
    sys.exit(main())
