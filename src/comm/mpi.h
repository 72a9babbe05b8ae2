// MPI: the session of a process, its communicator, and how a process ends. MPI-3.1 only, any
// implementation; nothing here reads or needs a variable of one implementation to work.
//
// The way of main():
//
//   int main(int argc, char** argv) {
//     std::optional<MpiSession> mpi;
//     try {
//       mpi.emplace();
//       const auto world = mpi_communicator(*mpi);
//       ...
//       return 0;                                   // ~MpiSession finalises
//     } catch (...) {
//       return end_after(std::current_exception(), mpi);  // one line on stderr, one status
//     }
//   }
//
// The communicator lives inside the session's life. A stage that needs no other rank (inspect,
// --help) makes no session.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "comm/communicator.h"

namespace lacuna {

// "Open MPI v4.1.4"; may be asked before MPI starts.
std::string mpi_version();
// How many processes a launcher says that it started together; 0 when nothing says that there was
// one. Only a hint.
int processes_launched();

// MPI from its initialisation (MPI_THREAD_SERIALIZED) to its end. One per process.
class MpiSession {
 public:
  // Throws Error: failed, when this MPI does not offer the thread level; bad_input, when a launcher
  // started several processes of which each sees only itself (launcher of another MPI).
  MpiSession();
  // Finalises. While an exception passes, or once a collective was given up, other ranks may be
  // waiting for this one, so then it aborts all of them.
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  int rank() const;
  int size() const;
  // The lowest rank on this rank's node, as MPI_Comm_split_type(SHARED) sees nodes.
  int node_leader() const;
  // Started by mpirun, srun or the like.
  bool launched() const;
  // A collective was given up: MPI cannot be finalised any more.
  bool broken() const;

  // Ends every rank with `status`, without waiting for any; bounded to seconds even when MPI hangs.
  // Flushes stdout and stderr first.
  [[noreturn]] void abort_all(ExitStatus status) noexcept;

  struct Impl;
  Impl& impl() { return *impl_; }  // for this folder

 private:
  std::unique_ptr<Impl> impl_;
};

struct MpiOptions {
  double deadline_seconds = 600;  // of every wait
  // Collectives whose buffers are at most this many bytes in all are small: they travel on a
  // channel of their own, past large ones under way, as one message, and are summed where they
  // arrive.
  size_t small_bytes = 16 << 10;
  // Large ones travel in pieces of this many bytes per rank, several under way at once. A small one
  // waits until MPI has copied the piece in hand: larger slices make it slower (measured on one
  // node: past slices of 64 KiB a gather takes 60 us, of 256 KiB 240 us), at the same throughput.
  size_t slice_bytes = 64 << 10;
};

// The communicator over all ranks, in whose name one thread talks to MPI (see
// mpi_communicator.cpp). Collective. For a single rank it is self_communicator().
std::unique_ptr<Communicator> mpi_communicator(MpiSession& session, const MpiOptions& options = {});

// Reports the error that ends this process and ends MPI: prints "lacuna: <sentence>" on stderr once
// for all ranks where that can be, and returns the exit status for main. An AgreedError
// (comm/agree.h) is printed by rank 0 and every rank returns; any other is printed by the rank that
// has it, which then aborts all ranks (does not return) unless it is the only one.
int end_after(std::exception_ptr error, std::optional<MpiSession>& session) noexcept;

}  // namespace lacuna
