"""Two sides that take turns: processes that live on and make steps when they are told to."""
import functools
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
    """A process that speaks the protocol of train_step.cpp; stopped while it is not its turn. One
    that is not waited for gets ready beside other work, until ready() is called."""

    def __init__(self, command, env, wait=True, stderr=subprocess.DEVNULL, **how):
        self.process = subprocess.Popen(list(map(str, command)), env=env, stdin=subprocess.PIPE,
                                        bufsize=1, stdout=subprocess.PIPE, stderr=stderr, text=True,
                                        **how)
        if wait:
            self.ready()

    def ready(self):
        while self.read() != "ready\n":
            pass
        self.process.send_signal(signal.SIGSTOP)

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"bench: {' '.join(self.process.args)} ended; start it by hand to see why")
        return line

    def ask(self, question, read):
        """What it answers, read while it is its turn."""
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(f"{question}\n")
        self.process.stdin.flush()
        result = read()
        self.process.send_signal(signal.SIGSTOP)
        return result

    def seconds(self, steps):
        return float(self.ask(steps, self.read))

    def lines(self, question):
        """Its answer up to the line "end", lines of columns."""
        return self.ask(
            question, lambda: [line.rstrip("\n").split("\t") for line in iter(self.read, "end\n")])

    def close(self):
        self.process.kill()
        self.process.communicate()


def take_turns(pairs, ours, peer, form, say=functools.partial(print, flush=True)):
    """Medians of both sides, and peer / ours of each pair; who begins changes from pair to pair."""
    found = {"ours": [], "peer": []}
    for pair in range(pairs):
        sides = [("ours", ours), ("peer", peer)]
        for name, measure in sides if pair % 2 == 0 else sides[::-1]:
            found[name].append(measure())
        ours_now, peer_now = (form.format(found[name][-1]) for name in ("ours", "peer"))
        say(f"  pair {pair + 1}   ours {ours_now}   peer {peer_now}")
    return {"ours": statistics.median(found["ours"]), "peer": statistics.median(found["peer"]),
            "ratios": [p / o for o, p in zip(found["ours"], found["peer"])]}
