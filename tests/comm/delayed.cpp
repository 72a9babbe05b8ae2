#include "comm/delayed.h"

#include <catch2/catch.hpp>

#include <chrono>
#include <thread>

#include "support/thread_communicators.h"

using namespace lacuna;

namespace {

double seconds(const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("a delayed communicator returns at once and completes one sum after the other") {
  const auto self = self_communicator();
  const auto slow = delayed_communicator(*self, 0.03);
  std::vector<Request> requests;
  float value = 1;
  CHECK(seconds([&] {
          for (int i = 0; i < 3; ++i)
            requests.push_back(slow->all_reduce_sum(&value, 1, DType::f32));
        }) < 0.03);
  CHECK(seconds([&] { requests.clear(); }) > 0.085);
  CHECK(value == 1);
}

TEST_CASE("a delay is hidden behind other work") {
  const auto self = self_communicator();
  const auto slow = delayed_communicator(*self, 0.05);
  float value = 1;
  const double waited = [&] {
    Request request = slow->all_reduce_sum(&value, 1, DType::f32);
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    return seconds([&] { request.wait(); });
  }();
  CHECK(waited < 0.02);
}

TEST_CASE("a delayed communicator leaves small sums and other collectives alone") {
  const auto self = self_communicator();
  const auto slow = delayed_communicator(*self, 10, 1000);
  std::vector<float> data(4);
  slow->all_reduce_sum(data.data(), data.size(), DType::f32).wait();
  slow->broadcast(data.data(), 16, 0).wait();
  slow->barrier();
}
