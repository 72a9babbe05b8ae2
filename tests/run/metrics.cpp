#include "run/metrics.h"

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "support/temporary_folder.h"

using namespace lacuna;

TEST_CASE("metrics: numbers of a line read back as the same double") {
  MetricsTable table;
  table.append(1, std::vector<Scalar>{{"a", 0.1}, {"b", double(0.3f)}, {"c", -HUGE_VAL}});
  CHECK(json_line(table, 0) == "{\"step\":1,\"a\":0.1,\"b\":0.30000001192092896,\"c\":null}\n");
  uint64_t bits = 1;
  for (int64_t step = 2; step < 5000; ++step) {
    bits = bits * 6364136223846793005u + 1442695040888963407u;
    const double value = std::bit_cast<double>(bits);
    if (!std::isfinite(value)) continue;
    table.append(step, std::vector<Scalar>{{"a", value}});
    const std::string line = json_line(table, table.step.size() - 1);
    const char* number = line.c_str() + line.rfind(':') + 1;
    REQUIRE(std::bit_cast<uint64_t>(std::strtod(number, nullptr)) == bits);
  }
}

TEST_CASE("metrics: the file has one line a step with the scalars of that step") {
  const TemporaryFolder folder;
  Metrics metrics(folder / "metrics.jsonl");
  metrics.append(1, {{"loss", 2.5}, {"lr", 0.1}});
  metrics.append(2, {{"loss", 1.25}, {"lr", 0.2}, {"knn", 0.5}});
  metrics.append(3, {{"lr", 0.3}});
  metrics.flush();
  CHECK(content_of(folder / "metrics.jsonl") ==
        "{\"step\":1,\"loss\":2.5,\"lr\":0.1}\n"
        "{\"step\":2,\"loss\":1.25,\"lr\":0.2,\"knn\":0.5}\n"
        "{\"step\":3,\"lr\":0.3}\n");
  CHECK(std::isnan(metrics.table().column("knn")[0]));
  CHECK(metrics.table().column("knn")[1] == 0.5);
  CHECK(metrics.table().column("absent").empty());
}

TEST_CASE("metrics: a continued run has each step once and the same bytes") {
  const TemporaryFolder folder;
  const auto scalar = [](int64_t step) { return 1.0 / static_cast<double>(step); };
  const auto record = [&](Metrics& metrics, int64_t first, int64_t last) {
    for (int64_t step = first; step <= last; ++step) {
      if (step % 3 == 0)
        metrics.append(step, {{"knn", 0.25}, {"loss", scalar(step)}});
      else
        metrics.append(step, {{"loss", scalar(step)}});
    }
  };
  {
    Metrics whole(folder / "whole.jsonl");
    record(whole, 1, 20);
  }
  MetricsTable checkpoint;
  {
    Metrics killed(folder / "killed.jsonl");
    record(killed, 1, 7);
    checkpoint = killed.table();
    record(killed, 8, 12);
  }
  // What a kill within a write may leave.
  overwrite(folder / "killed.jsonl", content_of(folder / "killed.jsonl") + "{\"step\":13, \"lo");
  {
    Metrics continued(folder / "killed.jsonl", checkpoint);
    record(continued, 8, 20);
  }
  CHECK(content_of(folder / "killed.jsonl") == content_of(folder / "whole.jsonl"));
  // Lost to a power cut altogether: the checkpoint still has it.
  std::filesystem::remove(folder / "killed.jsonl");
  {
    Metrics continued(folder / "killed.jsonl", checkpoint);
    record(continued, 8, 20);
  }
  CHECK(content_of(folder / "killed.jsonl") == content_of(folder / "whole.jsonl"));
}

TEST_CASE("metrics: a place that cannot be written is named") {
  const TemporaryFolder folder;
  const auto file = folder / "absent" / "metrics.jsonl";
  CHECK_THROWS_WITH(Metrics(file),
                    "cannot write " + file.string() +
                        ": No such file or directory; check its name and the folders above it");
}
