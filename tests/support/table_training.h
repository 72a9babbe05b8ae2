// The training of a small model with an embedding, whose table has sparse gradients or dense ones.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "train/trainer.h"

namespace lacuna::testing {

struct TableSetup {
  std::string optimizer = "sgd";
  std::vector<std::string> keys = {"optimizer.weight_decay=0"};
  int64_t vocabulary = 40;
  bool sparse = true;
  bool twice = false;  // the table is read at two fields of ids, one of them i32
  double clip = 0;
  bool shard = false;
  int64_t micro_batches = 1;
};

// 12 samples a step, of 3 ids and 2 more each; some ids are negative.
class TableTraining {
 public:
  static constexpr int64_t batch = 12;
  static constexpr int64_t features = 5;

  // Rank r has rows[r] of the samples.
  TableTraining(const TableSetup& setup, Device& device, Communicator& communicator,
                std::vector<int64_t> rows);
  ~TableTraining();

  StepResult step(int64_t step);
  // Of the table, summed over ranks, made dense: [vocabulary, features].
  std::vector<double> gradient(int64_t step);
  // By name, of this rank: slices of the optimizer's State where it is sharded.
  std::map<std::string, std::vector<double>> state() const;
  const Executor& executor() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

inline constexpr const char* table_name = "words.weight";

}  // namespace lacuna::testing
