"""tools/chaos in a small form, what it says of a disk that lies, and its model of a disk."""

import errno
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import unittest

import journal
import support

SEED = "1"


def call(kind, path, other="", number=0, data=b"", result=0):
    return journal.Call(kind, number, data, path, other, False, result)


class Chaos(support.EndToEndTest):
    def chaos(self, *options, status=0):
        command = [sys.executable, support.SOURCE / "tools/chaos", "--seed", SEED, *options]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        print(done.stdout)  # the seed, for a failure
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertIn("weights, metrics and representations are the undisturbed run's, bit for bit",
                      done.stdout)
        return done.stdout

    def test_a_run_killed_ten_times_ends_as_if_it_had_not_been(self):
        told = self.chaos("--kills", "10")
        self.assertGreaterEqual(
            int(re.search(r"10 kills in one run, (\d+) of them inside writing", told)[1]), 3)

    def test_a_run_without_power_ten_times_ends_as_if_it_had_been_there(self):
        self.assertIn("10 power cuts in one run", self.chaos("--power-cuts", "10"))

    def test_a_disk_that_does_not_flush_checkpoints_is_noticed_and_they_are_passed_over(self):
        told = self.chaos("--power-cuts", "2", "--plant", "manifest", status=1)
        self.assertRegex(
            told,
            r"chaos: start \d+: lost runs/run/checkpoints/step-\d+/checkpoint.h5, which was flushed"
        )
        self.assertRegex(told, r"broken checkpoints: [1-9]")


class Disk(unittest.TestCase):
    """The outcomes of many power cuts."""

    def outcomes(self, calls, before=None, is_flushed=lambda path: True):
        found, promised = set(), set()
        for seed in range(300):
            with tempfile.TemporaryDirectory(prefix="lacuna-test-") as name:
                folder = pathlib.Path(name)
                for name, content in (before or {}).items():
                    (folder / name).write_bytes(content)
                disk = journal.Disk(folder, is_flushed)
                for each in calls:
                    path, other = (str(folder / name) if name else ""
                                   for name in (each.path, each.other))
                    disk.make(
                        journal.Call(each.kind, each.number, each.data, path, other, False,
                                     each.result))
                disk.lose_power(random.Random(seed))
                promised.update(disk.broken_promises())
                found.add(
                    tuple(
                        sorted((path.name, path.read_bytes()) for path in folder.rglob("*")
                               if path.is_file())))
        return found, promised

    def test_what_was_not_flushed_is_there_or_torn_or_not_there(self):
        data = bytes([1]) * journal.BLOCK + bytes([2]) * 10
        found, _ = self.outcomes([
            call("create", "a"),
            call("write", "a", data=data, result=len(data))])
        zeros = bytes(len(data))
        for content in (b"", data, data[:journal.BLOCK],
                        zeros[:journal.BLOCK] + data[journal.BLOCK:], zeros):
            self.assertIn((("a", content),), found)
        self.assertIn((), found)

    def test_a_file_that_was_flushed_may_still_lose_its_name(self):
        calls = [call("create", "a"), call("write", "a", data=b"new", result=3), call("flush", "a")]
        self.assertEqual(self.outcomes(calls)[0], {(), (("a", b"new"),)})
        self.assertEqual(self.outcomes([*calls, call("flush", ".")])[0], {(("a", b"new"),)})

    def test_a_rename_is_whole_and_its_content_may_come_later(self):
        calls = [
            call("create", "t"),
            call("write", "t", data=b"new", result=3),
            call("rename", "t", "a")]
        old, new, empty = b"old", b"new", b""
        found, _ = self.outcomes(calls, {"a": old})
        self.assertLessEqual({(("a", old),), (("a", new),), (("a", empty),)}, found)
        self.assertLessEqual({name for names in found for name, _ in names}, {"a", "t"})
        calls[2:2] = [call("flush", "t")]
        found, promised = self.outcomes([*calls, call("flush", ".")], {"a": old})
        self.assertEqual((found, promised), ({(("a", new),)}, set()))

    def test_a_lost_promise_is_told(self):
        calls = [call("create", "t"), call("write", "t", data=b"new", result=3), call("flush", "t"),
                 call("rename", "t", "a"), call("flush", ".")]
        self.assertEqual(
            self.outcomes(calls, is_flushed=lambda path: not path.endswith("/t"))[1], {"a"})
        calls.append(call("write", "a", data=b"newer", result=5))  # which nobody has promised
        self.assertEqual(self.outcomes(calls)[1], set())

    def test_only_the_folder_of_a_name_promises_it(self):
        calls = [
            call("mkdir", "s"),
            call("flush", "."),
            call("create", "s/t"),
            call("write", "s/t", data=b"new", result=3),
            call("flush", "s/t"),
            call("rename", "s/t", "s/a")]
        found, promised = self.outcomes([*calls, call("flush", ".")])
        self.assertEqual((found, promised), ({(), (("a", b"new"),), (("t", b"new"),)}, set()))
        self.assertEqual(self.outcomes([*calls, call("flush", "s")])[0], {(("a", b"new"),)})
        lies = self.outcomes([*calls, call("flush", "s")],
                             is_flushed=lambda path: not path.endswith("/s"))
        self.assertEqual(lies[1], {"s/a"})

    def test_what_has_failed_changes_nothing(self):
        found, _ = self.outcomes([call("remove", "a", result=-errno.EACCES)], {"a": b"old"})
        self.assertEqual(found, {(("a", b"old"),)})
