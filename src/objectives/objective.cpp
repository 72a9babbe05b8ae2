#include "objectives/objective.h"

#include "ops/collectives.h"
#include "ops/elementwise.h"

namespace lacuna {

void require_student(Weights weights, std::string_view objective) {
  if (weights == Weights::teacher) {
    bad_input("objective ", objective, " keeps no teacher: use --weights student");
  }
}

Tensor exact(const Tensor& x, const Recording& recording) { return cast(x, recording.parameters); }

Tensor gather(const Tensor& x, const Recording& recording) {
  return all_gather(x, recording.communicator, recording.rows);
}

}  // namespace lacuna
