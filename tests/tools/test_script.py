"""tools/test: what it says of the last run's tests, and which cells of a matrix tests take."""

import os
import shutil
import subprocess
import unittest.mock

import support

LOG = """Start testing: Nov 30 02:46 UTC
----------------------------------------------------------
1/2 Testing: ranks on 3
1/2 Test: ranks on 3
Command: "mpiexec"
Output:
1/1 Test time = 99.00 sec
<end of output>
Test time =  12.50 sec
----------------------------------------------------------
2/2 Testing: tools.layers.a
2/2 Test: tools.layers.a
Test time =   0.25 sec
----------------------------------------------------------
"""


class TestScript(support.EndToEndTest):
    def slowest(self, *arguments):
        command = ["bash", self.path("tools/test"), "--slowest", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def test_slowest_tests_of_the_last_run(self):
        self.path("tools").mkdir()
        for name in ("test", "common.sh"):
            shutil.copy(support.SOURCE / "tools" / name, self.path("tools"))
        self.assertIn("no tests have run", self.slowest().stderr)
        log = self.path("build/Testing/Temporary/LastTest.log")
        log.parent.mkdir(parents=True)
        log.write_text(LOG)
        lines = self.slowest().stdout.splitlines()
        self.assertEqual([line.split(maxsplit=2) for line in lines], [
            ["12.75", "s", "all 2 tests, one after the other"],
            ["12.50", "s", "ranks on 3"],
            ["0.25", "s", "tools.layers.a"]])
        self.assertEqual(self.slowest("1").stdout.splitlines(), lines[:2])

    def test_three_runs_take_every_cell_once(self):
        cells = [(objective, ranks) for objective in "abcde" for ranks in (1, 3)]
        taken = []
        for third in ("0", "1", "2"):
            with unittest.mock.patch.dict(os.environ, LACUNA_TEST_CELLS=third):
                taken += support.chosen_cells(cells)
                self.assertEqual(support.chosen_cells(cells[:2]), cells[:2])
        self.assertEqual(sorted(taken), cells)
        with unittest.mock.patch.dict(os.environ):
            os.environ.pop("LACUNA_TEST_CELLS", None)
            self.assertEqual(support.chosen_cells(cells), cells)
