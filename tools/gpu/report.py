"""Writes what a check measured on a board beside what is predicted for it into docs/gpu.md, between
two marks that name the board; without results, the predictions alone. Called by tools/gpu-check
--report."""
import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "benchmarks"))

import on_paper  # noqa: E402
import results  # noqa: E402

BATCH = 256


def fail(sentence):
    print(f"lacuna: {sentence}", file=sys.stderr)
    sys.exit(2)


def cell(value, form="{:.2f}"):
    return "not measured" if value is None else form.format(value)


def ceilings(board, records):
    peak, bandwidth = on_paper.BOARDS[board]
    found = records.get((1, "ceilings"), {})
    yield "copies within the memory, read and written, GB/s", f"{0.9 * bandwidth / 1e9:.0f}", cell(
        found.get("copy"), "{:.0f}")
    yield "products in bf16, TFLOP/s", f"{0.8 * peak / 1e12:.0f}", cell(found.get("bf16"), "{:.0f}")


def whole_steps(board, records):
    for encoder, (title, step, model) in on_paper.steps(board, BATCH).items():
        found = records.get((4, encoder), {})
        yield f"{title}: images a second", f"{BATCH / step.total():.0f}", cell(
            found.get("images_per_second"), "{:.0f}")
        yield f"{title}: of the peak", f"{model / step.total() / step.peak:.2f}", cell(
            found.get("of_peak"))
        for mode in ("eager", "compiled"):
            yield f"{title}: times PyTorch's speed, {mode}", "", cell(found.get(f"ratio_{mode}"))
        for name, key in (("ours, as planned", "memory"), ("PyTorch compiled",
                                                           "peer_compiled_memory")):
            yield f"{title}: memory of {name}, GB", "", cell(
                found[key] / 1e9 if key in found else None, "{:.1f}")


def kinds(board, records):
    for encoder, (title, step, _) in on_paper.steps(board, BATCH).items():
        measured = {
            plans: records.get((5, f"{encoder}, plans by {plans}"), {}).get("kinds", {})
            for plans in ("heuristics", "timed")}
        for kind, expected in step.kinds.items():
            if kind.startswith("layouts"):
                continue  # within the operations that need them
            by_heuristics, timed = (measured[plans].get(kind, {}).get("measured")
                                    for plans in ("heuristics", "timed"))
            yield (
                f"{title}: {kind}, ms",
                f"{1e3 * expected.floor / on_paper.SHARES[kind]:.2f} (floor "
                f"{1e3 * expected.floor:.2f})",
                cell(by_heuristics) + ("" if timed is None else f"; plans timed {timed:.2f}"))


def from_files(records):
    for name in ("resnet18 at 32", "resnet50 at 224"):
        found = records.get((6, name), {})
        yield f"SimCLR from a file, {name}: samples a second", "", cell(
            found.get("samples_per_second"), "{:.0f}")


def table(board, records):
    where = records.get((0, "check"), {}).get("gpu")
    versions = records.get((1, "versions"), {})
    told = "".join(f"; {name} {versions[name]}" for name in ("lacuna", "cuDNN", "NCCL")
                   if name in versions) if where else ""
    lines = [f"Measured on: {where or 'no such board yet'}{told}.", "",
             "| what | predicted | measured |", "|---|---|---|"]
    for rows in (ceilings(board, records), whole_steps(board, records), kinds(board, records),
                 from_files(records)):
        lines += [f"| {what} | {predicted} | {measured} |" for what, predicted, measured in rows]
    return "\n".join(lines)


def replaced(page, board, text):
    begin = f"<!-- {board}: written by tools/gpu-check --report -->\n"
    end = f"<!-- end of {board} -->\n"
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        fail(
            f"the page has no marks for {board}: add the lines \"{begin.strip()}\" and "
            f"\"{end.strip()}\"")
    return before + begin + "\n" + text + "\n\n" + end + after


def main():
    parser = argparse.ArgumentParser(prog="tools/gpu-check --report", description=__doc__)
    parser.add_argument("--page", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--board", choices=on_paper.BOARDS,
                        help="of the predictions; default: the results'")
    parser.add_argument(
        "results", nargs="*", type=pathlib.Path,
        help="folders that gpu-check has filled on one board; "
        "what a later one measured again counts")
    options = parser.parse_args()
    for folder in options.results:
        if not (folder / "results.jsonl").exists():
            fail(f"{folder} holds no results.jsonl: name a folder that gpu-check has filled")
    records = results.read(options.results)
    measured = records.get((0, "check"), {}).get("board")
    board = options.board or measured
    if not board:
        fail("no board that is known was measured: name one by --board")
    if options.results and measured != board:
        fail(f"the results are of {measured or 'no board that is known'}, not of {board}")
    options.page.write_text(replaced(options.page.read_text(), board, table(board, records)))


if __name__ == "__main__":
    main()
