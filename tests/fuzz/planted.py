"""What a reader must not do, planted: that lacuna-fuzz finds each and goes on, and blames who it
was."""

import re
import subprocess
import sys

PLACE = " in lacuna::fuzz::misbehave"
OURS = [
    "heap-buffer-overflow" + PLACE, "cannot be represented in type 'long'" + PLACE,
    "allocator" + PLACE, "ABRT" + PLACE, "large == 0 ", "status 1: a status that no reader gives"]

run = subprocess.run([sys.argv[1], "planted", "--inputs", "600", "--hang", "1", "--jobs", "2"],
                     text=True, capture_output=True, check=False)
print(run.stdout[:5000], run.stderr)
told = run.stdout.replace("'long int'", "'long'")  # as GCC calls it
crashes = re.findall(r"^  crash: (.*), \d+ times, first input (\d+)$", told, re.MULTILINE)
of_hdf5 = re.findall(r"^  crash of HDF5: .*H5get_libversion", run.stdout, re.MULTILINE)
hangs = re.findall(f"^  hang: hang{PLACE}", run.stdout, re.MULTILINE)
for fault in OURS:
    assert any(fault in where for where, _ in crashes), fault
assert len(crashes) == len(OURS) and len(of_hdf5) == 1 and len(hangs) == 1
assert run.returncode == 1

# The counts say that the rest was read, and a number tells an input.
said = re.search(
    r"(\d+) inputs, (\d+) read, (\d+) refused; in our frames (\d+) crashes and (\d+) hangs; "
    r"in HDF5's (\d+) and (\d+)", run.stdout)
numbers = [int(number) for number in said.groups()]
assert numbers[0] == sum(numbers[1:]) == 600 and numbers[2] > 400
where, first = crashes[0]
again = subprocess.run([sys.argv[1], "planted", "--replay", first], text=True, capture_output=True,
                       check=False)
assert again.returncode != 0 and again.stderr
