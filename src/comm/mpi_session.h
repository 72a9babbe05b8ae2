// Private to this folder: what the session shares with its communicator.
#pragma once

#define OMPI_SKIP_MPICXX 1  // not the C++ interface that MPI-3.0 removed
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <atomic>
#include <mutex>
#include <string>

#include "comm/mpi.h"

namespace lacuna {

struct MpiSession::Impl {
  // Held around every call of MPI after start-up: MPI_THREAD_SERIALIZED.
  std::timed_mutex calls;
  std::atomic<bool> broken = false;
  int rank = 0;
  int size = 1;
  int node_leader = 0;
  bool launched = false;
  int exceptions_at_start = 0;
};

// Throws Error(failed) naming the call and MPI's own text when code is not MPI_SUCCESS.
void check_mpi(int code, const char* call);
std::string mpi_error_text(int code);

}  // namespace lacuna
