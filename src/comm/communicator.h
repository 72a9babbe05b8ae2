// Communicator: the collectives that Lacuna needs, over all ranks of a run.
//
// Every call is collective and is issued in the same order on every rank. Calls return at once; the
// buffers belong to the communicator until Request::wait() has returned. Sums are made in rank
// order, in the element's own type, so that a result depends on neither the MPI nor the placement
// of ranks. Failures: Error of status lost_rank, which names the collective, when a rank does not
// answer within the deadline. After that the communicator is broken: every later call and wait
// throws the same.
//
// One thread at a time issues calls; any thread may wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "base/dtype.h"

namespace lacuna {

// A collective under way. Destroying it without waiting waits — except while an exception passes:
// then other ranks may never join, so after two seconds the collective is given up, its
// communicator is broken, and the process can only end (comm/mpi.h: end_after).
class Request {
 public:
  class State {
   public:
    virtual ~State() = default;
    virtual void wait() = 0;
    // When it returns nobody may touch the buffers of this collective any more.
    virtual void abandon() noexcept {}
  };
  Request() = default;  // already complete
  explicit Request(std::unique_ptr<State> state) : state_(std::move(state)) {}
  Request(Request&&) = default;
  Request& operator=(Request&& other) {
    wait();
    state_ = std::move(other.state_);
    return *this;
  }
  ~Request() {
    if (!state_) return;
    try {
      if (std::uncaught_exceptions() == 0) {
        state_->wait();
        return;
      }
    } catch (...) {  // the communicator is broken now, its next call says so
    }
    state_->abandon();
  }
  // Throws what the collective failed with.
  void wait() {
    const std::unique_ptr<State> state = std::move(state_);
    if (state) state->wait();
  }

 private:
  std::unique_ptr<State> state_;
};

// A tensor may be dealt out to the ranks in slices: where that of `rank` begins, in elements, and
// for rank = ranks where the last ends. Slices begin at multiples of 128 bytes (f32), so that
// kernels can take whole vectors.
constexpr size_t slice_begin(size_t count, int rank, int ranks) {
  constexpr size_t grain = 32;
  const size_t grains = (count + grain - 1) / grain;
  const size_t begin = grains * static_cast<size_t>(rank) / static_cast<size_t>(ranks) * grain;
  return begin < count ? begin : count;
}

class Communicator {
 public:
  // A tensor of a sum: `to` becomes the sum over ranks of their `from`; both may be the same place.
  struct Term {
    const void* from;
    void* to;
    size_t count;  // elements
  };

  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // all = the ranks' contributions one behind the other, in rank order. bytes[r] is what rank r
  // contributes (known to every rank, may be 0, may differ); mine holds bytes[rank()]; it may be
  // its own place in `all`.
  virtual Request all_gather(const void* mine, void* all, std::span<const size_t> bytes) = 0;

  // data[i] becomes the sum over ranks of their data[i]; f64, f32, or i64.
  virtual Request all_reduce_sum(void* data, size_t count, DType dtype) = 0;

  // Sums of several tensors in one message: in a buffer of the host's where they are packed, unless
  // a communicator has better.
  virtual Request all_reduce_sum(std::span<const Term> terms, DType dtype);

  // Rank r receives the sum over ranks of the part of `data` that belongs to it: parts[q] elements
  // for rank q, one behind the other. `mine` holds parts[rank()] elements.
  virtual Request reduce_scatter_sum(const void* data, void* mine, std::span<const size_t> parts,
                                     DType dtype) = 0;

  // Of tensors in slices, in one message like the above. scatter_sums: `from` holds `count`
  // elements; `to`, elsewhere, this rank's slice of their sum. gather_slices: `from` holds `count`
  // elements, of which this rank's slice counts; `to`, which may be the same place, becomes the
  // tensor of all ranks' slices.
  virtual Request scatter_sums(std::span<const Term> terms, DType dtype);
  virtual Request gather_slices(std::span<const Term> terms, DType dtype);

  // data on every rank becomes root's.
  virtual Request broadcast(void* data, size_t bytes, int root) = 0;

  // Returns when every rank has called it.
  virtual void barrier() = 0;
};

// A communicator of one rank: every collective is a copy.
std::unique_ptr<Communicator> self_communicator();

// What a rank would send: in rings, where a sum passes every byte on twice, to be summed and as the
// sum.
struct Traffic {
  int64_t messages = 0;  // collectives
  double bytes = 0;
};

// Rank 0 of `size` ranks of which the others are not there: collectives end at once and leave their
// buffers as they are. For what a rank would need, where results do not matter; `traffic` is
// counted up.
std::unique_ptr<Communicator> absent_ranks(int size, Traffic* traffic = nullptr);

}  // namespace lacuna
