#include "comm/communicator.h"

namespace lacuna {
namespace {

class AbsentRanks final : public Communicator {
 public:
  explicit AbsentRanks(int size) : size_(size) {}
  int rank() const override { return 0; }
  int size() const override { return size_; }
  using Communicator::all_reduce_sum;
  Request all_gather(const void*, void*, std::span<const size_t>) override { return {}; }
  Request all_reduce_sum(void*, size_t, DType) override { return {}; }
  Request all_reduce_sum(std::span<const Term>, DType) override { return {}; }
  Request reduce_scatter_sum(const void*, void*, std::span<const size_t>, DType) override {
    return {};
  }
  Request scatter_sums(std::span<const Term>, DType) override { return {}; }
  Request gather_slices(std::span<const Term>, DType) override { return {}; }
  Request broadcast(void*, size_t, int) override { return {}; }
  void barrier() override {}

 private:
  int size_;
};

}  // namespace

std::unique_ptr<Communicator> absent_ranks(int size) { return std::make_unique<AbsentRanks>(size); }

}  // namespace lacuna
