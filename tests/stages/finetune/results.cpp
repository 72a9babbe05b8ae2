#include "stages/finetune/results.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "stages/keys/schema.h"
#include "stages/status/run_facts.h"

using namespace lacuna;

namespace {

std::string result_of(const std::string& task, const std::vector<TrialResult>& draws) {
  const Configuration configuration = Configuration::from_text(
      "", schema_of("finetune"), "finetune",
      {"task.name=" + task, "data.files=x", "data.dataset=x", "test.dataset=x", "test.label=x"});
  return result_text(configuration, task_of(configuration), {}, draws, "runs/a", 7);
}

TrialResult draw(double accuracy, double nll, double chosen) {
  return {.test = {{"accuracy", Direction::higher, accuracy, {accuracy - 0.25, accuracy + 0.125}},
                   {"nll", Direction::lower, nll, {}}},
          .held_out = {},
          .chosen = chosen};
}

}  // namespace

TEST_CASE("results: several draws have the interval of their mean, and old readers find theirs") {
  const std::string result = result_of("knn", {draw(0.5, 1, 3), draw(0.75, 2, 5)});
  CHECK_THAT(result, Catch::StartsWith(R"({"task":"knn","accuracy":0.625,"draws":[0.5,0.75],)"
                                       R"("chosen":[3,5],"labels":1,"from":"runs/a","step":7,)"
                                       R"("score":"accuracy","better":"higher",)"));
  CHECK_THAT(result, Catch::Contains("Student's t"));
  CHECK(number_in(result, "accuracy") == 0.625);
  const std::vector<ScoreFact> scores = scores_in(result);
  REQUIRE(scores.size() == 2);
  CHECK(scores[0].name == "accuracy");
  CHECK(scores[0].value == 0.625);
  // Of two draws: the mean and 12.706 times half their distance.
  CHECK(scores[0].low == Approx(0.625 - 12.7062 * 0.125).epsilon(1e-5));
  CHECK(scores[0].high == Approx(0.625 + 12.7062 * 0.125).epsilon(1e-5));
  CHECK(scores[1].name == "nll");
  CHECK(scores[1].better == "lower");
}

TEST_CASE("results: one draw has the interval of its test samples") {
  const std::string result = result_of("knn", {draw(0.5, 1, 3)});
  CHECK_THAT(result, Catch::Contains("bootstrap"));
  const std::vector<ScoreFact> scores = scores_in(result);
  REQUIRE(scores.size() == 2);
  CHECK(scores[0].low == 0.25);
  CHECK(scores[0].high == 0.625);
  CHECK(std::isnan(scores[1].low));
}

TEST_CASE("results: only classes have an accuracy, and what diverged has none") {
  const TrialResult values{.test = {{"mse", Direction::lower, 4, {}}}, .held_out = {}, .chosen = 1};
  const std::string result = result_of("ridge", {values});
  CHECK_FALSE(number_in(result, "accuracy"));
  CHECK_THAT(result, Catch::Contains(R"("score":"mse","better":"lower")"));
  CHECK_THAT(result_of("classify", {TrialResult{}, draw(0.5, 1, 3)}),
             Catch::Contains(R"("accuracy":null,"draws":[null,0.5])"));
}

TEST_CASE("results: scores of a text that is none are not made up") {
  CHECK(scores_in("").empty());
  CHECK(scores_in(R"({"accuracy":0.5,"draws":[0.5]})").empty());
  CHECK(scores_in(R"({"scores":{}})").empty());
  CHECK(scores_in(R"({"scores":{"accuracy":{"value":0.5)").empty());
  CHECK(std::isnan(scores_in(R"({"scores":{"a":{"value":null,"better":"lower"}}})").at(0).value));
}
