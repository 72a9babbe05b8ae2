#include "tasks/knn.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/executor.h"
#include "ops/elementwise.h"
#include "ops/matrix_product.h"
#include "ops/normalize.h"

namespace lacuna {

namespace {

constexpr double temperature = 0.07;
constexpr int64_t block_rows = 256;  // queries at a time: bounds the similarities kept in memory

HostTensor normalized(const Features& features, Device& device) {
  Executor executor(device);
  executor.run({cast(normalize(cast(host_leaf("x", features.values), device.parameter_dtype())),
                     DType::f32)});
  return executor.output(0);
}

int64_t vote(std::span<const float> similarity, std::span<const int64_t> nearest, int64_t k,
             const std::vector<int64_t>& labels, std::vector<double>& votes) {
  std::fill(votes.begin(), votes.end(), 0);
  for (const int64_t i : nearest.first(static_cast<size_t>(k))) {
    votes[static_cast<size_t>(labels[static_cast<size_t>(i)])] +=
        std::exp(static_cast<double>(similarity[static_cast<size_t>(i)]) / temperature);
  }
  return std::max_element(votes.begin(), votes.end()) - votes.begin();
}

}  // namespace

std::vector<std::vector<int64_t>> knn_predict(const Features& train, const Features& queries,
                                              const std::vector<int64_t>& k, Device& device,
                                              Communicator& communicator) {
  const int64_t n = train.count();
  const int64_t m = queries.count();
  const int64_t d = train.dimension();
  const int64_t most = std::min(n, *std::max_element(k.begin(), k.end()));
  const HostTensor bank = normalized(train, device);
  const HostTensor asked = normalized(queries, device);
  // Neighbours of a row in order of similarity, then of index: no ties left to chance.
  std::vector<std::vector<int64_t>> predicted(k.size(),
                                              std::vector<int64_t>(static_cast<size_t>(m)));
  const int64_t blocks = (m + block_rows - 1) / block_rows;
  Executor executor(device);
  for (int64_t block = communicator.rank(); block < blocks; block += communicator.size()) {
    const int64_t begin = block * block_rows;
    const int64_t rows = std::min(block_rows, m - begin);
    const DType dtype = device.parameter_dtype();
    const Tensor q =
        host_leaf("queries", DType::f32, {rows, d}, asked.as<float>().data() + begin * d);
    executor.run({cast(matmul(cast(q, dtype), cast(host_leaf("bank", bank), dtype), false, true),
                       DType::f32)});
    const HostTensor similarity = executor.output(0);
#pragma omp parallel
    {
      std::vector<int64_t> order(static_cast<size_t>(n));
      std::vector<double> votes(static_cast<size_t>(class_count(train.labels)));
#pragma omp for schedule(static)
      for (int64_t row = 0; row < rows; ++row) {
        const auto s =
            similarity.as<float>().subspan(static_cast<size_t>(row * n), static_cast<size_t>(n));
        std::iota(order.begin(), order.end(), 0);
        const auto nearer = [&](int64_t a, int64_t b) {
          const float sa = s[static_cast<size_t>(a)];
          const float sb = s[static_cast<size_t>(b)];
          return sa != sb ? sa > sb : a < b;
        };
        std::nth_element(order.begin(), order.begin() + most - 1, order.end(), nearer);
        std::sort(order.begin(), order.begin() + most, nearer);
        for (size_t i = 0; i < k.size(); ++i) {
          predicted[i][static_cast<size_t>(begin + row)] =
              vote(s, order, std::min(k[i], n), train.labels, votes);
        }
      }
    }
  }
  // Rows of other ranks are zero here: the sum is everybody's.
  for (auto& labels : predicted)
    communicator.all_reduce_sum(labels.data(), labels.size(), DType::i64).wait();
  return predicted;
}

KnnResult knn(const Features& train, const Features& test, const std::vector<int64_t>& candidates,
              uint64_t seed, Device& device, Communicator& communicator) {
  std::vector<int64_t> all(static_cast<size_t>(train.count()));
  std::iota(all.begin(), all.end(), 0);
  const Split split = hold_out_fifth(all, train.labels, seed);
  const Features known = select_rows(train, split.train);
  const Features held_out = select_rows(train, split.held_out);
  const auto trials = knn_predict(known, held_out, candidates, device, communicator);
  KnnResult result;
  result.held_out_accuracy = -1;  // whatever the first one reaches is better
  for (size_t i = 0; i < candidates.size(); ++i) {
    const double right = accuracy(trials[i], held_out.labels);
    if (right > result.held_out_accuracy) {
      result.held_out_accuracy = right;
      result.k = candidates[i];
    }
  }
  result.test_accuracy =
      accuracy(knn_predict(train, test, {result.k}, device, communicator)[0], test.labels);
  return result;
}

}  // namespace lacuna
