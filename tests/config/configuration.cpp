#include "config/configuration.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "base/text.h"

namespace lacuna {
namespace {

Schema schema() {
  Schema made;
  made.add({
      key::integer("seed", "1", "Seed of all draws."),
      key::paths("data.files", required, "HDF5 files."),
      key::path("data.labels_file", "", "File with labels."),
      key::bytes("data.buffer", "512 MiB", "Memory of the loader.").min(1).execution(),
      key::numbers("data.range", "auto", "Low and high value.").length(2).or_word("auto"),
      key::integer("train.epochs", "100", "Passes over the data.").unit("epochs").min(1),
      key::boolean("train.ema", "false", "Average the weights."),
      key::one_of("optimizer.name", {"sgd", "lars"}, "sgd", "The optimizer."),
      key::number("optimizer.lr", "0.3", "Peak learning rate.").above(0),
      key::number("optimizer.momentum", "0.9", "Momentum.").min(0).below(1),
      key::some_of("augment.flips", {"horizontal", "vertical"}, "[]", "Axes that are flipped."),
      key::text("embed.field", "images", "Name of a field."),
      key::one_of("objective.name", {"simclr", "byol"}, required, "The objective."),
  });
  made.add_for("objective.name", "simclr",
               {key::number("objective.temperature", "0.2", "Temperature of NT-Xent.").above(0)});
  made.add_for("objective.name", "byol",
               {key::number("objective.momentum", "0.99", "Of the teacher.").between(0, 1)});
  made.add_foreign({key::number("task.fraction", "1", "Fraction of labels.")}, "finetune");
  return made;
}

const std::string minimal = "[data]\nfiles = 'x.h5'\n[objective]\nname = 'simclr'\n";

Configuration read(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return Configuration::from_text(text, schema(), "inputs/a.toml", overrides);
}

// The message of the refusal, or "accepted".
std::string refusal(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    read(text, overrides);
  } catch (const Error& error) {
    CHECK(error.status() == ExitStatus::bad_input);
    return error.what();
  }
  return "accepted";
}

// A folder of its own under the system's, removed at the end; also the working directory meanwhile.
class WorkingFolder {
 public:
  WorkingFolder() : before_(std::filesystem::current_path()) {
    std::string name =
        (std::filesystem::temp_directory_path() / "lacuna-configuration-XXXXXX").string();
    path_ = mkdtemp(name.data());
    std::filesystem::current_path(path_);
  }
  ~WorkingFolder() {
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(path_);
  }
  const std::string& path() const { return path_; }

 private:
  std::filesystem::path before_;
  std::string path_;
};

}  // namespace

TEST_CASE("configuration: defaults are filled in and the file overrides them") {
  const auto config = read(minimal + "[train]\nepochs = 7\n[optimizer]\nlr = 1\n");
  CHECK(config.integer("train.epochs") == 7);
  CHECK(config.is_set("train.epochs"));
  CHECK(config.place("train.epochs") == "inputs/a.toml, line 6");
  CHECK(config.integer("seed") == 1);
  CHECK_FALSE(config.is_set("seed"));
  CHECK(config.place("seed") == "the default");
  CHECK(config.number("optimizer.lr") == 1.0);
  CHECK_FALSE(config.boolean("train.ema"));
  CHECK(config.bytes("data.buffer") == 536870912);
  CHECK(config.is("data.range", "auto"));
  CHECK(config.text("embed.field") == "images");
  CHECK(config.texts("augment.flips").empty());
}

TEST_CASE("configuration: a word may stand in place of a list") {
  const auto config = read(minimal + "[data.extra]\n", {"data.range=[0, 4095.5]"});
  CHECK_FALSE(config.is("data.range", "auto"));
  CHECK(config.numbers("data.range") == std::vector<double>{0, 4095.5});
}

TEST_CASE("configuration: an interval is two numbers, the smaller one first") {
  const auto of = [](const std::string& range) {
    return read(minimal, {"data.range=" + range}).interval("data.range");
  };
  CHECK(of("[-2, 0.5]") == std::array{-2.0, 0.5});
  CHECK(of("[3, 3]") == std::array{3.0, 3.0});
  CHECK_THROWS_WITH(of("[4, 3]"), Catch::Contains("data.range = [4, 3] has its lowest value last"));
}

TEST_CASE("configuration: byte sizes have binary and decimal units") {
  CHECK(read(minimal, {"data.buffer=1.5 GiB"}).bytes("data.buffer") == 1610612736);
  CHECK(read(minimal, {"data.buffer=2 GB"}).bytes("data.buffer") == 2000000000);
  CHECK(read(minimal, {"data.buffer=64KiB"}).bytes("data.buffer") == 65536);
  CHECK(read(minimal, {"data.buffer=4096"}).bytes("data.buffer") == 4096);
  CHECK(refusal(minimal, {"data.buffer=64 KiBi"}) ==
        "--set data.buffer=64 KiBi: data.buffer is \"64 KiBi\", a text; it must be a byte size "
        "such as "
        "\"512 MiB\" or an integer of at least 1");
}

TEST_CASE("configuration: an unknown key is named with its line and the nearest key") {
  CHECK(refusal(minimal + "[optimizer]\nmomentun = 0.5\n") ==
        "inputs/a.toml, line 6: there is no key optimizer.momentun; did you mean "
        "optimizer.momentum?");
  CHECK(refusal(minimal + "[train]\nlr = 0.5\n") ==
        "inputs/a.toml, line 6: there is no key train.lr; did you mean optimizer.lr?");
  CHECK(
      refusal(minimal + "[train]\ncheckpoints_kept = 2\n") ==
      "inputs/a.toml, line 6: there is no key train.checkpoints_kept; section train has train.ema, "
      "train.epochs");
  CHECK(refusal(minimal + "[network]\ndepth = 2\n") ==
        "inputs/a.toml, line 6: there is no key network.depth; the sections are augment, data, "
        "embed, "
        "objective, optimizer, train");
  CHECK(refusal(minimal, {"optimizer.rl=3"}) ==
        "--set optimizer.rl=3: there is no key optimizer.rl; did you mean optimizer.lr?");
  CHECK(refusal("optimizer = 'sgd'\n" + minimal) ==
        "inputs/a.toml, line 1: optimizer is a section, not a key; its keys are optimizer.lr, "
        "optimizer.momentum, optimizer.name");
  CHECK(refusal(minimal + "[task]\nfraction = 0.5\n") ==
        "inputs/a.toml, line 6: task.fraction is a key of finetune; it has no meaning here");
}

TEST_CASE("configuration: a wrong type is named with what it is and what it must be") {
  CHECK(
      refusal(minimal + "[train]\n\nepochs = 3.5\n") ==
      "inputs/a.toml, line 7: train.epochs is 3.5, a number; it must be an integer of at least 1");
  CHECK(refusal(minimal + "[train]\nema = 1\n") ==
        "inputs/a.toml, line 6: train.ema is 1, an integer; it must be true or false");
  CHECK(refusal(minimal, {"optimizer.lr=fast"}) ==
        "--set optimizer.lr=fast: optimizer.lr is \"fast\", a text; it must be a number above 0");
  CHECK(refusal(minimal, {"optimizer.lr=nan"}) ==
        "--set optimizer.lr=nan: optimizer.lr is nan, a number; it must be a number above 0");
  CHECK(
      refusal(minimal, {"data.range=[1, 'b']"}) ==
      "--set data.range=[1, 'b']: data.range is [1, \"b\"], a list; it must be a list of 2, each a "
      "number, or \"auto\"");
}

TEST_CASE("configuration: a value out of range is named with the range") {
  CHECK(refusal(minimal, {"train.epochs=0"}) ==
        "--set train.epochs=0: train.epochs is 0; it must be an integer of at least 1");
  CHECK(
      refusal(minimal, {"optimizer.momentum=1"}) ==
      "--set optimizer.momentum=1: optimizer.momentum is 1; it must be a number of at least 0 and "
      "below 1");
  CHECK(refusal(minimal, {"data.range=[1]"}) ==
        "--set data.range=[1]: data.range is [1]; it must be a list of 2, each a number, or "
        "\"auto\"");
  CHECK(refusal(minimal, {"augment.flips=['horizontl']"}) ==
        "--set augment.flips=['horizontl']: augment.flips is [\"horizontl\"]; it must be a list, "
        "each "
        "one of \"horizontal\", \"vertical\"");
  CHECK(refusal(minimal, {"optimizer.name=sdg"}) ==
        "--set optimizer.name=sdg: optimizer.name is \"sdg\"; it must be one of \"sgd\", \"lars\"; "
        "did "
        "you mean \"sgd\"?");
}

TEST_CASE("configuration: a missing key is named with what it must be") {
  CHECK(
      refusal("[objective]\nname = 'byol'\n") ==
      "inputs/a.toml: data.files is missing; set it to a list, each a path (a text) (HDF5 files.)");
}

TEST_CASE("configuration: text that is not TOML is named with its line") {
  CHECK_THAT(refusal("[data]\nfiles = \n"),
             Catch::StartsWith("inputs/a.toml, line 2: not valid TOML: "));
  CHECK_THAT(refusal("[+train]\n"), Catch::StartsWith("inputs/a.toml, line 1: not valid TOML: "));
  CHECK_THAT(refusal("seed = 1\n\nseed = 2\n"),
             Catch::StartsWith("inputs/a.toml, line 3: not valid TOML: "));
  CHECK(refusal("\x89HDF\r\n\x1a\n") ==
        "inputs/a.toml, line 1: not valid TOML: a byte that is not UTF-8");
  // Letters that toml++ 3.3 takes to be impossible where it looks for blanks.
  for (const char* text : {"gr\u00f6\u00dfe = 1\n", "seed = \u03bc\n", "seed = [1,\u0364]\n",
                           "\u2ea6\n", "\u00e9", "seed = 1 \u00e9\n"}) {
    INFO(text);
    CHECK_THAT(refusal(text), Catch::StartsWith("inputs/a.toml, line 1: not valid TOML: "));
  }
  CHECK(refusal("seed = 1\ns\xf0\x9f = 2\n") ==
        "inputs/a.toml, line 2: not valid TOML: a byte that is not UTF-8");
}

TEST_CASE("configuration: all problems are reported at once in the order of lines") {
  CHECK(
      refusal("seed = 'one'\n[train]\nepochs = -1\n[objective]\nname = 'byol'\ntemperature = 1\n"
              "[optimizer]\ndecay_of_weights = 1\n",
              {"optimizer.lr", "train.emma=true"}) ==
      "inputs/a.toml, line 1: seed is \"one\", a text; it must be an integer\n"
      "inputs/a.toml, line 3: train.epochs is -1; it must be an integer of at least 1\n"
      "inputs/a.toml, line 6: objective.temperature is a key of simclr, not of byol, which "
      "objective.name chooses (inputs/a.toml, line 5); remove one of the two\n"
      "inputs/a.toml, line 8: there is no key optimizer.decay_of_weights; section optimizer has "
      "optimizer.lr, optimizer.momentum, optimizer.name\n"
      "inputs/a.toml: data.files is missing; set it to a list, each a path (a text) (HDF5 files.)\n"
      "--set optimizer.lr: give it as key=value, such as --set optimizer.lr=0.3\n"
      "--set train.emma=true: there is no key train.emma; did you mean train.ema?");
}

TEST_CASE("configuration: keys exist for the chosen name only") {
  const auto simclr = read(minimal);
  CHECK(simclr.number("objective.temperature") == 0.2);
  CHECK_FALSE(simclr.has("objective.momentum"));
  const auto byol = read(minimal, {"objective.name=byol", "objective.momentum=1"});
  CHECK(byol.number("objective.momentum") == 1.0);
  CHECK_FALSE(byol.has("objective.temperature"));
  CHECK(byol.resolved().find("temperature") == std::string::npos);
}

TEST_CASE("configuration: a wrong choice is reported once without its keys") {
  CHECK(refusal("[data]\nfiles = 'x'\n[objective]\nname = 'simclear'\ntemperature = 0.1\n") ==
        "inputs/a.toml, line 4: objective.name is \"simclear\"; it must be one of \"simclr\", "
        "\"byol\"; did you mean \"simclr\"?");
}

TEST_CASE("configuration: one key may differ between the names that have it") {
  Schema made;
  made.add({key::one_of("encoder.name", {"vit", "resnet"}, "vit", "The encoder.")});
  made.add_for("encoder.name", "vit", {key::integer("encoder.width", "192", "Features.").min(1)});
  made.add_for("encoder.name", "resnet", {key::integer("encoder.width", "64", "Channels.").min(1)});
  CHECK(Configuration::from_text("", made).integer("encoder.width") == 192);
  CHECK(Configuration::from_text("", made, "a", {"encoder.name=resnet"}).integer("encoder.width") ==
        64);
}

TEST_CASE("configuration: overrides accept bare words and keep texts texts") {
  const auto config = read(minimal, {"embed.field=1e5", "optimizer.name = lars", "train.ema=true",
                                     "augment.flips=vertical", "optimizer.lr=1", "optimizer.lr=2"});
  CHECK(config.text("embed.field") == "1e5");
  CHECK(config.boolean("train.ema"));
  CHECK(config.texts("augment.flips") == std::vector<std::string>{"vertical"});
  CHECK(config.number("optimizer.lr") == 2.0);
  CHECK(config.place("optimizer.lr") == "--set optimizer.lr=2");
  CHECK(read(minimal, {"embed.field=\"quoted # text\""}).text("embed.field") == "quoted # text");
  CHECK(read(minimal, {"embed.field=2024-01-01"}).text("embed.field") == "2024-01-01");
  CHECK(read(minimal, {"embed.field="}).text("embed.field").empty());
}

TEST_CASE("configuration: paths are relative to the file or to the working directory") {
  const WorkingFolder here;
  std::filesystem::create_directories("inputs");
  std::ofstream("inputs/a.toml")
      << "[data]\nfiles = ['../d/*.h5', '/abs/./x.h5']\nlabels_file = 'l.h5'\n"
         "[objective]\nname = 'byol'\n";
  const auto config = Configuration::load("inputs/a.toml", schema(), {});
  CHECK(config.paths("data.files") ==
        std::vector<std::string>{here.path() + "/d/*.h5", "/abs/x.h5"});
  CHECK(config.path("data.labels_file") == here.path() + "/inputs/l.h5");
  const auto set = Configuration::load("inputs/a.toml", schema(), {"data.files=d/*.h5"});
  CHECK(set.paths("data.files") == std::vector<std::string>{here.path() + "/d/*.h5"});
  CHECK(set.path("data.labels_file") == here.path() + "/inputs/l.h5");
  CHECK(Configuration::load("inputs/a.toml", schema(), {"data.labels_file="})
            .path("data.labels_file")
            .empty());
}

TEST_CASE("configuration: a file that cannot be read is refused in one sentence") {
  const WorkingFolder here;
  CHECK_THROWS_WITH(Configuration::load("none.toml", schema()),
                    "cannot read configuration none.toml: No such file or directory");
  CHECK_THROWS_WITH(Configuration::load(".", schema()),
                    "configuration . is a folder; give a TOML file");
}

TEST_CASE("configuration: the resolved text is complete and sorted and loads again unchanged") {
  const auto config = Configuration::from_text(
      minimal, schema(), "/work/a.toml",
      {"optimizer.lr=1e-7", "embed.field=a \"b\" \\ \xc3\xa4\x01", "data.range=[0, 1]", "seed=-3"});
  const std::string text = config.resolved();
  CHECK(text == R"(seed = -3

[augment]
flips = []

[data]
buffer = 536870912
files = ["/work/x.h5"]
labels_file = ""
range = [0.0, 1.0]

[embed]
field = "a \"b\" \\ ä\u0001"

[objective]
name = "simclr"
temperature = 0.2

[optimizer]
lr = 1e-07
momentum = 0.9
name = "sgd"

[train]
ema = false
epochs = 100
)");
  const auto again = Configuration::from_text(text, schema());
  CHECK(again.resolved() == text);
  CHECK(again.number("optimizer.lr") == 1e-7);
  CHECK(again.text("embed.field") == config.text("embed.field"));
  CHECK(differences(config, again).empty());
}

TEST_CASE(
    "configuration: differences name key and values and whether execution alone is concerned") {
  const auto a = read(minimal);
  const auto b = read(minimal, {"objective.name=byol", "data.buffer=1 MiB"});
  const auto all = differences(a, b);
  REQUIRE(all.size() == 4);
  CHECK(all[0].key == "data.buffer");
  CHECK(all[0].a == "536870912");
  CHECK(all[0].b == "1048576");
  CHECK(all[0].execution);
  CHECK(all[1].key == "objective.momentum");
  CHECK(all[1].a.empty());
  CHECK(all[1].b == "0.99");
  CHECK_FALSE(all[1].execution);
  CHECK(all[2].key == "objective.name");
  CHECK(all[3].key == "objective.temperature");
  CHECK(all[3].a == "0.2");
  CHECK(all[3].b.empty());
}

TEST_CASE("configuration: with changes keys and keeps the places of the others") {
  const auto config = read(minimal, {"train.epochs=3"});
  const auto changed = config.with({"optimizer.lr=2"});
  CHECK(changed.number("optimizer.lr") == 2.0);
  CHECK(changed.place("train.epochs") == "--set train.epochs=3");
  CHECK(changed.paths("data.files") == config.paths("data.files"));
  CHECK_FALSE(changed.is_set("seed"));
  CHECK_THROWS_AS(config.with({"optimizer.lr=-2"}), Error);
}

TEST_CASE("configuration: checks of several values are reported at once") {
  int run = 0;
  const auto refuse = [&](const char* sentence) {
    return [&run, sentence] {
      ++run;
      bad_input(sentence);
    };
  };
  CHECK_THROWS_WITH(check_all({refuse("a"), [&] { ++run; }, refuse("b")}), "a\nb");
  CHECK(run == 3);
  CHECK_NOTHROW(check_all({[] {}}));
  CHECK_THROWS_WITH(check_all({refuse("a"), [] { throw Error(ExitStatus::no_space, "full"); }}),
                    "full");
}

TEST_CASE("configuration: the table of keys shows default and unit and range") {
  const std::string table = keys_table(schema());
  CHECK_THAT(table, Catch::Contains("### [train]"));
  CHECK_THAT(
      table,
      Catch::Contains("| `train.epochs` | `100` | epochs | at least 1 | Passes over the data. |"));
  CHECK_THAT(table,
             Catch::Contains("| `data.buffer` | `512 MiB` | bytes | at least 1 | Memory of the "
                             "loader. *Execution.* |"));
  CHECK_THAT(table,
             Catch::Contains("| `objective.temperature` | `0.2` |  | above 0 | Of simclr: "));
  CHECK_THAT(table, Catch::Contains("| `data.range` | `\"auto\"` |  | list of 2: any number, or "
                                    "\"auto\" |"));
}

namespace {

// A sample's keys, and those of a part of it that exists where clip is chosen.
Schema with_part() {
  const std::vector<Key> of_sample = {
      key::text("data.dataset", required, "Path of the samples."),
      key::one_of("data.kind", {"image", "signal"}, "image", "What a sample is."),
      key::number("augment.flip", "0.5", "Share that is flipped.").only_if("data.kind", {"image"}),
      key::number("augment.shift", "0", "Largest shift.").only_if("data.kind", {"signal"}),
  };
  Schema made;
  made.add({key::one_of("objective.name", {"simclr", "clip"}, required, "The objective."),
            key::integer("data.window", "3", "Of the order.")});
  made.add(of_sample);
  for (Key key : of_sample)
    made.add({std::move(key).under("part.paired", "objective.name", {"clip"})});
  return made;
}

Configuration paired(const std::string& text) {
  return Configuration::from_text(text, with_part(), "a.toml");
}

const std::string clip_of_two =
    "[objective]\nname = 'clip'\n[data]\ndataset = 'x'\nwindow = 5\n[augment]\nflip = 0.1\n"
    "[part.paired.data]\ndataset = 'y'\nkind = 'signal'\n[part.paired.augment]\nshift = 2\n";

}  // namespace

TEST_CASE("configuration: the keys of a section stand in the place of those that they repeat") {
  const Configuration whole = paired(clip_of_two);
  CHECK(whole.text("data.dataset") == "x");
  CHECK(whole.text("part.paired.data.dataset") == "y");
  const Configuration part = whole.section("part.paired");
  CHECK(part.text("data.dataset") == "y");
  CHECK(part.is("data.kind", "signal"));
  CHECK(part.number("augment.shift") == 2);
  CHECK(part.integer("data.window") == 5);
  CHECK_FALSE(part.has("augment.flip"));  // of the sample, which is an image
  CHECK_FALSE(part.has("part.paired.data.dataset"));
  CHECK(part.place("augment.shift") == "a.toml, line 12");
  CHECK(paired(whole.resolved()).resolved() == whole.resolved());
}

TEST_CASE("configuration: a key whose selector is not chosen is refused by the choice above it") {
  CHECK_THROWS_WITH(
      paired("[objective]\nname = 'simclr'\n[data]\ndataset = 'x'\n[part.paired.augment]\n"
             "flip = 0.1\n"),
      "a.toml, line 6: part.paired.augment.flip is a key of clip, not of simclr, which "
      "objective.name chooses (a.toml, line 2); remove one of the two");
  CHECK_THROWS_WITH(
      paired(clip_of_two + "flip = 1\n"),
      "a.toml, line 13: part.paired.augment.flip is a key of image, not of signal, which "
      "part.paired.data.kind chooses (a.toml, line 10); remove one of the two");
  CHECK_THROWS_WITH(paired("[objective]\nname = 'clip'\n[data]\ndataset = 'x'\n"),
                    Catch::StartsWith("a.toml: part.paired.data.dataset is missing"));
  CHECK_FALSE(paired("[objective]\nname = 'simclr'\n[data]\ndataset = 'x'\n")
                  .has("part.paired.data.dataset"));
}

}  // namespace lacuna
