#include "base/error.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "support/source_folder.h"

namespace lacuna {
namespace {

std::string read(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(testing::source_folder() / name).rdbuf();
  return std::move(text).str();
}

// "name = number" of each match of a pattern that has both as groups.
std::vector<std::string> pairs(const std::string& text, const std::regex& pattern, size_t name,
                               size_t number) {
  std::vector<std::string> found;
  for (std::sregex_iterator match(text.begin(), text.end(), pattern), end; match != end; ++match) {
    found.push_back((*match)[name].str() + " = " + (*match)[number].str());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

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

TEST_CASE("error: the page of exit statuses lists exactly those of the program") {
  const std::string header = read("src/base/error.h");
  const size_t begin = header.find("enum class ExitStatus");
  REQUIRE(begin != std::string::npos);
  const std::string statuses = header.substr(begin, header.find("};", begin) - begin);
  const auto in_program = pairs(statuses, std::regex("\\n  (\\w+) =\\s+(\\d+),"), 1, 2);
  const auto on_page =
      pairs(read("docs/exit-status.md"), std::regex("\\n\\| (\\d+) \\| `(\\w+)` \\|"), 2, 1);
  CHECK(in_program.size() >= 8);
  CHECK(on_page == in_program);
}

}  // namespace lacuna
