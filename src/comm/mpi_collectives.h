// Collectives over MPI, each in one or more pieces; a piece is one nonblocking call of MPI, for
// large reductions followed by a sum of ours and a second call:
//
//   small   gather everything (MPI_Iallgatherv), sum all of it here
//   large   exchange slices (MPI_Ialltoallv), sum this rank's slice in rank order, gather the sums
//           (MPI_Iallgatherv): each rank sends 2 (R-1)/R of the data, as a ring does
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "comm/mpi_session.h"

namespace lacuna::mpi {

// Counts and displacements of a "v" collective, in bytes: they must live as long as the call.
struct Layout {
  std::vector<int> counts;
  std::vector<int> offsets;
  Layout() = default;
  explicit Layout(std::vector<int> counts_of_ranks);
  size_t total() const {
    return counts.empty() ? 0 : static_cast<size_t>(offsets.back() + counts.back());
  }
};

class Collective;

// One part of a collective on its way through MPI.
struct Piece {
  std::shared_ptr<Collective> collective;
  size_t index = 0;
  std::vector<std::byte> scratch;  // handed on from piece to piece, so that it is seldom made anew
  Layout mine;                     // what this rank sends
  Layout other;                    // what it receives
  enum class Stage { first_call, work, second_call_due, second_call } stage = Stage::first_call;
};

class Collective {
 public:
  Collective(const char* name, size_t pieces) : pieces_left(pieces), name_(name), pieces_(pieces) {}
  virtual ~Collective() = default;
  size_t pieces() const { return pieces_; }
  std::string text() const;

  // Posts the first call of a piece.
  virtual int first(Piece& piece, MPI_Comm channel, MPI_Request* request) = 0;
  // What this rank computes or copies when that has completed.
  virtual void work(Piece&) {}
  virtual bool has_second() const { return false; }
  virtual int second(Piece&, MPI_Comm, MPI_Request*) { return MPI_SUCCESS; }

  uint64_t number = 0;  // counts the collectives of a communicator from 1
  bool small = true;
  size_t pieces_left;  // under Session::calls
  std::atomic<bool> done = false;

 private:
  const char* name_;
  size_t pieces_;
};

// The arrays stay the caller's, and stay where they are until the collective is done.
//
// Pieces take `step` bytes of every rank.
std::shared_ptr<Collective> all_gather(const void* mine, void* all, std::span<const size_t> bytes,
                                       int rank, size_t step);
// Gathers everything and sums all of it on every rank.
std::shared_ptr<Collective> small_all_reduce(void* data, size_t count, DType dtype, int ranks);
// Exchanges slices, sums one on each rank and gathers the sums, `piece_elements` at a time.
std::shared_ptr<Collective> large_all_reduce(void* data, size_t count, DType dtype, int rank,
                                             int ranks, size_t piece_elements);
// Pieces take `step` elements of every rank's part.
std::shared_ptr<Collective> reduce_scatter(const void* data, void* mine,
                                           std::span<const size_t> parts, DType dtype, int rank,
                                           size_t step);
std::shared_ptr<Collective> broadcast(void* data, size_t bytes, int root, size_t step);
std::shared_ptr<Collective> barrier();

}  // namespace lacuna::mpi
