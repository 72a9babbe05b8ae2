#include "tasks/label_targets.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/text.h"

using namespace lacuna;

namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

LabelColumn integers(std::vector<int64_t> values, int64_t width = 1) {
  return {.type = LabelColumn::Type::integers,
          .path = "label",
          .type_text = "int64",
          .samples = static_cast<int64_t>(values.size()) / width,
          .width = width,
          .integers = std::move(values)};
}

LabelColumn texts(std::vector<std::string> values) {
  return {.type = LabelColumn::Type::texts,
          .path = "label",
          .type_text = "text",
          .samples = static_cast<int64_t>(values.size()),
          .texts = std::move(values)};
}

LabelColumn numbers(std::vector<double> values, int64_t width = 1) {
  return {.type = LabelColumn::Type::numbers,
          .path = "label",
          .type_text = "float64",
          .samples = static_cast<int64_t>(values.size()) / width,
          .width = width,
          .numbers = std::move(values)};
}

LabelTargets classes_of(const LabelColumn& train, const LabelColumn& test,
                        const std::vector<std::string>& given = {}) {
  return label_targets(TargetType::classes, train, test, given);
}

std::string refused(TargetType type, const LabelColumn& train, const LabelColumn& test) {
  try {
    label_targets(type, train, test, {});
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

using Classes = std::vector<int64_t>;
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("labels: numbers from 0 on are classes as they are") {
  const LabelTargets made = classes_of(integers({1, 0, 2, -1}), numbers({2, 1, none, 1}));
  CHECK(made.train.classes == Classes{1, 0, 2, -1});
  CHECK(made.test.classes == Classes{2, 1, -1, 1});
  CHECK(made.train.width == 3);
  CHECK(made.class_names.empty());
  CHECK(made.warnings.empty());
}

TEST_CASE("labels: ids are numbered in their order, names in theirs") {
  const LabelTargets ids = classes_of(integers({700, 5, 700, 31}), integers({31, 5, 8, 9}));
  CHECK(ids.train.classes == Classes{2, 0, 2, 1});
  CHECK(ids.test.classes == Classes{1, 0, 3, 4});
  CHECK(ids.class_names == Names{"5", "31", "700"});
  REQUIRE(ids.warnings.size() == 1);
  CHECK_THAT(ids.warnings[0], Catch::Contains("2 of 4 test samples") && Catch::Contains("(8, 9)"));
  CHECK(classes_of(texts({"10", "9", "9"}), texts({"9", "10", ""})).class_names ==
        Names{"9", "10"});
  // These are no numbers as one would write them: two names, not one.
  CHECK(classes_of(texts({"07", "7", "7"}), texts({"7", "07"})).class_names == Names{"07", "7"});
  // Names are UTF-8, whatever the file holds.
  CHECK(classes_of(texts({"caf\xe9", "\xc3\xa9t\xc3\xa9"}), texts({"caf\xe9"})).class_names ==
        Names{"caf\\xe9", "\xc3\xa9t\xc3\xa9"});
  LabelColumn kinds = integers({1, 0, 1, -1});
  kinds.names = {{-1, "unknown"}, {0, "zebra"}, {1, "ape"}};
  const LabelTargets named = classes_of(kinds, texts({"ape", "zebra"}));
  CHECK(named.class_names == Names{"zebra", "ape"});
  CHECK(named.train.classes == Classes{1, 0, 1, -1});
  CHECK(named.test.classes == Classes{1, 0});
}

TEST_CASE("labels: one-hot rows are the place of their 1, several ones are marks") {
  const LabelTargets made = classes_of(integers({0, 1, 0, 1, 0, 0, 0, 0, 0}, 3), integers({1, 0}));
  CHECK(made.train.classes == Classes{1, 0, -1});
  CHECK(made.train.width == 3);
  const LabelColumn several = integers({1, 1, 0, 0, 1, -1}, 2);
  CHECK_THAT(refused(TargetType::classes, several, several),
             Catch::Contains("marks 2 of 2 classes for sample 0"));
  const LabelTargets marks = label_targets(TargetType::marks, several, several, {});
  CHECK(marks.train.classes == Classes{1, 1, 0, 0, 1, -1});
  CHECK(marks.train.count() == 3);
  CHECK_THAT(refused(TargetType::classes, integers({1, 0, 0, 1}, 2), integers({1, 0, 0}, 3)),
             Catch::Contains("marks 2 classes"));
}

TEST_CASE("labels: what is given, filled or NaN is no label, nor a value") {
  LabelColumn filled = numbers({3, none, 99, 1.5});
  filled.fill = {99};
  const LabelTargets made = label_targets(TargetType::values, filled, numbers({-1, 2}), {"2"});
  CHECK(made.train.values[0] == 3);
  CHECK(!made.train.known(1));
  CHECK(!made.train.known(2));
  CHECK(made.train.known(3));
  CHECK(made.test.values[0] == -1);
  CHECK(!made.test.known(1));
  const LabelTargets given = classes_of(texts({"a", "?", "b"}), texts({"b", "a"}), {"?"});
  CHECK(given.train.classes == Classes{0, -1, 1});
  // Of several values a missing one leaves none.
  const LabelTargets pair =
      label_targets(TargetType::values, numbers({1, none, 3, 4}, 2), numbers({1, 2}, 2), {});
  CHECK(std::isnan(pair.train.values[0]));
  CHECK(pair.train.known(1));
}

TEST_CASE("labels: measurements are no classes, and classes no measurements") {
  const LabelColumn two = integers({0, 1});
  CHECK_THAT(refused(TargetType::classes, numbers({0, 0.5}), two),
             Catch::Contains("sample 1 in label is 0.5") && Catch::Contains("\"ridge\""));
  CHECK_THAT(refused(TargetType::values, texts({"a"}), two), Catch::Contains("\"linear\""));
  CHECK_THAT(refused(TargetType::classes, integers({-1, -1}), two),
             Catch::Contains("no training sample has a class in label"));
  CHECK_THAT(refused(TargetType::classes, two, texts({"x", "y"})),
             Catch::Contains("no class of label (x, y)"));
  std::vector<int64_t> many(3000);
  for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<int64_t>(i);
  CHECK_THAT(refused(TargetType::classes, integers(many), two),
             Catch::Contains("3000 different labels of 3000 samples"));
  many.resize(200);
  CHECK_THAT(classes_of(integers(many), two).warnings.at(0),
             Catch::Contains("more like measurements than classes"));
}
