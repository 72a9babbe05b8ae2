#include "comm/mpi_collectives.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "comm/rank_order_sum.h"

namespace lacuna::mpi {

namespace {

// The prefix sums of counts, and their total.
std::vector<int> offsets_of(const std::vector<int>& counts) {
  std::vector<int> offsets(counts.size());
  std::exclusive_scan(counts.begin(), counts.end(), offsets.begin(), 0);
  return offsets;
}

void need_scratch(Piece& piece, size_t bytes) {
  if (piece.scratch.size() < bytes) piece.scratch.resize(bytes);
}

size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }
int as_int(size_t value) { return static_cast<int>(value); }

// Elements [first, first + count) of `whole` in `parts` nearly equal slices, one per rank.
std::vector<int> equal_slices(size_t count, size_t parts, size_t element) {
  std::vector<int> bytes(parts);
  for (size_t r = 0; r < parts; ++r) {
    bytes[r] = as_int((count * (r + 1) / parts - count * r / parts) * element);
  }
  return bytes;
}

// all_gather: pieces take `step` bytes of every rank. A single piece lands where it belongs;
// several go through scratch, since MPI's displacements are ints and end at 2 GiB.
class AllGather : public Collective {
 public:
  AllGather(const void* mine, void* all, std::span<const size_t> bytes, int rank, size_t step)
      : Collective(
            "all_gather",
            std::max<size_t>(1, ceil_div(*std::max_element(bytes.begin(), bytes.end()), step))),
        mine_(static_cast<const std::byte*>(mine)),
        all_(static_cast<std::byte*>(all)),
        bytes_(bytes.begin(), bytes.end()),
        rank_(static_cast<size_t>(rank)),
        step_(step) {}

  int first(Piece& piece, MPI_Comm channel, MPI_Request* request) override {
    std::vector<int> counts;
    for (const size_t bytes : bytes_) counts.push_back(as_int(size_in(piece.index, bytes)));
    piece.other = Layout(std::move(counts));
    std::byte* target = all_;
    const void* source = mine_ + std::min(piece.index * step_, bytes_[rank_]);
    if (pieces() > 1) {
      need_scratch(piece, piece.other.total());
      target = piece.scratch.data();
    } else if (mine_ == all_ + piece.other.offsets[rank_]) {
      source = MPI_IN_PLACE;
    }
    return MPI_Iallgatherv(source, piece.other.counts[rank_], MPI_BYTE, target,
                           piece.other.counts.data(), piece.other.offsets.data(), MPI_BYTE, channel,
                           request);
  }

  void work(Piece& piece) override {
    if (pieces() == 1) return;
    size_t start = 0;
    for (size_t r = 0; r < bytes_.size(); ++r) {
      const size_t n = static_cast<size_t>(piece.other.counts[r]);
      if (n > 0) {
        std::memcpy(all_ + start + piece.index * step_,
                    piece.scratch.data() + piece.other.offsets[r], n);
      }
      start += bytes_[r];
    }
  }

 private:
  size_t size_in(size_t index, size_t bytes) const {
    return std::min(step_, bytes - std::min(bytes, index * step_));
  }
  const std::byte* mine_;
  std::byte* all_;
  std::vector<size_t> bytes_;
  size_t rank_;
  size_t step_;
};

class SmallAllReduce : public Collective {
 public:
  SmallAllReduce(void* data, size_t count, DType dtype, int ranks)
      : Collective("all_reduce_sum", 1), data_(data), count_(count), dtype_(dtype), ranks_(ranks) {}
  int first(Piece& piece, MPI_Comm channel, MPI_Request* request) override {
    const size_t bytes = count_ * size_of(dtype_);
    need_scratch(piece, bytes * static_cast<size_t>(ranks_));
    return MPI_Iallgather(data_, as_int(bytes), MPI_BYTE, piece.scratch.data(), as_int(bytes),
                          MPI_BYTE, channel, request);
  }
  void work(Piece& piece) override {
    rank_order_sum(data_, piece.scratch.data(), count_ * size_of(dtype_), ranks_, count_, dtype_);
  }

 private:
  void* data_;
  size_t count_;
  DType dtype_;
  int ranks_;
};

class LargeAllReduce : public Collective {
 public:
  LargeAllReduce(void* data, size_t count, DType dtype, int rank, int ranks, size_t piece_elements)
      : Collective("all_reduce_sum", ceil_div(count, piece_elements)),
        data_(static_cast<std::byte*>(data)),
        count_(count),
        dtype_(dtype),
        rank_(static_cast<size_t>(rank)),
        ranks_(static_cast<size_t>(ranks)),
        piece_elements_(piece_elements) {}

  int first(Piece& piece, MPI_Comm channel, MPI_Request* request) override {
    piece.mine = Layout(equal_slices(elements(piece), ranks_, size_of(dtype_)));
    const int slice = piece.mine.counts[rank_];
    piece.other = Layout(std::vector<int>(ranks_, slice));
    need_scratch(piece, piece.other.total());
    return MPI_Ialltoallv(start(piece), piece.mine.counts.data(), piece.mine.offsets.data(),
                          MPI_BYTE, piece.scratch.data(), piece.other.counts.data(),
                          piece.other.offsets.data(), MPI_BYTE, channel, request);
  }
  void work(Piece& piece) override {
    const size_t slice = static_cast<size_t>(piece.mine.counts[rank_]);
    rank_order_sum(start(piece) + piece.mine.offsets[rank_], piece.scratch.data(), slice,
                   static_cast<int>(ranks_), slice / size_of(dtype_), dtype_);
  }
  bool has_second() const override { return true; }
  int second(Piece& piece, MPI_Comm channel, MPI_Request* request) override {
    return MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_BYTE, start(piece), piece.mine.counts.data(),
                           piece.mine.offsets.data(), MPI_BYTE, channel, request);
  }

 private:
  std::byte* start(const Piece& piece) const {
    return data_ + piece.index * piece_elements_ * size_of(dtype_);
  }
  size_t elements(const Piece& piece) const {
    return std::min(piece_elements_, count_ - piece.index * piece_elements_);
  }
  std::byte* data_;
  size_t count_;
  DType dtype_;
  size_t rank_;
  size_t ranks_;
  size_t piece_elements_;
};

// Pieces take `step` elements of every rank's part. MPI sends from where a part lies as long as its
// displacement fits an int; beyond, from a copy.
class ReduceScatter : public Collective {
 public:
  ReduceScatter(const void* data, void* mine, std::span<const size_t> parts, DType dtype, int rank,
                size_t step)
      : Collective(
            "reduce_scatter_sum",
            std::max<size_t>(1, ceil_div(*std::max_element(parts.begin(), parts.end()), step))),
        data_(static_cast<const std::byte*>(data)),
        mine_(static_cast<std::byte*>(mine)),
        parts_(parts.begin(), parts.end()),
        dtype_(dtype),
        rank_(static_cast<size_t>(rank)),
        step_(step) {}

  int first(Piece& piece, MPI_Comm channel, MPI_Request* request) override {
    const size_t element = size_of(dtype_);
    std::vector<int> counts;
    for (const size_t part : parts_) counts.push_back(as_int(size_in(piece.index, part) * element));
    piece.mine = Layout(std::move(counts));
    piece.other = Layout(std::vector<int>(parts_.size(), piece.mine.counts[rank_]));
    const std::byte* source = data_;
    if (pieces() > 1) {
      need_scratch(piece, piece.other.total() + gap + piece.mine.total());
      source = pack(piece);
    } else {
      need_scratch(piece, piece.other.total());
    }
    return MPI_Ialltoallv(source, piece.mine.counts.data(), piece.mine.offsets.data(), MPI_BYTE,
                          piece.scratch.data(), piece.other.counts.data(),
                          piece.other.offsets.data(), MPI_BYTE, channel, request);
  }
  void work(Piece& piece) override {
    const size_t slice = static_cast<size_t>(piece.mine.counts[rank_]);
    rank_order_sum(mine_ + piece.index * step_ * size_of(dtype_), piece.scratch.data(), slice,
                   static_cast<int>(parts_.size()), slice / size_of(dtype_), dtype_);
  }

 private:
  size_t size_in(size_t index, size_t part) const {
    return std::min(step_, part - std::min(part, index * step_));
  }
  const std::byte* pack(Piece& piece) const {
    std::byte* to = piece.scratch.data() + piece.other.total() + gap;
    size_t start = piece.index * step_;
    for (size_t r = 0; r < parts_.size(); ++r) {
      const size_t n = static_cast<size_t>(piece.mine.counts[r]);
      if (n > 0) std::memcpy(to + piece.mine.offsets[r], data_ + start * size_of(dtype_), n);
      start += parts_[r];
    }
    return to;
  }
  // Between what is received and the copy that is sent: Open MPI takes equal addresses, as they
  // would be where nothing is received, for MPI_IN_PLACE.
  static constexpr size_t gap = 64;
  const std::byte* data_;
  std::byte* mine_;
  std::vector<size_t> parts_;
  DType dtype_;
  size_t rank_;
  size_t step_;
};

class Broadcast : public Collective {
 public:
  Broadcast(void* data, size_t bytes, int root, size_t step)
      : Collective("broadcast", std::max<size_t>(1, ceil_div(bytes, step))),
        data_(static_cast<std::byte*>(data)),
        bytes_(bytes),
        root_(root),
        step_(step) {}
  int first(Piece& piece, MPI_Comm channel, MPI_Request* request) override {
    const size_t start = piece.index * step_;
    return MPI_Ibcast(data_ + start, as_int(std::min(step_, bytes_ - start)), MPI_BYTE, root_,
                      channel, request);
  }

 private:
  std::byte* data_;
  size_t bytes_;
  int root_;
  size_t step_;
};

class Barrier : public Collective {
 public:
  Barrier() : Collective("barrier", 1) {}
  int first(Piece&, MPI_Comm channel, MPI_Request* request) override {
    return MPI_Ibarrier(channel, request);
  }
};

}  // namespace

Layout::Layout(std::vector<int> counts_of_ranks)
    : counts(std::move(counts_of_ranks)), offsets(offsets_of(counts)) {}

std::string Collective::text() const { return concat(name_, " number ", number); }

std::shared_ptr<Collective> all_gather(const void* mine, void* all, std::span<const size_t> bytes,
                                       int rank, size_t step) {
  return std::make_shared<AllGather>(mine, all, bytes, rank, step);
}
std::shared_ptr<Collective> small_all_reduce(void* data, size_t count, DType dtype, int ranks) {
  return std::make_shared<SmallAllReduce>(data, count, dtype, ranks);
}
std::shared_ptr<Collective> large_all_reduce(void* data, size_t count, DType dtype, int rank,
                                             int ranks, size_t piece_elements) {
  return std::make_shared<LargeAllReduce>(data, count, dtype, rank, ranks, piece_elements);
}
std::shared_ptr<Collective> reduce_scatter(const void* data, void* mine,
                                           std::span<const size_t> parts, DType dtype, int rank,
                                           size_t step) {
  return std::make_shared<ReduceScatter>(data, mine, parts, dtype, rank, step);
}
std::shared_ptr<Collective> broadcast(void* data, size_t bytes, int root, size_t step) {
  return std::make_shared<Broadcast>(data, bytes, root, step);
}
std::shared_ptr<Collective> barrier() { return std::make_shared<Barrier>(); }

}  // namespace lacuna::mpi
