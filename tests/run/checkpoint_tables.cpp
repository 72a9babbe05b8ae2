#include "run/checkpoint_tables.h"

#include <catch2/catch.hpp>

#include "support/temporary_folder.h"

using namespace lacuna;

TEST_CASE("checkpoint: what each step took of each stream comes back") {
  const TemporaryFolder run;
  CheckpointInfo info;
  info.step = 10;
  info.streams = {"target", "third"};
  info.batches = BatchTable::constant({256, 7, 1});
  info.batches.change(4, {128, 7, 3});
  info.position = info.batches.position(10);
  CHECK(info.position == 4 * 256 + 6 * 128);
  const float value = 1;
  const std::vector<NamedTensor> tensors = {{"weight", DType::f32, {1}, &value}};
  CheckpointWriter writer(run.path(), {}, 0);
  writer.start(info, tensors);
  writer.wait();
  const CheckpointInfo found = read_checkpoint(checkpoint_folder(run.path(), 10)).info;
  CHECK(found.batches == info.batches);
  CHECK(found.streams == info.streams);
  CHECK(found.batches.position(10, 2) == 4 + 18);
}
