#include "stages/setup/plan_file.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "comm/communicator.h"
#include "support/temporary_folder.h"

using namespace lacuna;

TEST_CASE("plan files are read as they were written") {
  const TemporaryFolder folder;
  const auto self = self_communicator();
  write_plan_file(
      folder / "plans.tsv", "a GPU",
      {{"product m 3", "eng7_k24=21", 64, 3}, {"odd one", "", 0, 0}, {"z", "eng1", 0, 1}});
  const auto engines = read_plan_file(folder / "plans.tsv", *self);
  CHECK(engines ==
        std::map<std::string, std::string>{{"product m 3", "eng7_k24=21"}, {"z", "eng1"}});
  CHECK(read_plan_file("", *self).empty());
}

TEST_CASE("what is no plan file is refused") {
  const TemporaryFolder folder;
  const auto self = self_communicator();
  std::ofstream(folder / "other.tsv") << "a\tb\n";
  CHECK_THROWS_WITH(read_plan_file(folder / "other.tsv", *self),
                    Catch::Contains("is no file of plans"));
  write_plan_file(folder / "plans.tsv", "a GPU", {});
  std::ofstream(folder / "plans.tsv", std::ios::app) << "no tab here\n";
  CHECK_THROWS_WITH(read_plan_file(folder / "plans.tsv", *self), Catch::Contains("line 2"));
  CHECK_THROWS_WITH(read_plan_file(folder / "none.tsv", *self), Catch::Contains("none.tsv"));
}
