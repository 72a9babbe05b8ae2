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

}  // namespace

Request Communicator::all_reduce_sum(std::span<const Term> terms, DType dtype) {
  if (terms.size() != 1) return Request(std::make_unique<PackedSum>(*this, terms, dtype));
  const Term& term = terms.front();
  if (term.to != term.from) std::memcpy(term.to, term.from, term.count * size_of(dtype));
  return all_reduce_sum(term.to, term.count, dtype);
}

}  // namespace lacuna
