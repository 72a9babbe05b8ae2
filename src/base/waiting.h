// How long threads of an OpenMP team spin for their next work before they sleep.
#pragma once

namespace lacuna {

// A team that spins for long takes the cores from the loader's and the communication threads, and
// how long it does is otherwise the user's OMP_WAIT_POLICY. OpenMP runtimes read their settings
// once, before main(), so where they are not made this starts the program again, with waits of
// about 30 us: longer than the gaps between the parts of a step, shorter than anything that another
// thread would miss. Call it first of all; it returns where the settings are made, or if the
// program cannot be started again (then only speed suffers). A user's own GOMP_SPINCOUNT or
// KMP_BLOCKTIME holds.
void keep_waits_short(char** argv);

}  // namespace lacuna
