"""How a run of several ranks ends: its exit status, one line of ours, in bounded time."""
import array
import fcntl
import os
import subprocess
import tempfile
import termios
import time
import unittest

PROGRAM = os.path.join(os.environ["LACUNA_BUILD"], "tests", "ranks", "lacuna-ranks-ending")


def end(way, ranks=3):
    """(exit status, our lines on stderr) of a run that ends this way within 20 s."""
    start = time.time()
    done = subprocess.run(
        [os.environ["LACUNA_LAUNCHER"], "-n", str(ranks), PROGRAM, way],
        capture_output=True, text=True, timeout=60)
    if time.time() - start > 20:
        raise AssertionError(f"{way} took {time.time() - start:.0f} s")
    return done.returncode, [l for l in done.stderr.splitlines() if "lacuna:" in l]


class Endings(unittest.TestCase):
    def test_a_run_that_ends_well_says_nothing(self):
        self.assertEqual(end("well"), (0, []))

    def test_an_error_on_one_rank_ends_all_with_its_status(self):
        self.assertEqual(end("alone"), (2, ["lacuna: the last rank cannot"]))

    def test_an_error_with_collectives_under_way_ends_all(self):
        self.assertEqual(end("under-way"), (2, ["lacuna: the last rank cannot"]))

    def test_an_agreed_error_is_printed_once(self):
        self.assertEqual(end("agreed"), (4, ["lacuna: the last rank has no space"]))

    def test_the_same_error_on_all_ranks_is_printed_once(self):
        self.assertEqual(end("everywhere"), (2, ["lacuna: no rank can"]))

    def test_one_rank_alone_ends_without_an_abort(self):
        self.assertEqual(end("everywhere", ranks=1), (2, ["lacuna: no rank can"]))

    def test_a_rank_that_stays_away_is_named(self):
        status, lines = end("stays-away")
        self.assertEqual(status, 5)
        self.assertEqual(len(lines), 1)
        self.assertRegex(lines[0], "^lacuna: rank [01] waited 1 s for barrier number 2: "
                                   "rank 2 has not come further than number 1$")

    def test_an_error_is_read_before_the_launcher_hears_of_an_abort(self):
        """MPICH's ends at once then, with what it has not passed on."""
        with tempfile.TemporaryDirectory() as folder:
            os.mkfifo(f"{folder}/errors")
            pipe = os.open(f"{folder}/errors", os.O_RDONLY | os.O_NONBLOCK)
            self.addCleanup(os.close, pipe)
            run = subprocess.Popen([
                os.environ["LACUNA_LAUNCHER"], "-n", "3", "sh", "-c", 'exec "$0" alone 2> "$1"',
                PROGRAM, f"{folder}/errors"], stderr=subprocess.DEVNULL)
            self.addCleanup(run.kill)
            deadline = time.time() + 20
            unread = array.array("i", [0])
            while unread[0] == 0 and time.time() < deadline:
                fcntl.ioctl(pipe, termios.FIONREAD, unread)
                time.sleep(0.01)
            time.sleep(0.7)
            self.assertIsNone(run.poll())
            self.assertTrue(os.read(pipe, 65536).startswith(b"lacuna: the last rank cannot\n"))
            self.assertEqual(run.wait(20), 2)


if __name__ == "__main__":
    unittest.main()
