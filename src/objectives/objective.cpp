#include "objectives/objective.h"

#include "base/text.h"
#include "ops/collectives.h"
#include "ops/elementwise.h"

namespace lacuna {

std::vector<Output> outputs_of(const std::string& prefix, const Encoder& encoder,
                               const Mlp* projector) {
  std::vector<Output> all = {
      {prefix + "encoder", [&encoder](const Fields& fields, ForwardContext& forward) {
         return encoder(fields.masked_view(0), forward);
       }}};
  if (projector != nullptr) {
    all.push_back({prefix + "projector",
                   [&encoder, projector](const Fields& fields, ForwardContext& forward) {
                     return (*projector)(encoder(fields.masked_view(0), forward), forward);
                   }});
  }
  all.push_back({prefix + "encoder.map",
                 [&encoder](const Fields& fields, ForwardContext& forward) {
                   return encoder.map(fields.masked_view(0), forward).values;
                 },
                 encoder.stride()});
  return all;
}

Output output_of(const Objective& objective, std::string_view name) {
  std::vector<std::string> names;
  for (Output& output : objective.outputs()) {
    if (output.name == name) return std::move(output);
    names.push_back(output.name);
  }
  bad_input("the run's objective has no output \"", name, "\": it has ", join(names));
}

Tensor exact(const Tensor& x, const ForwardContext& forward) { return cast(x, forward.parameters); }

Tensor gather(const Tensor& x, const ForwardContext& forward, const std::string& stream) {
  return all_gather(x, forward.communicator, forward.rows_of(stream));
}

}  // namespace lacuna
