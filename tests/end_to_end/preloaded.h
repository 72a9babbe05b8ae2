// What the libraries share that tests preload: the call behind one's own, which rank this is, and
// where a file lies.
#pragma once

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// NULL in a process that is no rank, such as the launcher.
static inline const char* own_rank(void) {
  const char* rank = getenv("PMIX_RANK");          /* Open MPI, srun --mpi=pmix */
  return rank != NULL ? rank : getenv("PMI_RANK"); /* MPICH, srun --mpi=pmi2 */
}

// Of an open file, in path[PATH_MAX]; "" where it has none.
static inline char* path_of(int file, char* path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t n = readlink(link, path, PATH_MAX - 1);
  path[n < 0 ? 0 : n] = 0;
  return path;
}
