#include "backend/cuda/stopwatch.h"

namespace lacuna {

void CudaStopwatch::mark() {
  if (used_ == marks_.size()) marks_.push_back(std::make_unique<cuda::TimingEvent>());
  marks_[used_++]->record(kernels_);
}

std::vector<double> CudaStopwatch::laps() {
  std::vector<double> laps;
  if (used_ > 0) marks_[used_ - 1]->wait();
  for (size_t i = 1; i < used_; ++i) laps.push_back(marks_[i]->seconds_since(*marks_[i - 1]));
  used_ = 0;
  return laps;
}

}  // namespace lacuna
