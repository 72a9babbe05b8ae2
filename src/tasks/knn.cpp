#include "tasks/knn.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/executor.h"
#include "ops/elementwise.h"
#include "ops/matrix_product.h"
#include "ops/normalize.h"
#include "tasks/probe_keys.h"

namespace lacuna {

namespace {

constexpr double temperature = 0.07;

void vote(std::span<const float> similarity, std::span<const int64_t> nearest,
          const std::vector<int64_t>& labels, std::span<double> votes) {
  std::fill(votes.begin(), votes.end(), 0);
  for (const int64_t i : nearest) {
    votes[static_cast<size_t>(labels[static_cast<size_t>(i)])] +=
        std::exp(static_cast<double>(similarity[static_cast<size_t>(i)]) / temperature);
  }
}

}  // namespace

HostTensor unit_rows(const HostTensor& features, Device& device) {
  Executor executor(device);
  executor.run(
      {cast(normalize(cast(host_leaf("x", features), device.parameter_dtype())), DType::f32)});
  return executor.output(0);
}

struct Neighbours::Bank {
  HostTensor x;  // f32 [N, D], rows of length 1
  std::vector<int64_t> labels;
  int64_t classes;
  std::vector<int64_t> k;
  Device& device;
  Executor executor;
};

Neighbours::Neighbours(HostTensor bank, std::vector<int64_t> labels, int64_t classes,
                       std::vector<int64_t> k, Device& device)
    : bank_(new Bank{std::move(bank), std::move(labels), classes, std::move(k), device,
                     Executor(device)}) {}

Neighbours::~Neighbours() = default;

std::vector<HostTensor> Neighbours::outputs(const HostTensor& x) {
  Bank& bank = *bank_;
  const int64_t rows = x.shape()[0], n = bank.x.shape()[0];
  const int64_t most = std::min(n, *std::max_element(bank.k.begin(), bank.k.end()));
  std::vector<HostTensor> votes;
  for (size_t i = 0; i < bank.k.size(); ++i)
    votes.emplace_back(DType::f64, Shape{rows, bank.classes});
  if (rows == 0) return votes;
  const HostTensor asked = unit_rows(x, bank.device);
  const DType dtype = bank.device.parameter_dtype();
  bank.executor.run({cast(matmul(cast(host_leaf("queries", asked), dtype),
                                 cast(host_leaf("bank", bank.x), dtype), false, true),
                          DType::f32)});
  const HostTensor similarity = bank.executor.output(0);
#pragma omp parallel
  {
    std::vector<int64_t> order(static_cast<size_t>(n));
#pragma omp for schedule(static)
    for (int64_t row = 0; row < rows; ++row) {
      const auto s =
          similarity.as<float>().subspan(static_cast<size_t>(row * n), static_cast<size_t>(n));
      std::iota(order.begin(), order.end(), 0);
      // Neighbours in order of similarity, then of index: no ties left to chance.
      const auto nearer = [&](int64_t a, int64_t b) {
        const float sa = s[static_cast<size_t>(a)];
        const float sb = s[static_cast<size_t>(b)];
        return sa != sb ? sa > sb : a < b;
      };
      std::nth_element(order.begin(), order.begin() + most - 1, order.end(), nearer);
      std::sort(order.begin(), order.begin() + most, nearer);
      for (size_t i = 0; i < bank.k.size(); ++i) {
        vote(s, std::span(order).first(static_cast<size_t>(std::min(bank.k[i], n))), bank.labels,
             votes[i].as<double>().subspan(static_cast<size_t>(row * bank.classes),
                                           static_cast<size_t>(bank.classes)));
      }
    }
  }
  return votes;
}

int64_t Neighbours::dimension() const { return bank_->x.shape()[1]; }

NamedTensors Neighbours::tensors() const {
  NamedTensors all;
  all["bank"] = copy_of(bank_->x);
  HostTensor& labels = all["labels"] =
      HostTensor(DType::i64, {static_cast<int64_t>(bank_->labels.size())});
  std::copy(bank_->labels.begin(), bank_->labels.end(), labels.as<int64_t>().begin());
  HostTensor& k = all["k"] = HostTensor(DType::i64, {1});
  k.as<int64_t>()[0] = bank_->k.front();
  return all;
}

namespace {

class NearestNeighbours final : public ProbeTask {
 public:
  explicit NearestNeighbours(const TaskParts& parts)
      : ProbeTask(parts.outputs), k_(parts.configuration.integers("task.k")) {}

  // Of votes: most of them are the class's.
  Predicted predicted(const HostTensor& outputs) const override {
    Predicted predicted{.classes = {}, .numbers = doubles_of(outputs), .width = outputs.shape()[1]};
    const auto width = static_cast<size_t>(predicted.width);
    for (size_t first = 0; first < predicted.numbers.size(); first += width) {
      const std::span row(&predicted.numbers[first], width);
      predicted.classes.push_back(std::max_element(row.begin(), row.end()) - row.begin());
      const double all = std::accumulate(row.begin(), row.end(), 0.0);
      for (double& votes : row) votes = std::log(votes / all);
    }
    return predicted;
  }
  // A class without a vote has probability 0, so likelihoods say nothing.
  std::unique_ptr<Scorer> scorer() const override { return class_scorer(outputs(), false); }
  std::vector<PredictionColumn> columns() const override { return class_columns(outputs()); }
  std::vector<double> candidates() const override { return {k_.begin(), k_.end()}; }

  std::unique_ptr<FittedProbe> fit(const Features& train, const std::vector<int64_t>& rows,
                                   std::span<const double> candidates, Device& device,
                                   Communicator&) const override {
    Features known = select_rows(train, rows);
    return std::make_unique<Neighbours>(
        unit_rows(known.values, device), std::move(known.targets.classes), outputs(),
        std::vector<int64_t>(candidates.begin(), candidates.end()), device);
  }

  std::unique_ptr<FittedProbe> restored(const NamedTensors& tensors,
                                        Device& device) const override {
    const auto integers = [&](const char* name) {
      const auto values = stored_tensor(tensors, name, DType::i64, 1).as<int64_t>();
      return std::vector<int64_t>(values.begin(), values.end());
    };
    return std::make_unique<Neighbours>(copy_of(stored_tensor(tensors, "bank", DType::f32, 2)),
                                        integers("labels"), outputs(), integers("k"), device);
  }

 private:
  std::vector<int64_t> k_;
};

}  // namespace

std::vector<Key> knn_keys() {
  return probe_keys({key::integers("task.k", "[1, 3, 5, 10, 20, 50, 100, 200]",
                                   "Numbers of neighbours to choose from on held-out labels.")
                         .min(1)});
}

std::unique_ptr<ProbeTask> make_knn(const TaskParts& parts) {
  return std::make_unique<NearestNeighbours>(parts);
}

}  // namespace lacuna
