#include <numeric>

#include "comm/communicator.h"

namespace lacuna {
namespace {

class AbsentRanks final : public Communicator {
 public:
  AbsentRanks(int size, Traffic* traffic) : size_(size), traffic_(traffic) {}
  int rank() const override { return 0; }
  int size() const override { return size_; }
  Request all_gather(const void*, void*, std::span<const size_t> bytes) override {
    return sent(std::accumulate(bytes.begin(), bytes.end(), size_t{0}), 1);
  }
  Request all_reduce_sum(void*, size_t count, DType dtype) override {
    return sent(count * size_of(dtype), 2);
  }
  Request all_reduce_sum(std::span<const Term> terms, DType dtype) override {
    return sent(bytes_of(terms, dtype), 2);
  }
  Request reduce_scatter_sum(const void*, void*, std::span<const size_t> parts,
                             DType dtype) override {
    return sent(std::accumulate(parts.begin(), parts.end(), size_t{0}) * size_of(dtype), 1);
  }
  Request scatter_sums(std::span<const Term> terms, DType dtype) override {
    return sent(bytes_of(terms, dtype), 1);
  }
  Request gather_slices(std::span<const Term> terms, DType dtype) override {
    return sent(bytes_of(terms, dtype), 1);
  }
  Request broadcast(void*, size_t bytes, int) override { return sent(bytes, 1); }
  void barrier() override {}

 private:
  static size_t bytes_of(std::span<const Term> terms, DType dtype) {
    size_t count = 0;
    for (const Term& term : terms) count += term.count;
    return count * size_of(dtype);
  }
  // Of `bytes` of all ranks a rank passes on all but its own part.
  Request sent(size_t bytes, int times) {
    if (traffic_ != nullptr) {
      ++traffic_->messages;
      traffic_->bytes += times * static_cast<double>(bytes) * (size_ - 1) / size_;
    }
    return {};
  }
  int size_;
  Traffic* traffic_;
};

}  // namespace

std::unique_ptr<Communicator> absent_ranks(int size, Traffic* traffic) {
  return std::make_unique<AbsentRanks>(size, traffic);
}

}  // namespace lacuna
