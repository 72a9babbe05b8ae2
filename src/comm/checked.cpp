#include "comm/checked.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "comm/forwarding.h"

namespace lacuna {
namespace {

// What a rank is about to issue, as it is told to the others; ends with a zero.
using Description = std::array<char, 128>;

template <typename... Pieces>
Description describe(const Pieces&... pieces) {
  Description description{};
  const std::string text = concat(pieces...);
  std::memcpy(description.data(), text.data(), std::min(text.size(), description.size() - 1));
  return description;
}

std::string sizes_text(std::span<const size_t> sizes) {
  uint64_t hash = 0;
  for (const size_t size : sizes) hash = hash_name(concat(hash, ' ', size));
  return concat(std::accumulate(sizes.begin(), sizes.end(), size_t{0}), " in ", sizes.size(),
                " parts (", std::hex, hash, ")");
}

class CheckedCommunicator : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;
  Request all_gather(const void* mine, void* all, std::span<const size_t> bytes) override {
    compare(describe("all_gather of bytes ", sizes_text(bytes)));
    return inner_.all_gather(mine, all, bytes);
  }
  using Communicator::all_reduce_sum;
  Request all_reduce_sum(void* data, size_t count, DType dtype) override {
    compare(describe("all_reduce_sum of ", count, " ", name_of(dtype)));
    return inner_.all_reduce_sum(data, count, dtype);
  }
  Request reduce_scatter_sum(const void* data, void* mine, std::span<const size_t> parts,
                             DType dtype) override {
    compare(describe("reduce_scatter_sum of ", name_of(dtype), " ", sizes_text(parts)));
    return inner_.reduce_scatter_sum(data, mine, parts, dtype);
  }
  Request broadcast(void* data, size_t bytes, int root) override {
    compare(describe("broadcast of ", bytes, " bytes from rank ", root));
    return inner_.broadcast(data, bytes, root);
  }
  void barrier() override {
    compare(describe("barrier"));
    inner_.barrier();
  }

 private:
  void compare(const Description& mine) {
    ++number_;
    const size_t ranks = static_cast<size_t>(size());
    std::vector<Description> all(ranks);
    inner_.all_gather(mine.data(), all.data(), std::vector(ranks, sizeof(Description))).wait();
    for (size_t r = 1; r < ranks; ++r) {
      if (all[r] == all[0]) continue;
      throw Error(ExitStatus::failed,
                  concat("collective number ", number_, " differs between ranks: rank 0 issues ",
                         all[0].data(), ", rank ", r, " issues ", all[r].data(),
                         "; this is a defect of Lacuna, please report it"));
    }
  }
  uint64_t number_ = 0;
};

}  // namespace

std::unique_ptr<Communicator> checked_communicator(Communicator& inner) {
  return std::make_unique<CheckedCommunicator>(inner);
}

}  // namespace lacuna
