// From a file to losses: a run whose views the device makes beside one on the CPU, whose views the
// host makes.
#include <catch2/catch.hpp>

#include "backend/list.h"
#include "base/random.h"
#include "cuda/device/support.h"
#include "data/order/order.h"
#include "io/write_hdf5.h"
#include "stages/keys/schema.h"
#include "stages/setup/source.h"
#include "stages/setup/training.h"
#include "support/experiment.h"
#include "support/temporary_folder.h"
#include "support/three_steps.h"
#include "train/loop.h"

namespace {

using namespace lacuna;
using namespace lacuna::testing;

constexpr hsize_t samples = 24;
constexpr int64_t batch = 8;

void write_samples(const std::string& path) {
  std::vector<uint8_t> values(samples * 12 * 10 * 3);
  const Draws draws(3, Purpose::test, 0);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<uint8_t>(draws.below(static_cast<uint32_t>(i), 256));
  written::DataFile file(path);
  file.add("images", H5T_NATIVE_UINT8, H5T_NATIVE_UINT8, {samples, 12, 10, 3}, values.data());
  file.add("table", H5T_NATIVE_UINT8, H5T_NATIVE_UINT8, {samples, 10}, values.data());
}

struct Run {
  std::vector<double> losses;
  bool views_on_device;
};

Run run(const Configuration& configuration, std::unique_ptr<Device> device) {
  const auto self = self_communicator();
  Log silent(1, false, false, 10);
  const Source source(configuration, *self, silent, {.all_parts = true});
  Model model(configuration, source.parts(), *device);
  const Halves halves = source.loaded(model.objective().recipe(), *device);
  Trainer trainer =
      make_trainer(configuration, DType::f32, false, trainable(model, halves), *device, *self);
  trainer.prepare(empty_fields(halves.host->outputs(), batch, DType::f32), {batch});
  LoaderOptions loading = source.loading(*self, 1);
  loading.batch = batch;
  Loader loader(source.dataset(), std::make_unique<Order>(source.order(1)), halves.host, loading);
  Run done{{}, halves.device != nullptr};
  for (int64_t step = 0; step < 3; ++step) {
    const auto rows = loader.next();
    done.losses.push_back(
        trainer.step(fields_of(*rows, DType::f32), {batch}, step, 0.005, 0.1).loss);
  }
  return done;
}

}  // namespace

TEST_CASE("cuda: runs whose views the device makes follow those on the cpu") {
  const TemporaryFolder folder;
  write_samples(folder / "data.h5");
  for (const std::string& objective : objective_names()) {
    CAPTURE(objective);
    std::string text = concat("[objective]\nname = \"", objective, "\"\n", narrow_heads(objective),
                              second_part(objective));
    text += concat(
        "[data]\nfiles = \"", (folder / "data.h5").string(), "\"\ndataset = \"images\"\n",
        "[augment]\nsize = 16\njitter = [0.4, 0.4, 0.4, 0.1]\nblur = [1.0, 0.1]\n",
        "blur_kernel = 3\nnoise = 0.5\n[encoder]\nwidth = 4\n[train]\nbatch = ", batch, "\n");
    const Configuration configuration = Configuration::from_text(text, schema_of("pretrain"));
    const Run cpu = run(configuration, make_device("cpu", 1));
    const Run cuda = run(configuration, cuda_device());
    CHECK(!cpu.views_on_device);
    CHECK(cuda.views_on_device);
    CHECK(cuda.losses[0] == Approx(cpu.losses[0]).epsilon(1e-5));
    for (size_t step = 1; step < cpu.losses.size(); ++step)
      CHECK(cuda.losses[step] == Approx(cpu.losses[step]).epsilon(1e-2));
  }
}
