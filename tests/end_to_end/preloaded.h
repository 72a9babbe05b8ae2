// What the libraries share that tests preload: the call behind one's own, and which rank this is.
#pragma once

#include <dlfcn.h>
#include <stdlib.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// NULL in a process that is no rank, such as the launcher.
static inline const char* own_rank(void) {
  const char* rank = getenv("PMIX_RANK");            /* Open MPI, srun --mpi=pmix */
  return rank != NULL ? rank : getenv("PMI_RANK");   /* MPICH, srun --mpi=pmi2 */
}
