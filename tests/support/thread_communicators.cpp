#include "support/thread_communicators.h"

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "comm/rank_order_sum.h"

namespace lacuna {
namespace {

// Where the ranks meet: what each contributed to collective number n, until all have taken it.
class Meeting {
 public:
  explicit Meeting(int ranks, double deadline) : ranks_(ranks), deadline_(deadline) {}
  int ranks() const { return ranks_; }

  void bring(uint64_t number, int rank, const char* name, const void* data, size_t bytes) {
    const std::lock_guard lock(mutex_);
    Round& round = rounds_[number];
    if (round.brought == 0) {
      round.name = name;
      round.parts.resize(static_cast<size_t>(ranks_));
    }
    LACUNA_CHECK(std::strcmp(round.name, name) == 0, "rank ", rank, " issues ", name,
                 " where another ", "rank issues ", round.name, " as collective number ", number);
    auto& part = round.parts[static_cast<size_t>(rank)];
    part.resize(bytes);
    if (bytes > 0) std::memcpy(part.data(), data, bytes);
    if (++round.brought == ranks_) all_here_.notify_all();
  }

  // Waits for all, then gives use() the contributions in rank order.
  void take(uint64_t number,
            const std::function<void(const std::vector<std::vector<std::byte>>&)>& use) {
    std::unique_lock lock(mutex_);
    Round& round = rounds_[number];
    const auto all = [&] { return round.brought == ranks_; };
    if (!all_here_.wait_for(lock, std::chrono::duration<double>(deadline_), all)) {
      throw Error(ExitStatus::lost_rank, concat("another rank did not join ", round.name,
                                                " number ", number, " within ", deadline_, " s"));
    }
    lock.unlock();
    use(round.parts);
    lock.lock();
    if (++round.taken == ranks_) rounds_.erase(number);
  }

 private:
  struct Round {
    const char* name = "";
    std::vector<std::vector<std::byte>> parts;
    int brought = 0;
    int taken = 0;
  };
  const int ranks_;
  const double deadline_;
  std::mutex mutex_;
  std::condition_variable all_here_;
  std::map<uint64_t, Round> rounds_;  // a map: places stay while others come and go
};

class Taking : public Request::State {
 public:
  explicit Taking(std::function<void()> take) : take_(std::move(take)) {}
  void wait() override { take_(); }

 private:
  std::function<void()> take_;
};

class ThreadCommunicator : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<Meeting> meeting, int rank)
      : meeting_(std::move(meeting)), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return meeting_->ranks(); }

  Request all_gather(const void* mine, void* all, std::span<const size_t> bytes) override {
    LACUNA_CHECK(bytes.size() == static_cast<size_t>(size()));
    return meet("all_gather", mine, bytes[static_cast<size_t>(rank_)],
                [all, sizes = std::vector(bytes.begin(), bytes.end())](const auto& parts) {
                  auto* to = static_cast<std::byte*>(all);
                  for (size_t r = 0; r < parts.size(); ++r) {
                    LACUNA_CHECK(parts[r].size() == sizes[r], "all_gather of rank ", r);
                    if (sizes[r] > 0) std::memcpy(to, parts[r].data(), sizes[r]);
                    to += sizes[r];
                  }
                });
  }

  using Communicator::all_reduce_sum;
  Request all_reduce_sum(void* data, size_t count, DType dtype) override {
    return meet("all_reduce_sum", data, count * size_of(dtype),
                [=](const auto& parts) { sum(data, parts, 0, count, dtype); });
  }

  Request reduce_scatter_sum(const void* data, void* mine, std::span<const size_t> parts_of,
                             DType dtype) override {
    LACUNA_CHECK(parts_of.size() == static_cast<size_t>(size()));
    const size_t first = std::accumulate(parts_of.begin(), parts_of.begin() + rank_, size_t{0});
    const size_t all = std::accumulate(parts_of.begin(), parts_of.end(), size_t{0});
    const size_t count = parts_of[static_cast<size_t>(rank_)];
    return meet("reduce_scatter_sum", data, all * size_of(dtype),
                [=](const auto& parts) { sum(mine, parts, first, count, dtype); });
  }

  Request broadcast(void* data, size_t bytes, int root) override {
    return meet("broadcast", data, rank_ == root ? bytes : 0, [=](const auto& parts) {
      const auto& from = parts[static_cast<size_t>(root)];
      LACUNA_CHECK(from.size() == bytes, "broadcast of ", from.size(), " to ", bytes, " bytes");
      if (bytes > 0) std::memcpy(data, from.data(), bytes);
    });
  }

  void barrier() override {
    meet("barrier", nullptr, 0, [](const auto&) {}).wait();
  }

 private:
  using Parts = std::vector<std::vector<std::byte>>;

  static void sum(void* out, const Parts& parts, size_t first, size_t count, DType dtype) {
    const size_t bytes = count * size_of(dtype);
    std::vector<std::byte> joined;
    for (const auto& part : parts) {
      LACUNA_CHECK(part.size() == parts[0].size(), "sizes of a sum differ between ranks");
      const auto from = part.begin() + static_cast<ptrdiff_t>(first * size_of(dtype));
      joined.insert(joined.end(), from, from + static_cast<ptrdiff_t>(bytes));
    }
    rank_order_sum(out, joined.data(), bytes, static_cast<int>(parts.size()), count, dtype);
  }

  Request meet(const char* name, const void* data, size_t bytes,
               std::function<void(const Parts&)> use) {
    const uint64_t number = ++number_;
    meeting_->bring(number, rank_, name, data, bytes);
    return Request(std::make_unique<Taking>(
        [meeting = meeting_, number, use = std::move(use)] { meeting->take(number, use); }));
  }

  std::shared_ptr<Meeting> meeting_;
  int rank_;
  uint64_t number_ = 0;
};

}  // namespace

std::vector<std::unique_ptr<Communicator>> thread_communicators(int n, double deadline_seconds) {
  const auto meeting = std::make_shared<Meeting>(n, deadline_seconds);
  std::vector<std::unique_ptr<Communicator>> all;
  for (int rank = 0; rank < n; ++rank) {
    all.push_back(std::make_unique<ThreadCommunicator>(meeting, rank));
  }
  return all;
}

void on_ranks(int n, const std::function<void(Communicator&)>& body) {
  const auto communicators = thread_communicators(n);
  std::vector<std::exception_ptr> errors(static_cast<size_t>(n));
  std::vector<std::thread> threads;
  for (size_t r = 0; r < errors.size(); ++r) {
    threads.emplace_back([&, r] {
      try {
        body(*communicators[r]);
      } catch (...) {
        errors[r] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace lacuna
