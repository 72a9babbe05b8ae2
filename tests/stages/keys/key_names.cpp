// Messages name keys: each must exist, or what a user is told to set is refused.
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "stages/keys/schema.h"
#include "support/source_folder.h"

namespace lacuna {
namespace {

// The texts of a C++ source: its literals, of which those that follow one another are one.
// Comments, characters and raw literals are left out.
std::vector<std::string> texts_of(std::string_view source) {
  std::vector<std::string> all;
  bool follows = false;  // only blanks and comments since the literal before
  for (size_t i = 0; i < source.size(); ++i) {
    const std::string_view rest = source.substr(i);
    const auto skip_to = [&](std::string_view end) {
      const size_t at = source.find(end, i + 2);
      i = at == std::string_view::npos ? source.size() : at + end.size() - 1;
    };
    if (rest.starts_with("//")) {
      skip_to("\n");
    } else if (rest.starts_with("/*")) {
      skip_to("*/");
    } else if (rest.starts_with("R\"(")) {
      skip_to(")\"");
      follows = false;
    } else if (rest[0] == '\'' && i > 0 &&
               std::isalnum(static_cast<unsigned char>(source[i - 1])) == 0) {
      for (++i; i < source.size() && source[i] != '\''; ++i)
        if (source[i] == '\\') ++i;
      follows = false;
    } else if (rest[0] == '"') {
      if (!follows) all.emplace_back();
      for (++i; i < source.size() && source[i] != '"'; ++i) {
        if (source[i] == '\\') ++i;
        all.back() += source[i];
      }
      follows = true;
    } else if (std::isspace(static_cast<unsigned char>(rest[0])) == 0) {
      follows = false;
    }
  }
  return all;
}

std::set<std::string> names_of_keys() {
  std::set<std::string> all;
  for (const Key& key : full_schema().keys()) all.insert(key.name);
  return all;
}

// What reads as a key in the texts of a source and is none: the name of a section, a dot and a
// word.
std::vector<std::string> strangers(std::string_view source) {
  static const std::set<std::string> keys = names_of_keys();
  static const std::regex form = [] {
    std::set<std::string> sections;
    for (const std::string& key : keys)
      if (const size_t dot = key.find('.'); dot != std::string::npos)
        sections.insert(key.substr(0, dot));
    return std::regex("(^|[^A-Za-z0-9_./-])((?:" + join({sections.begin(), sections.end()}, "|") +
                      ")\\.[a-z][a-z_0-9]*)");
  }();
  std::vector<std::string> found;
  for (const std::string& text : texts_of(source)) {
    for (std::sregex_iterator match(text.begin(), text.end(), form), end; match != end; ++match)
      if (!keys.contains(match->str(2))) found.push_back(match->str(2));
  }
  return found;
}

}  // namespace

TEST_CASE("messages: every key that they name exists") {
  // Names that are no keys: files, an output of a network, a tensor of a checkpoint.
  const std::set<std::string> others = {"train.h5", "test.h5", "encoder.map", "task.outputs",
                                        "task.class_names"};
  const std::filesystem::path root = testing::source_folder() / "src";
  int64_t sources = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".cpp" && entry.path().extension() != ".h") continue;
    ++sources;
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    CAPTURE(entry.path().string());
    for (const std::string& name : strangers(text.str())) {
      CAPTURE(name);
      CHECK(others.contains(name));
    }
  }
  CHECK(sources > 100);
}

TEST_CASE("messages: a key that does not exist is found, also across lines, and nothing else is") {
  using Names = std::vector<std::string>;
  CHECK(strangers("bad_input(\"set data.layout\");") == Names{"data.layout"});
  CHECK(strangers("bad_input(\"set tra\"  // so\n    \"in.bath, or augment.siz\", n);") ==
        Names{"train.bath", "augment.siz"});
  CHECK(strangers("f(\"(train.batches)\", '\"', \"data.what = \", x)") ==
        Names{"train.batches", "data.what"});
  CHECK(strangers("// data.layout\n/* data.layout */ g(options.data.layout, \"train.batch\");") ==
        Names{});
  CHECK(strangers("g(\"runs/data.layout a.train.b metadata.layout\")") == Names{});
}

}  // namespace lacuna
