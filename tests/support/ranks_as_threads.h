// Ranks as threads of this process, over memory: for tests of what needs several ranks. Collectives
// are carried out as late as allowed, when they are waited for, so that a buffer that is reused too
// early gives wrong results.
#pragma once

#include <barrier>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"
#include "comm/communicator.h"

namespace lacuna::test {

class RanksAsThreads {
 public:
  explicit RanksAsThreads(int size) : size_(size), barrier_(size) {}

  // Calls body(communicator) on `size` ranks at once; returns when all have returned. Bodies must
  // not throw and must wait for the same requests in the same order.
  static void run(int size, const std::function<void(Communicator&)>& body) {
    RanksAsThreads ranks(size);
    std::vector<std::jthread> threads;
    for (int r = 0; r < size; ++r) {
      threads.emplace_back([&, r] {
        Rank rank(ranks, r);
        body(rank);
      });
    }
  }

 private:
  // Reads the buffers of all ranks, then, after a barrier, writes this rank's.
  using Compute = std::function<std::vector<std::byte>(const std::vector<const void*>& sources)>;

  class Pending final : public Request::State {
   public:
    Pending(RanksAsThreads& ranks, size_t number, void* target, Compute compute)
        : ranks_(ranks), number_(number), target_(target), compute_(std::move(compute)) {}
    void wait() override {
      ranks_.barrier_.arrive_and_wait();
      const std::vector<std::byte> result = compute_(ranks_.sources(number_));
      ranks_.barrier_.arrive_and_wait();
      if (!result.empty()) std::memcpy(target_, result.data(), result.size());
      ranks_.barrier_.arrive_and_wait();
    }

   private:
    RanksAsThreads& ranks_;
    size_t number_;
    void* target_;
    Compute compute_;
  };

  class Rank final : public Communicator {
   public:
    Rank(RanksAsThreads& ranks, int rank) : ranks_(ranks), rank_(rank) {}
    int rank() const override { return rank_; }
    int size() const override { return ranks_.size_; }

    Request all_gather(const void* mine, void* all, std::span<const size_t> bytes) override {
      const std::vector<size_t> parts(bytes.begin(), bytes.end());
      return start(mine, all, [parts](const std::vector<const void*>& sources) {
        std::vector<std::byte> result;
        for (size_t r = 0; r < parts.size(); ++r) {
          const auto* from = static_cast<const std::byte*>(sources[r]);
          result.insert(result.end(), from, from + parts[r]);
        }
        return result;
      });
    }
    Request all_reduce_sum(void* data, size_t count, DType dtype) override {
      return start(data, data, [=](const std::vector<const void*>& sources) {
        return sum(sources, 0, count, dtype);
      });
    }
    Request reduce_scatter_sum(const void* data, void* mine, std::span<const size_t> parts,
                               DType dtype) override {
      size_t begin = 0;
      for (int r = 0; r < rank_; ++r) begin += parts[static_cast<size_t>(r)];
      const size_t count = parts[static_cast<size_t>(rank_)];
      return start(data, mine, [=](const std::vector<const void*>& sources) {
        return sum(sources, begin, count, dtype);
      });
    }
    Request broadcast(void* data, size_t bytes, int root) override {
      return start(data, data, [=](const std::vector<const void*>& sources) {
        const auto* from = static_cast<const std::byte*>(sources[static_cast<size_t>(root)]);
        return std::vector<std::byte>(from, from + bytes);
      });
    }
    void barrier() override { ranks_.barrier_.arrive_and_wait(); }

   private:
    Request start(const void* source, void* target, Compute compute) {
      const size_t number = next_++;
      ranks_.post(number, rank_, source);
      return Request(std::make_unique<Pending>(ranks_, number, target, std::move(compute)));
    }

    RanksAsThreads& ranks_;
    int rank_;
    size_t next_ = 0;
  };

  void post(size_t number, int rank, const void* source) {
    const std::lock_guard lock(mutex_);
    auto& sources = posted_[number];
    sources.resize(static_cast<size_t>(size_));
    sources[static_cast<size_t>(rank)] = source;
  }
  std::vector<const void*> sources(size_t number) {
    const std::lock_guard lock(mutex_);
    return posted_.at(number);
  }

  template <typename T>
  static std::vector<std::byte> sum_of(const std::vector<const void*>& sources, size_t begin,
                                       size_t count) {
    std::vector<std::byte> result(count * sizeof(T));
    for (size_t i = 0; i < count; ++i) {
      T total = 0;
      for (const void* source : sources) total += static_cast<const T*>(source)[begin + i];
      std::memcpy(result.data() + i * sizeof(T), &total, sizeof(T));
    }
    return result;
  }
  static std::vector<std::byte> sum(const std::vector<const void*>& sources, size_t begin,
                                    size_t count, DType dtype) {
    switch (dtype) {
      case DType::f64:
        return sum_of<double>(sources, begin, count);
      case DType::f32:
        return sum_of<float>(sources, begin, count);
      case DType::i64:
        return sum_of<int64_t>(sources, begin, count);
      default:
        LACUNA_CHECK(false, "sum of ", name_of(dtype));
    }
    return {};
  }

  const int size_;
  std::barrier<> barrier_;
  std::mutex mutex_;
  std::map<size_t, std::vector<const void*>> posted_;
};

}  // namespace lacuna::test
