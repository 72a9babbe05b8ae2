"""Two sides that take turns: processes that live on and make steps when they are told to."""
import os
import signal
import statistics
import subprocess
import sys


def environment(policy="default", threads=None):
    changed = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_"))}
    if threads is not None:
        changed["OMP_NUM_THREADS"] = str(threads)
    if policy != "default":
        changed["OMP_WAIT_POLICY"] = policy
    return changed


class Stepper:
    """A process that speaks the protocol of train_step.cpp; stopped while it is not its turn."""

    def __init__(self, command, env):
        self.process = subprocess.Popen(list(map(str, command)), env=env, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.read()
        self.process.send_signal(signal.SIGSTOP)

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"bench: {' '.join(self.process.args)} ended; start it by hand to see why")
        return line

    def seconds(self, steps):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        result = float(self.read())
        self.process.send_signal(signal.SIGSTOP)
        return result

    def close(self):
        self.process.kill()
        self.process.communicate()


def take_turns(pairs, ours, peer, form):
    """Medians of both sides, and peer / ours of each pair; who begins changes from pair to pair."""
    found = {"ours": [], "peer": []}
    for pair in range(pairs):
        sides = [("ours", ours), ("peer", peer)]
        for name, measure in sides if pair % 2 == 0 else sides[::-1]:
            found[name].append(measure())
        print("  pair", pair + 1, "  ours", form.format(found["ours"][-1]),
              "  peer", form.format(found["peer"][-1]), flush=True)
    return {"ours": statistics.median(found["ours"]), "peer": statistics.median(found["peer"]),
            "ratios": [p / o for o, p in zip(found["ours"], found["peer"])]}
