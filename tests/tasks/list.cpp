#include "tasks/list.h"

#include <catch2/catch.hpp>

#include <set>

#include "backend/list.h"
#include "tasks/support.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

// 40 samples, told apart by their features.
Features small_data(TargetType type) {
  Features made = clusters(40, 3, 2, 0.3, 1);
  if (type == TargetType::classes) return made;
  made.targets = {.type = type, .classes = {}, .values = {}, .width = 1};
  if (type == TargetType::marks) {
    made.targets.width = 2;
    for (int64_t i = 0; i < 40; ++i)
      made.targets.classes.insert(made.targets.classes.end(), {i % 2, int64_t{i % 3 == 0}});
    return made;
  }
  for (int64_t i = 0; i < 40; ++i)
    made.targets.values.push_back(
        static_cast<double>(made.values.as<float>()[static_cast<size_t>(3 * i)]));
  return made;
}

// A new task is given here what its targets are, by its type alone.
void check_says(const Task& task, const Targets& targets, const HostTensor& outputs) {
  const Predicted predicted = task.predicted(outputs);
  const auto scorer = task.scorer();
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < targets.count(); ++i) rows.push_back(i);
  scorer->add(predicted, targets, rows);
  const std::vector<Score> scores = scorer->scores();
  REQUIRE(!scores.empty());
  std::set<std::string> names;
  for (const Score& score : scores) names.insert(score.name);
  CHECK(names.size() == scores.size());
  REQUIRE(!task.columns().empty());
  for (const PredictionColumn& column : task.columns()) {
    INFO(column.name);
    const HostTensor values = column.values(predicted);
    CHECK(values.shape() == column.row.behind(targets.count()));
    CHECK(values.dtype() == column.dtype);
    CHECK(!column.axes.empty());
    CHECK(!column.description.empty());
  }
}

}  // namespace

TEST_CASE("tasks: each is of one kind, has keys of its own and says what it predicts") {
  std::set<std::string_view> names;
  const auto device = make_device("reference", 1);
  const auto alone = self_communicator();
  for (const TaskEntry& entry : tasks()) {
    INFO(entry.name);
    CHECK(names.insert(entry.name).second);
    CHECK((entry.make_probe == nullptr) != (entry.make_network == nullptr));
    const Features data = small_data(entry.targets);
    const Configuration configuration = task_configuration(std::string(entry.name));
    CHECK(&task_of(configuration) == &entry);
    const TaskParts parts{
        .configuration = configuration, .targets = &data.targets, .outputs = data.targets.width};
    if (entry.trains_network()) {
      const auto task = entry.make_network(parts);
      HostTensor outputs(DType::f32, {40, task->outputs()});
      std::fill(outputs.as<float>().begin(), outputs.as<float>().end(), 0.5f);
      check_says(*task, data.targets, outputs);
      continue;
    }
    const auto task = entry.make_probe(parts);
    CHECK(!task->candidates().empty());
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < 30; ++i) rows.push_back(i);
    const std::vector<double> some = task->candidates();
    const auto fitted = task->fit(data, rows, some, *device, *alone);
    const std::vector<HostTensor> outputs = fitted->outputs(data.values);
    REQUIRE(outputs.size() == some.size());
    check_says(*task, data.targets, outputs[0]);
    // It learns: what was not shown to it is said better than by chance.
    const auto scorer = task->scorer();
    scorer->add(task->predicted(outputs[0]), data.targets, rows);
    const Score main = scorer->scores()[0];
    CHECK(is_better(main,
                    {main.name, main.better, main.better == Direction::higher ? 0.9 : 0.1, {}}));
  }
}
