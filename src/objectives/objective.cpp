#include "objectives/objective.h"

#include "base/text.h"
#include "ops/collectives.h"
#include "ops/elementwise.h"

namespace lacuna {

std::vector<Output> outputs_of(const std::string& prefix, const Encoder& encoder,
                               const Mlp* projector) {
  std::vector<Output> all = {
      {prefix + "encoder", [&encoder](const Fields& fields, Recording& recording) {
         return encoder(fields.masked_view(0), recording);
       }}};
  if (projector != nullptr) {
    all.push_back(
        {prefix + "projector", [&encoder, projector](const Fields& fields, Recording& recording) {
           return (*projector)(encoder(fields.masked_view(0), recording), recording);
         }});
  }
  all.push_back({prefix + "encoder.map",
                 [&encoder](const Fields& fields, Recording& recording) {
                   return encoder.map(fields.masked_view(0), recording).values;
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

Tensor exact(const Tensor& x, const Recording& recording) { return cast(x, recording.parameters); }

Tensor gather(const Tensor& x, const Recording& recording, const std::string& stream) {
  return all_gather(x, recording.communicator, recording.rows_of(stream));
}

}  // namespace lacuna
