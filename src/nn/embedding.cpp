#include "nn/embedding.h"

#include "ops/elementwise.h"
#include "ops/gather.h"

namespace lacuna {

Embedding::Embedding(Scope scope, int64_t count, int64_t features, double deviation)
    : weight_(scope.normal("weight", {count, features}, deviation).name_axes("id, feature")) {}

Tensor Embedding::operator()(const Tensor& ids, Recording& recording) const {
  return cast(embedding(weight_.tensor(), ids), recording.compute);
}

}  // namespace lacuna
