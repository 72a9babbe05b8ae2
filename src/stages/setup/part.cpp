#include "stages/setup/part.h"

#include <algorithm>
#include <optional>

#include "comm/agree.h"
#include "modalities/list.h"
#include "stages/keys/parts.h"

namespace lacuna {

std::string fact_prefix(const std::string& part) {
  return part.empty() ? "data." : "data." + part + ".";
}

template <typename T>
std::vector<T> stored_values(const Checkpoint& checkpoint, const std::string& name) {
  const StoredTensor* tensor = checkpoint.find(name);
  if (tensor == nullptr || tensor->dtype != dtype_of<T>) {
    bad_input(checkpoint.folder.string(), " does not hold \"", name,
              "\": it was not written by pretrain of this version");
  }
  std::vector<T> values(static_cast<size_t>(tensor->shape.count()));
  const TensorTarget target{name, tensor->dtype, tensor->shape, values.data()};
  load_tensors(checkpoint, {&target, 1}, Match::subset);
  return values;
}
template std::vector<double> stored_values(const Checkpoint&, const std::string&);
template std::vector<int64_t> stored_values(const Checkpoint&, const std::string&);

namespace {

// Facts of the modality, from the checkpoint or the modality whose facts hold; empty: to be found.
std::function<std::vector<double>(const std::string&)> known_facts(const PartOptions& options,
                                                                   Communicator& communicator) {
  if (options.as != nullptr) {
    return [as = options.as](const std::string& name) {
      for (const Fact& fact : as->facts())
        if (fact.name == name) return fact.values;
      return std::vector<double>();
    };
  }
  if (options.like == nullptr) return {};
  return [like = options.like, prefix = fact_prefix(options.part),
          &communicator](const std::string& name) {
    return agreed(communicator, [&] {
      const std::string stored = prefix + name;
      return like->find(stored) == nullptr ? std::vector<double>()
                                           : stored_values<double>(*like, stored);
    });
  };
}

// An error of a further part names it, since its keys are others than those that the error names.
template <typename Make>
auto of_part(const std::string& part, Communicator& communicator, const Make& make) {
  if (part.empty()) return make();
  try {
    return make();
  } catch (const AgreedError& error) {
    throw AgreedError(error.status(), concat("[part.", part, "]: ", error.what()), error.rank());
  } catch (const Error& error) {
    const Error named(error.status(), concat("[part.", part, "]: ", error.what()));
    agree(communicator, &named);
    throw;  // not reached: agree() has thrown
  }
}

}  // namespace

std::unique_ptr<Modality> make_part(const Configuration& configuration, const Dataset& dataset,
                                    const PartOptions& options, Communicator& communicator) {
  ScanOptions scan;
  scan.seed = static_cast<uint64_t>(configuration.integer("seed"));
  scan.threads = options.threads;
  scan.buffer = std::min<int64_t>(options.buffer, scan.buffer);
  return of_part(options.part, communicator, [&] {
    std::optional<Configuration> run;
    if (options.run != nullptr) run = configuration_of_part(*options.run, options.part);
    return make_modality({.dataset = dataset,
                          .configuration = configuration_of_part(configuration, options.part),
                          .known = known_facts(options, communicator),
                          .run = run ? &*run : nullptr,
                          .missing = options.missing,
                          .index_only = options.index_only,
                          .scan = scan,
                          .communicator = communicator});
  });
}

}  // namespace lacuna
