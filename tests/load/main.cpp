// lacuna-load: what the loader makes of data sets as configurations describe them, for tests that
// compare it: many data sets in one process.
//
//   each line of standard input:   CONFIG.toml OUT plain|masked
//   standard output:               what a stage would say, or "error: …", then a line "end"
//   OUT:                           a line "FIELD float32 60 32 32 3" for each field, an empty line,
//                                  then their bytes
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/log.h"
#include "stages/keys/schema.h"
#include "stages/setup/source.h"

namespace lacuna {

namespace {

void write_batch(const Batch& batch, const std::string& path) {
  std::ofstream out(path, std::ios::binary);
  for (const std::string& name : batch.names()) {
    const HostTensor& field = batch.field(name);
    out << name << ' ' << name_of(field.dtype());
    for (const int64_t size : field.shape().sizes()) out << ' ' << size;
    out << '\n';
  }
  out << '\n';
  for (const std::string& name : batch.names()) {
    const HostTensor& field = batch.field(name);
    out.write(static_cast<const char*>(field.data()), static_cast<std::streamsize>(field.bytes()));
  }
}

void load(const std::string& config, const std::string& out, const std::string& recipe) {
  const auto alone = self_communicator();
  std::ifstream file(config);
  std::stringstream text;
  text << file.rdbuf();
  const auto configuration = Configuration::from_text(text.str(), schema_of("pretrain"), config);
  Log log(1, true, false, 10);
  const Source source(configuration, *alone, log);
  const Dataset& dataset = source.dataset();
  LoaderOptions options = source.loading(*alone, 1);
  options.batch = dataset.samples();
  options.workers = 2;
  Loader loader(dataset, std::make_unique<Sequential>(dataset.block_samples()),
                recipe == "masked" ? source.modality().masked() : source.plain(), options);
  write_batch(*loader.next(), out);
}

}  // namespace

}  // namespace lacuna

int main() {
  std::string config, out, recipe;
  while (std::cin >> config >> out >> recipe) {
    try {
      lacuna::load(config, out, recipe);
    } catch (const lacuna::Error& error) {
      std::cout << "error: " << error.what() << '\n';
    }
    std::cout << "end" << std::endl;
  }
}
