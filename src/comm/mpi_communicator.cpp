// The communicator over MPI: which collective takes what is asked for, and in what pieces.
#include <algorithm>
#include <climits>
#include <numeric>
#include <utility>

#include "comm/mpi_progress.h"

namespace lacuna {
namespace {

using mpi::Collective;
using mpi::ProgressEngine;

size_t sum_of(std::span<const size_t> values) {
  return std::accumulate(values.begin(), values.end(), size_t{0});
}

class CollectiveState : public Request::State {
 public:
  CollectiveState(std::shared_ptr<ProgressEngine> engine, std::shared_ptr<Collective> collective)
      : engine_(std::move(engine)), collective_(std::move(collective)) {}
  void wait() override { engine_->wait(*collective_); }
  void abandon() noexcept override { engine_->abandon(*collective_); }

 private:
  std::shared_ptr<ProgressEngine> engine_;
  std::shared_ptr<Collective> collective_;
};

class MpiCommunicator : public Communicator {
 public:
  MpiCommunicator(MpiSession& session, const MpiOptions& options)
      : rank_(session.rank()),
        size_(session.size()),
        small_bytes_(options.small_bytes),
        slice_bytes_(slice_bytes(options.slice_bytes, size_)),
        engine_(std::make_shared<ProgressEngine>(session.impl(), options.deadline_seconds)) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  Request all_gather(const void* mine, void* all, std::span<const size_t> bytes) override {
    LACUNA_CHECK(bytes.size() == ranks());
    const size_t total = sum_of(bytes);
    const size_t step = total <= largest_direct ? std::max<size_t>(1, total) : slice_bytes_;
    return issue(mpi::all_gather(mine, all, bytes, rank_, step), total);
  }

  using Communicator::all_reduce_sum;
  Request all_reduce_sum(void* data, size_t count, DType dtype) override {
    const size_t bytes = count * size_of(dtype);
    if (bytes * ranks() <= small_bytes_) {
      return issue(mpi::small_all_reduce(data, count, dtype, size_), 0);
    }
    const size_t piece = slice_bytes_ / size_of(dtype) * ranks();
    return issue(mpi::large_all_reduce(data, count, dtype, rank_, size_, piece), bytes * ranks());
  }

  Request reduce_scatter_sum(const void* data, void* mine, std::span<const size_t> parts,
                             DType dtype) override {
    LACUNA_CHECK(parts.size() == ranks());
    const size_t step = slice_bytes_ / size_of(dtype);
    return issue(mpi::reduce_scatter(data, mine, parts, dtype, rank_, step),
                 sum_of(parts) * size_of(dtype));
  }

  Request broadcast(void* data, size_t bytes, int root) override {
    LACUNA_CHECK(root >= 0 && root < size_, "root ", root, " of ", size_, " ranks");
    return issue(mpi::broadcast(data, bytes, root, slice_bytes_ * ranks()), bytes);
  }

  void barrier() override { issue(mpi::barrier(), 0).wait(); }

 private:
  // A multiple of 64 such that a piece of every rank fits MPI's ints.
  static size_t slice_bytes(size_t wanted, int ranks) {
    const size_t most = static_cast<size_t>(INT_MAX) / 2 / static_cast<size_t>(ranks);
    return std::max<size_t>(64, std::min(wanted, most) / 64 * 64);
  }
  size_t ranks() const { return static_cast<size_t>(size_); }
  // total: bytes in all; the same on every rank, so that each takes the same channel.
  Request issue(std::shared_ptr<Collective> collective, size_t total) {
    collective->small = total <= small_bytes_ && collective->pieces() == 1;
    engine_->issue(collective);
    return Request(std::make_unique<CollectiveState>(engine_, std::move(collective)));
  }

  static constexpr size_t largest_direct = 1 << 20;
  int rank_;
  int size_;
  size_t small_bytes_;
  size_t slice_bytes_;
  std::shared_ptr<ProgressEngine> engine_;
};

}  // namespace

std::unique_ptr<Communicator> mpi_communicator(MpiSession& session, const MpiOptions& options) {
  if (session.size() == 1) return self_communicator();
  return std::make_unique<MpiCommunicator>(session, options);
}

}  // namespace lacuna
