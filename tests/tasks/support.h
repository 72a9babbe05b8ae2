// Labelled points around one centre a class.
#pragma once

#include "base/random.h"
#include "tasks/features.h"
#include "tasks/list.h"

namespace lacuna::testing {

inline Features clusters(int64_t count, int64_t dimension, int64_t classes, double spread,
                         uint64_t seed) {
  Features made{HostTensor(DType::f32, {count, dimension}),
                {.type = TargetType::classes, .classes = {}, .values = {}, .width = classes}};
  const Draws centres(7, Purpose::test, 0);
  const Draws noise(seed, Purpose::test, 0);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t label = i % classes;
    made.targets.classes.push_back(label);
    for (int64_t j = 0; j < dimension; ++j) {
      const double centre = centres.normal(static_cast<uint32_t>(label * dimension + j));
      const double away = noise.normal(static_cast<uint32_t>(i * dimension + j));
      made.values.as<float>()[static_cast<size_t>(i * dimension + j)] =
          static_cast<float>(centre + spread * away);
    }
  }
  return made;
}

// With the keys of tasks alone.
inline Configuration task_configuration(const std::string& name,
                                        std::vector<std::string> settings = {}) {
  Schema schema;
  schema.add(task_keys());
  settings.push_back("task.name=" + name);
  return Configuration::from_text("", schema, "task", settings);
}

inline const TaskEntry& entry_of(const std::string& name) {
  for (const TaskEntry& entry : tasks())
    if (entry.name == name) return entry;
  LACUNA_CHECK(false, name);
  return tasks().front();
}

// Of the task that the configuration names; the targets must outlive it.
inline std::unique_ptr<NetworkTask> make_network_task(const Configuration& configuration,
                                                      const Targets& targets) {
  return task_of(configuration)
      .make_network(
          {.configuration = configuration, .targets = &targets, .outputs = targets.width});
}

}  // namespace lacuna::testing
