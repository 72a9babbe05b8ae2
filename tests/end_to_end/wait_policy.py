"""How long the threads of a team wait does not depend on what the user's shell says of
OMP_WAIT_POLICY: a team that spins takes the cores from the loader's threads
(src/base/waiting.h)."""

import re

import support


class WaitPolicy(support.EndToEndTest):
    def test_what_the_shell_says_is_not_what_the_runtime_gets(self):
        for policy in ("active", "passive"):
            env = {"OMP_WAIT_POLICY": policy, "OMP_DISPLAY_ENV": "verbose"}
            result = self.succeeds("--version", env=env)
            spins = re.findall(r"(GOMP_SPINCOUNT|KMP_BLOCKTIME) *= *'?(\d+)", result.stderr)
            self.assertIn(spins[-1], [("GOMP_SPINCOUNT", "3000"), ("KMP_BLOCKTIME", "0")], result)
