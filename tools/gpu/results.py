"""The folder of results: at most 6 files of at most 16 MiB, each appended to and flushed as it
goes, so that whoever cuts a check off loses no more than what was being measured.

    results.jsonl   a line for each finding: {"part": …, "what": …, …}
    log.txt         all that was printed, by every program
    kernels.tsv     kernel by kernel: measured, expected, floor
    plans.tsv       what cuDNN planned, by its heuristics and by timing
    failures.txt    what a person needs to mend each failure
    operands.h5     operands and results of operations that failed, at most 8 MiB; written by the
                    tests
"""
import contextlib
import json
import pathlib

MOST = 15 << 20  # bytes of a file
FILES = ("results.jsonl", "log.txt", "kernels.tsv", "plans.tsv", "failures.txt")


class Results:
    FULL = b"\n(what came after this is left out: the file has its full size)\n"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.left = {
            name: MOST - (self.folder / name).stat().st_size if
            (self.folder / name).exists() else MOST for name in FILES}

    @property
    def operands(self):
        return self.folder / "operands.h5"

    def append(self, name, text):
        """What goes beyond the limit is left out, and the file says so."""
        content = text.encode(errors="replace")
        if len(content) > self.left[name] >= 0:
            content, self.left[name] = self.FULL, -1
        elif self.left[name] < 0:
            return
        else:
            self.left[name] -= len(content)
        with open(self.folder / name, "ab") as file:
            file.write(content)

    def log(self, text):
        self.append("log.txt", text)

    def say(self, text):
        self.log(text + "\n")
        with contextlib.suppress(
                BrokenPipeError):  # whoever reads along may stop; the check goes on
            print(text, flush=True)

    def record(self, part, what, **values):
        self.append("results.jsonl", json.dumps({"part": part, "what": what, **values}) + "\n")

    def fail(self, title, text):
        self.append("failures.txt", f"== {title}\n{text.rstrip()}\n\n")

    def rows(self, name, header, rows):
        """Tab-separated columns behind one line that names them."""
        path = self.folder / name
        if not path.exists():
            self.append(name, "\t".join(header) + "\n")
        self.append(name, "".join("\t".join(map(str, row)) + "\n" for row in rows))


def read(folders):
    """The records of folders, the last of each (part, what). A line that was cut off is none."""
    records = {}
    for folder in folders:
        for line in (pathlib.Path(folder) / "results.jsonl").read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                record = json.loads(line)
                records[record["part"], record["what"]] = record
    return records
