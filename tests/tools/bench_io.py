"""tools/bench-io in a small form: 600 MB take less than 100 MB of memory."""

import json
import os
import subprocess
import sys

import support


class BenchIo(support.EndToEndTest):
    def test_reading_600_mb_takes_less_than_100_mb(self):
        command = [
            sys.executable, support.SOURCE / "tools/bench-io", "--build", support.BUILD, "--folder",
            self.folder, "--mib", "600", "--pairs", "1", "--workers", "1", "--buffer", "32",
            "--forms", "uncompressed"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(os.listdir(self.folder), [])
        result = json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT "))["uncompressed"]
        self.assertLess(result["peak_mib"], 95)  # of the whole process; 100 MB
        self.assertGreater(result["ratio"], 0)
