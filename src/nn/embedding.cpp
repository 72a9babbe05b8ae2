#include "nn/embedding.h"

#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/sparse_rows.h"

namespace lacuna {

Embedding::Embedding(Scope scope, int64_t count, int64_t features, double deviation, bool sparse)
    : weight_(scope.normal("weight", {count, features}, deviation).name_axes("id, feature")),
      sparse_(sparse) {
  if (sparse) weight_.exempt_from_decay();
}

Tensor Embedding::operator()(const Tensor& ids, ForwardContext& forward) const {
  const Tensor& table = weight_.tensor();
  return cast(sparse_ ? sparse_embedding(table, ids) : embedding(table, ids), forward.compute);
}

}  // namespace lacuna
