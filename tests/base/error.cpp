#include "base/error.h"

#include <catch2/catch.hpp>

namespace lacuna {

TEST_CASE("error: every line of a message begins with the name of the program") {
  CHECK(error_message("no file") == "lacuna: no file\n");
  CHECK(error_message("a.toml, line 1: x\na.toml, line 2: y") ==
        "lacuna: a.toml, line 1: x\nlacuna: a.toml, line 2: y\n");
}

TEST_CASE("error: a bad input carries its sentence and status") {
  try {
    bad_input("batch ", 3, " is smaller than ", 4, " ranks");
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.status() == ExitStatus::bad_input);
    CHECK(std::string(error.what()) == "batch 3 is smaller than 4 ranks");
  }
}

}  // namespace lacuna
