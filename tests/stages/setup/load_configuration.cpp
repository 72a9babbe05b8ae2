#include "stages/setup/load_configuration.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "comm/agree.h"
#include "comm/communicator.h"
#include "support/temporary_folder.h"

namespace lacuna {

TEST_CASE("load configuration: the file is read for all ranks and its errors are agreed") {
  const TemporaryFolder folder;
  const auto communicator = self_communicator();
  std::ofstream(folder / "a.toml") << "seed = 7\n";
  Schema small;
  small.add({key::integer("seed", "1", "Seed of the draws."), key::path("file", "", "A file.")});
  const auto config = load_configuration(folder / "a.toml", small, {}, *communicator);
  CHECK(config.integer("seed") == 7);
  CHECK(config.place("seed") == (folder / "a.toml").string() + ", line 1");
  CHECK_THROWS_AS(load_configuration(folder / "b.toml", small, {}, *communicator), AgreedError);
  CHECK_THROWS_AS(load_configuration(folder / "a.toml", small, {"sead=1"}, *communicator),
                  AgreedError);
}

}  // namespace lacuna
