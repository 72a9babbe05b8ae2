#include "comm/communicator.h"

#include <cstring>

namespace lacuna {

namespace {

// A sum under way in a packed buffer that is unpacked when it arrives.
class PackedSum final : public Request::State {
 public:
  PackedSum(Communicator& communicator, std::span<const Communicator::Term> terms, DType dtype)
      : terms_(terms.begin(), terms.end()), size_(size_of(dtype)) {
    size_t count = 0;
    for (const Communicator::Term& term : terms_) count += term.count;
    buffer_ = std::make_unique<std::byte[]>(count * size_);
    std::byte* to = buffer_.get();
    for (const Communicator::Term& term : terms_) {
      std::memcpy(to, term.from, term.count * size_);
      to += term.count * size_;
    }
    sum_ = communicator.all_reduce_sum(buffer_.get(), count, dtype);
  }
  void wait() override {
    sum_.wait();
    const std::byte* from = buffer_.get();
    for (const Communicator::Term& term : terms_) {
      std::memcpy(term.to, from, term.count * size_);
      from += term.count * size_;
    }
  }

 private:
  std::vector<Communicator::Term> terms_;
  size_t size_;
  std::unique_ptr<std::byte[]> buffer_;  // outlives sum_
  Request sum_;
};

// Slices of several tensors in one buffer: rank after rank, and of each its slice of every tensor.
class PackedSlices {
 public:
  PackedSlices(const Communicator& communicator, std::span<const Communicator::Term> terms,
               DType dtype)
      : terms_(terms.begin(), terms.end()),
        size_(size_of(dtype)),
        rank_(communicator.rank()),
        parts_(static_cast<size_t>(communicator.size())) {
    for (int rank = 0; rank < ranks(); ++rank)
      for (const Communicator::Term& term : terms_)
        parts_[static_cast<size_t>(rank)] += end(term, rank) - begin(term, rank);
  }
  int rank() const { return rank_; }
  int ranks() const { return static_cast<int>(parts_.size()); }
  const std::vector<size_t>& parts() const { return parts_; }  // elements
  std::vector<size_t> bytes() const {
    std::vector<size_t> all;
    for (const size_t part : parts_) all.push_back(part * size_);
    return all;
  }
  // f(term, offset of a rank's slice in the term, offset in the buffer, bytes) for every slice.
  template <typename F>
  void for_slices(const F& f) const {
    size_t at = 0;
    for (int rank = 0; rank < ranks(); ++rank) at = for_slices_of(rank, at, f);
  }
  // Of one rank, the first at `at` in a buffer; returns the end.
  template <typename F>
  size_t for_slices_of(int rank, size_t at, const F& f) const {
    for (const Communicator::Term& term : terms_) {
      const size_t first = begin(term, rank) * size_;
      const size_t bytes = end(term, rank) * size_ - first;
      if (bytes > 0) f(term, first, at, bytes);
      at += bytes;
    }
    return at;
  }
  size_t bytes_before(int rank) const {
    size_t before = 0;
    for (int r = 0; r < rank; ++r) before += parts_[static_cast<size_t>(r)] * size_;
    return before;
  }

 private:
  size_t begin(const Communicator::Term& term, int rank) const {
    return slice_begin(term.count, rank, ranks());
  }
  size_t end(const Communicator::Term& term, int rank) const { return begin(term, rank + 1); }

  std::vector<Communicator::Term> terms_;
  size_t size_;
  int rank_;
  std::vector<size_t> parts_;
};

const std::byte* bytes_at(const void* place, size_t offset) {
  return static_cast<const std::byte*>(place) + offset;
}
std::byte* bytes_at(void* place, size_t offset) { return static_cast<std::byte*>(place) + offset; }

class ScatteredSums final : public Request::State {
 public:
  ScatteredSums(Communicator& communicator, std::span<const Communicator::Term> terms, DType dtype)
      : slices_(communicator, terms, dtype) {
    const size_t all = slices_.bytes_before(slices_.ranks());
    buffer_ = std::make_unique_for_overwrite<std::byte[]>(all);
    mine_ = std::make_unique_for_overwrite<std::byte[]>(slices_.bytes()[own()]);
    slices_.for_slices([&](const auto& term, size_t first, size_t at, size_t bytes) {
      std::memcpy(buffer_.get() + at, bytes_at(term.from, first), bytes);
    });
    sum_ = communicator.reduce_scatter_sum(buffer_.get(), mine_.get(), slices_.parts(), dtype);
  }
  void wait() override {
    sum_.wait();
    slices_.for_slices_of(slices_.rank(), 0,
                          [&](const auto& term, size_t, size_t at, size_t bytes) {
                            std::memcpy(term.to, mine_.get() + at, bytes);
                          });
  }

 private:
  size_t own() const { return static_cast<size_t>(slices_.rank()); }
  PackedSlices slices_;
  std::unique_ptr<std::byte[]> buffer_, mine_;  // outlive sum_
  Request sum_;
};

class GatheredSlices final : public Request::State {
 public:
  GatheredSlices(Communicator& communicator, std::span<const Communicator::Term> terms, DType dtype)
      : slices_(communicator, terms, dtype) {
    buffer_ = std::make_unique_for_overwrite<std::byte[]>(slices_.bytes_before(slices_.ranks()));
    const size_t own = slices_.bytes_before(slices_.rank());
    slices_.for_slices_of(slices_.rank(), own,
                          [&](const auto& term, size_t first, size_t at, size_t bytes) {
                            std::memcpy(buffer_.get() + at, bytes_at(term.from, first), bytes);
                          });
    gather_ = communicator.all_gather(buffer_.get() + own, buffer_.get(), slices_.bytes());
  }
  void wait() override {
    gather_.wait();
    slices_.for_slices([&](const auto& term, size_t first, size_t at, size_t bytes) {
      std::memcpy(bytes_at(term.to, first), buffer_.get() + at, bytes);
    });
  }

 private:
  PackedSlices slices_;
  std::unique_ptr<std::byte[]> buffer_;  // outlives gather_
  Request gather_;
};

}  // namespace

Request Communicator::scatter_sums(std::span<const Term> terms, DType dtype) {
  return Request(std::make_unique<ScatteredSums>(*this, terms, dtype));
}

Request Communicator::gather_slices(std::span<const Term> terms, DType dtype) {
  return Request(std::make_unique<GatheredSlices>(*this, terms, dtype));
}

Request Communicator::all_reduce_sum(std::span<const Term> terms, DType dtype) {
  if (terms.size() != 1) return Request(std::make_unique<PackedSum>(*this, terms, dtype));
  const Term& term = terms.front();
  if (term.to != term.from) std::memcpy(term.to, term.from, term.count * size_of(dtype));
  return all_reduce_sum(term.to, term.count, dtype);
}

}  // namespace lacuna
