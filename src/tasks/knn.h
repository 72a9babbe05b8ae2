// The task "knn": weighted k-nearest-neighbour classification of representations (Wu et al. 2018,
// "Unsupervised feature learning via non-parametric instance discrimination"): the k training
// samples of largest cosine similarity s vote with weight exp(s / 0.07). Its probabilities are
// shares of the votes.
#pragma once

#include "tasks/task.h"

namespace lacuna {

std::vector<Key> knn_keys();
std::unique_ptr<ProbeTask> make_knn(const TaskParts& parts);

// f32 [n, D], each row divided by its length.
HostTensor unit_rows(const HostTensor& features, Device& device);

// The neighbours that vote, and for how many k.
class Neighbours final : public FittedProbe {
 public:
  // `bank`: f32 [N, D], rows of length 1 (unit_rows). The device must outlive it.
  Neighbours(HostTensor bank, std::vector<int64_t> labels, int64_t classes, std::vector<int64_t> k,
             Device& device);
  ~Neighbours() override;

  // The votes of each k, f64 [n, classes].
  std::vector<HostTensor> outputs(const HostTensor& x) override;
  int64_t dimension() const override;
  NamedTensors tensors() const override;

 private:
  struct Bank;
  std::unique_ptr<Bank> bank_;
};

}  // namespace lacuna
