#include "stages/keys/schema.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "base/text.h"
#include "stages/embed/stage.h"
#include "stages/list.h"
#include "support/source_folder.h"

namespace lacuna {

TEST_CASE("configuration page: its table is the one of the program") {
  const std::string file = (testing::source_folder() / "docs/configuration.md").string();
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  const std::string page = text.str(), begin = "<!-- keys: begin -->\n", end = "<!-- keys: end -->";
  const size_t from = page.find(begin), to = page.find(end);
  REQUIRE(from != std::string::npos);
  REQUIRE(to != std::string::npos);
  const std::string table = page.substr(from + begin.size(), to - from - begin.size());
  const std::string expected = keys_table(full_schema());
  if (std::getenv("LACUNA_WRITE_PAGES") != nullptr) {
    std::ofstream(file) << page.substr(0, from + begin.size()) << expected << page.substr(to);
    return;
  }
  INFO("run lacuna-tests \"configuration page*\" with LACUNA_WRITE_PAGES=1 to write the page:\n"
       << expected);
  CHECK((table == expected));
}

TEST_CASE("schema: every key says what it means in one sentence") {
  for (const Key& key : full_schema().keys()) {
    INFO(key.name);
    CHECK(key.doc.size() > 10);
    CHECK(key.doc.back() == '.');
    CHECK(key.doc.find('|') == std::string::npos);
  }
}

TEST_CASE("schema: a key of another stage is named as such") {
  std::set<std::string> all;
  for (const Key& key : full_schema().keys()) all.insert(key.name);
  for (const char* stage : {"pretrain", "embed", "finetune"}) {
    const Schema schema = schema_of(stage);
    std::set<std::string> known;
    for (const Key& key : schema.keys()) known.insert(key.name);
    for (const auto& [name, where] : schema.foreign()) known.insert(name);
    CHECK(known == all);
  }
}

TEST_CASE("stages: each syntax is understood and explained") {
  for (const Stage& stage : stages()) {
    const Syntax& syntax = stage.syntax;
    INFO(syntax.stage);
    std::vector<std::string> words = {"x"};
    for (const Option& option : syntax.options) {
      if (option.argument.empty()) {
        words.push_back("--" + option.name);
      } else {
        words.push_back("--" + option.name);
        words.push_back(option.choices.empty() ? "a.b=1" : option.choices.back());
      }
    }
    const Arguments given = parse_arguments(syntax, words);
    CHECK(given.argument() == "x");
    for (const Option& option : syntax.options) CHECK(given.given(option.name));
    CHECK(parse_arguments(syntax, {"--help"}).help());
  }
  CHECK(parse_arguments(embed_stage().syntax, {"r", "--data", "d", "--out", "o"}).value("output") ==
        "encoder");
}

}  // namespace lacuna
