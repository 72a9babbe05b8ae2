// Training in bfloat16 beside float32: every objective of the list, 20 steps on one
// batch.
#include <catch2/catch.hpp>
#include <cmath>

#include "kernels/cpu/support/onednn.h"
#include "support/experiment.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

constexpr int64_t rows = 16;
constexpr int64_t steps = 20;
constexpr double rate = 0.0003;

struct Trained {
  double first = 0, mean = 0, last = 0;  // losses; `last` of the last five steps
  double travelled = 0;                  // by the weights
};

Trained train(const std::string& objective, const std::string& encoder, DType compute) {
  const auto self = self_communicator();
  StepOptions options;
  options.compute = compute;
  SmallExperiment experiment(objective, "cpu", 2, *self, {.encoder = encoder}, options);
  experiment.trainer().prepare(experiment.batch(0, rows).fields(), {rows});
  std::vector<std::vector<double>> start;
  for (const State* state : experiment.trainer().parameters()) start.push_back(state->values());
  Trained found;
  for (int64_t step = 0; step < steps; ++step) {
    // The same views in every step, of which layers leave out others each time.
    const SmallBatch batch = experiment.batch(0, rows, 1, static_cast<uint64_t>(step));
    const double progress = static_cast<double>(step) / steps;
    const double loss =
        experiment.trainer().step(batch.fields(), {rows}, step, rate, progress).loss;
    if (step == 0) found.first = loss;
    if (step >= steps - 5) found.last += loss / 5;
    found.mean += loss / steps;
  }
  for (size_t i = 0; i < start.size(); ++i) {
    const std::vector<double> end = experiment.trainer().parameters()[i]->values();
    for (size_t k = 0; k < end.size(); ++k) {
      found.travelled += (end[k] - start[i][k]) * (end[k] - start[i][k]);
    }
  }
  found.travelled = std::sqrt(found.travelled);
  CHECK(experiment.trainer().executor().plan_count() == 1);
  return found;
}

}  // namespace

// Each step carries on what the ones before have rounded, so two trainings in f32 that differ in
// the order of sums part as well, by up to 2.5 % of the mean loss where that was measured; bf16 may
// by twice that.
TEST_CASE("twenty steps in bfloat16 follow those in float32, for every objective") {
  if (!onednn_has_bf16()) {
    WARN("this processor has no AVX-512: oneDNN has no bfloat16 here, nothing was compared");
    return;
  }
  for (const ObjectiveEntry& entry : objectives()) {
    for (const std::string& encoder : {std::string(), small_vit}) {
      CAPTURE(entry.name, encoder);
      const Trained exact = train(std::string(entry.name), encoder, DType::f32);
      const Trained rounded = train(std::string(entry.name), encoder, DType::bf16);
      CAPTURE(exact.first, exact.mean, exact.last, exact.travelled);
      CAPTURE(rounded.first, rounded.mean, rounded.last, rounded.travelled);
      CHECK(rounded.first == Approx(exact.first).epsilon(0.02));
      CHECK(rounded.mean == Approx(exact.mean).epsilon(0.05));
      CHECK(rounded.travelled == Approx(exact.travelled).epsilon(0.1));
      CHECK(exact.last < exact.first);
      CHECK(rounded.last < rounded.first);
      CHECK(rounded.first != exact.first);  // it was bf16 indeed
    }
  }
}
