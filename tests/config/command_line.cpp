#include "config/command_line.h"

#include <catch2/catch.hpp>

namespace lacuna {
namespace {

Syntax syntax() {
  return {"embed",
          "RUN",
          "Folder of a run.",
          "Writes representations.",
          {{.name = "data", .argument = "FILE.h5", .doc = "Data set to embed.", .required = true},
           {.name = "set", .argument = "KEY=VALUE", .doc = "Changes a key.", .repeated = true},
           {.name = "checkpoint",
            .argument = "last|best|STEP",
            .doc = "Which checkpoint.",
            .default_value = "last",
            .choices = {"last", "best"},
            .or_number = true},
           {.name = "out", .argument = "FILE.h5", .doc = "Output."},
           {.name = "force", .argument = "", .doc = "Replace the output."}}};
}

using Words = std::vector<std::string>;

std::string refusal(const Words& words) {
  try {
    parse_arguments(syntax(), words);
  } catch (const Error& error) {
    CHECK(error.status() == ExitStatus::bad_input);
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("command line: options and switches and defaults are told apart") {
  const auto given = parse_arguments(syntax(), {"--data", "a.h5", "runs/x", "--force"});
  CHECK(given.argument() == "runs/x");
  CHECK(given.value("data") == "a.h5");
  CHECK(given.given("force"));
  CHECK(given.value("checkpoint") == "last");
  CHECK_FALSE(given.given("checkpoint"));
  CHECK_FALSE(given.given("out"));
  CHECK(given.value("out").empty());
  CHECK(given.values("set").empty());
  const auto other = parse_arguments(syntax(), {"runs/x", "--data=a.h5", "--checkpoint=1200"});
  CHECK_FALSE(other.given("force"));
  CHECK(other.value("checkpoint") == "1200");
}

TEST_CASE("command line: settings may follow one --set or several") {
  const Words expected = {"a.b=1", "c=[1, 2]", "d=-3"};
  CHECK(parse_arguments(
            syntax(), {"x", "--data", "d", "--set", "a.b=1", "--set", "c=[1, 2]", "--set", "d=-3"})
            .values("set") == expected);
  const auto together =
      parse_arguments(syntax(), {"--data", "d", "--set", "a.b=1", "c=[1, 2]", "d=-3", "x"});
  CHECK(together.values("set") == expected);
  CHECK(together.argument() == "x");
}

TEST_CASE("command line: an unknown option gets the nearest one") {
  CHECK(refusal({"x", "--date", "a.h5", "--data", "b"}) ==
        "embed has no option --date; did you mean --data?");
  CHECK(refusal({"x", "--data", "b", "--gpu=3"}) ==
        "embed has no option --gpu; it has --help, --data, --set, --checkpoint, --out, --force");
  CHECK(refusal({"x", "--data", "b", "--chec", "best"}) ==
        "embed has no option --chec; it has --help, --data, --set, --checkpoint, --out, --force");
}

TEST_CASE("command line: what is missing or too much is named") {
  CHECK(refusal({"--data", "a"}) ==
        "RUN is missing: lacuna embed RUN --data FILE.h5 [--set KEY=VALUE ...] [--checkpoint "
        "last|best|STEP] [--out FILE.h5] [--force]");
  CHECK(refusal({"x", "y", "--data", "a"}) == "embed takes one RUN, but there are 2 (x, y)");
  CHECK(refusal({"x"}) == "--data FILE.h5 is missing: Data set to embed.");
  CHECK(refusal({"x", "--data"}) == "--data needs a value: --data FILE.h5");
  CHECK(refusal({"x", "--data", "--force"}) ==
        "--data needs a value (FILE.h5), but --force follows");
  CHECK(refusal({"x", "--data="}) == "--data needs a value: --data FILE.h5");
  CHECK(refusal({"x", "--data", "a", "--force=yes"}) == "--force takes no value; give it alone");
  CHECK(refusal({"x", "--data", "a", "--data", "b"}) ==
        "--data is given 2 times (a, b); give it once");
  CHECK(refusal({"x", "--data", "a", "--checkpoint", "beast"}) ==
        "--checkpoint is beast; it must be last or best or a number; did you mean best?");
  CHECK(refusal({"x", "--foce", "--checkpoint", "1e3"}) ==
        "embed has no option --foce; did you mean --force?\n"
        "--data FILE.h5 is missing: Data set to embed.\n"
        "--checkpoint is 1e3; it must be last or best or a number");
}

TEST_CASE("command line: help needs nothing else and shows every option") {
  CHECK(parse_arguments(syntax(), {"--help"}).help());
  CHECK(parse_arguments(syntax(), {"-h"}).help());
  const std::string text = help_text(syntax());
  CHECK_THAT(text, Catch::StartsWith("lacuna embed RUN --data FILE.h5 ["));
  for (const Option& option : syntax().options) {
    CHECK_THAT(text, Catch::Contains("--" + option.name));
    CHECK_THAT(text, Catch::Contains(option.doc));
  }
  CHECK_THAT(text, Catch::Contains("Which checkpoint. [last]"));
}

}  // namespace lacuna
