#include "tasks/label_targets.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"

namespace lacuna {

namespace {

using Type = LabelColumn::Type;
constexpr size_t most_shown = 10;

// "0 = cat, 1 = dog, ... (12 in all)", or names alone.
std::string some_names(const std::vector<std::string>& names, bool numbered) {
  std::vector<std::string> shown;
  for (size_t i = 0; i < std::min(names.size(), most_shown); ++i)
    shown.push_back(numbered ? concat(i, " = ", names[i]) : names[i]);
  const std::string text = join(shown);
  return names.size() > most_shown ? concat(text, ", ... (", names.size(), " in all)") : text;
}

// Bytes that are no UTF-8 as "\xe9": names go into JSON and HDF5.
std::string as_utf8(const std::string& name) {
  std::string text;
  for (size_t i = 0; i < name.size();) {
    const auto lead = static_cast<unsigned char>(name[i]);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xc2 && lead < 0xe0 ? 2
                          : lead >= 0xe0 && lead < 0xf0 ? 3
                          : lead >= 0xf0 && lead < 0xf5 ? 4
                                                        : 0;
    const std::string letter = name.substr(i, std::max<size_t>(length, 1));
    const bool whole =
        length > 0 && letter.size() == length &&
        std::all_of(letter.begin() + 1, letter.end(), [](char c) { return (c & 0xc0) == 0x80; });
    if (whole) {
      text += letter;
      i += length;
    } else {
      constexpr const char* digits = "0123456789abcdef";
      text += {'\\', 'x', digits[lead / 16], digits[lead % 16]};
      ++i;
    }
  }
  return text;
}

bool contains(const std::vector<double>& values, double value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// A column, and why some samples of it have no label.
class Labels {
 public:
  Labels(const LabelColumn& read, TargetType wanted, const std::vector<std::string>& given)
      : column(read), wanted_(wanted), given_texts_(given.begin(), given.end()) {
    for (const std::string& text : given)
      if (const std::optional<double> number = as_number<double>(text)) given_.push_back(*number);
  }

  const LabelColumn& column;

  int64_t elements() const { return column.samples * column.width; }
  double number(int64_t i) const {
    const auto at = static_cast<size_t>(i);
    return column.type == Type::integers ? static_cast<double>(column.integers[at])
                                         : column.numbers[at];
  }
  const std::string& text(int64_t i) const { return column.texts[static_cast<size_t>(i)]; }
  // "7", "cat"
  std::string shown(int64_t i) const {
    if (column.type == Type::texts) return text(i);
    if (column.type == Type::numbers) return concat(number(i));
    const int64_t value = column.integers[static_cast<size_t>(i)];
    const auto name = column.names.find(value);
    return name == column.names.end() ? std::to_string(value) : name->second;
  }
  int64_t sample_of(int64_t i) const { return i / column.width; }

  // Whether the element says that there is no label; keeps the reason.
  bool is_missing(int64_t i) { return why_missing(i, true); }
  bool would_be_missing(int64_t i) { return why_missing(i, false); }
  void add_reason(const std::string& reason) { reasons_.insert(reason); }

  // "12 of 80 training samples have no label (labels is negative there): …"
  std::string unlabelled_text(int64_t count, const std::string& samples,
                              const std::string& consequence) const {
    return concat(count, " of ", column.samples, " ", samples, " have no label (", column.path,
                  " is ", join({reasons_.begin(), reasons_.end()}, " or "),
                  " there): ", consequence);
  }

 private:
  bool why_missing(int64_t i, bool keep) {
    const auto because = [&](const std::string& reason) {
      if (keep) reasons_.insert(reason);
      return true;
    };
    if (column.type == Type::texts) {
      if (text(i).empty()) return because("empty");
      return given_texts_.contains(text(i)) && because(concat("\"", text(i), "\""));
    }
    const double value = number(i);
    if (std::isnan(value)) return because("NaN");
    if (contains(column.fill, value)) return because(concat("the fill value ", value));
    if (contains(given_, value)) return because(concat(value));
    if (given_texts_.contains(shown(i))) return because(shown(i));
    return wanted_ != TargetType::values && value < 0 && because("negative");
  }

  TargetType wanted_;
  std::set<std::string> given_texts_;
  std::vector<double> given_;
  std::set<std::string> reasons_;
};

// ---- numbers and names of classes

[[noreturn]] void refuse_fraction(const Labels& labels, int64_t i) {
  const std::string& path = labels.column.path;
  bad_input("the label of sample ", labels.sample_of(i), " in ", path, " is ", labels.number(i),
            ", and classes are whole numbers or names: set task.name = \"ridge\" or \"regress\" to "
            "learn such values, or give a column of classes");
}

// The whole number that a label is.
int64_t whole(const Labels& labels, int64_t i) {
  if (labels.column.type == Type::integers) return labels.column.integers[static_cast<size_t>(i)];
  constexpr double most = 0x1p53;  // up to which doubles hold every whole number
  const double value = labels.number(i);
  if (!(std::abs(value) <= most) || value != std::trunc(value)) refuse_fraction(labels, i);
  return static_cast<int64_t>(value);
}

// Texts that are whole numbers, as they would be written.
std::optional<std::vector<int64_t>> numbers_in(Labels& labels) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < labels.elements(); ++i) {
    if (labels.would_be_missing(i)) {
      numbers.push_back(-1);
      continue;
    }
    const std::optional<int64_t> number = as_number<int64_t>(labels.text(i));
    if (!number || std::to_string(*number) != labels.text(i)) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

// Classes of samples before they are numbered: distinct labels in order, and of each sample which
// one it has, or -1.
struct Distinct {
  std::vector<std::string> names;
  std::vector<int64_t> of_sample;
};

template <typename T>
Distinct distinct(Labels& labels, const std::function<std::optional<T>(int64_t)>& value_of,
                  const std::function<std::string(const T&)>& name_of) {
  std::map<T, int64_t> place;
  std::vector<std::optional<T>> values;
  for (int64_t i = 0; i < labels.column.samples; ++i) {
    values.push_back(value_of(i));
    if (values.back()) place[*values.back()] = 0;
  }
  Distinct all;
  for (auto& [value, number] : place) {
    number = static_cast<int64_t>(all.names.size());
    all.names.push_back(name_of(value));
  }
  for (const std::optional<T>& value : values) all.of_sample.push_back(value ? place[*value] : -1);
  return all;
}

Distinct distinct_labels(Labels& labels) {
  if (labels.column.type == Type::texts) {
    const std::optional<std::vector<int64_t>> numbers = numbers_in(labels);
    if (!numbers)
      return distinct<std::string>(
          labels,
          [&](int64_t i) {
            return labels.is_missing(i) ? std::nullopt : std::optional(labels.text(i));
          },
          [](const std::string& name) { return as_utf8(name); });
    return distinct<int64_t>(
        labels,
        [&](int64_t i) -> std::optional<int64_t> {
          const int64_t number = (*numbers)[static_cast<size_t>(i)];
          if (labels.is_missing(i)) return std::nullopt;
          if (number < 0) labels.add_reason("negative");
          return number < 0 ? std::nullopt : std::optional(number);
        },
        [](int64_t number) { return std::to_string(number); });
  }
  return distinct<int64_t>(
      labels,
      [&](int64_t i) {
        return labels.is_missing(i) ? std::nullopt : std::optional(whole(labels, i));
      },
      [&](int64_t number) {
        const auto name = labels.column.names.find(number);
        return name == labels.column.names.end() ? std::to_string(number) : as_utf8(name->second);
      });
}

// ---- rows of 0 and 1

// [N, width]: 1, 0, or -1 where it is not known.
std::vector<int64_t> marks_in(Labels& labels) {
  const LabelColumn& column = labels.column;
  if (column.type == Type::texts)
    bad_input(column.path, " holds ", column.width,
              " texts for each sample, and a label is one: name a column of one text for each "
              "sample, or of 0 and 1, [samples, classes]");
  std::vector<int64_t> marks;
  marks.reserve(static_cast<size_t>(labels.elements()));
  for (int64_t i = 0; i < labels.elements(); ++i) {
    if (labels.is_missing(i)) {
      marks.push_back(-1);
      continue;
    }
    const double value = labels.number(i);
    if (value != 0 && value != 1)
      bad_input(column.path, " holds ", column.width, " numbers for each sample, ",
                labels.number(i), " for sample ", labels.sample_of(i),
                ", and rows that mark classes are of 0 and 1: name a column of one label for each "
                "sample, or set task.name = \"ridge\" or \"regress\" to learn such values");
    marks.push_back(value == 1);
  }
  return marks;
}

// The place of the only 1 in a row; -1 where there is none.
Distinct one_hot_classes(Labels& labels) {
  const int64_t width = labels.column.width;
  const std::vector<int64_t> marks = marks_in(labels);
  Distinct all;
  for (int64_t k = 0; k < width; ++k) all.names.push_back(std::to_string(k));
  for (int64_t sample = 0; sample < labels.column.samples; ++sample) {
    const auto row = marks.begin() + sample * width;
    const auto ones = std::count(row, row + width, 1);
    if (ones > 1)
      bad_input(labels.column.path, " marks ", ones, " of ", width, " classes for sample ", sample,
                ", and a class is one: set task.name = \"tag\" to learn several of a sample");
    if (std::count(row, row + width, 0) == width) labels.add_reason("0 for all classes");
    all.of_sample.push_back(ones == 1 ? std::find(row, row + width, 1) - row : -1);
  }
  return all;
}

Distinct classes_in(Labels& labels) {
  return labels.column.width > 1 ? one_hot_classes(labels) : distinct_labels(labels);
}

// ---- targets

int64_t count_of(const std::vector<int64_t>& classes, const std::function<bool(int64_t)>& is) {
  return std::count_if(classes.begin(), classes.end(), is);
}

bool are_numbers_from_0(const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] != std::to_string(i)) return false;
  return true;
}

[[noreturn]] void refuse_without_labels(const char* samples, const char* what,
                                        const std::string& path, const char* key) {
  bad_input("no ", samples, " sample has a ", what, " in ", path, ": name the path of the ",
            samples, " labels in ", key);
}

// Where there are about as many classes as samples.
void check_number_of_classes(const Distinct& train, const Labels& labels, LabelTargets& made) {
  constexpr int64_t always = 1000;  // classes; beyond them each must have samples
  const auto classes = static_cast<int64_t>(train.names.size());
  const int64_t samples = count_of(train.of_sample, [](int64_t c) { return c >= 0; });
  const std::string what = concat(labels.column.path, " holds ", classes, " different labels of ",
                                  samples, " samples, more like measurements than classes: ");
  if (classes > std::max(always, samples / 2))
    bad_input(what, "set task.name = \"ridge\" or \"regress\", or name a column of classes");
  if (classes > 100 && 5 * classes > samples)
    made.warnings.push_back(
        concat(what, "see whether task.name = \"ridge\" or \"regress\" is meant"));
  if (classes == 1)
    made.warnings.push_back(concat("all labels of ", labels.column.path, " are ", train.names[0],
                                   ": nothing can be learned from them"));
}

// A one-hot row has no names that could be compared with those of the other column.
void check_one_hot(const Labels& train, const Labels& test, const Distinct& classes) {
  if (train.column.width > 1 && test.column.width > 1 && train.column.width != test.column.width)
    bad_input(train.column.path, " marks ", train.column.width, " classes and ", test.column.path,
              " ", test.column.width, ": name columns of the same classes");
  const bool alike = (train.column.width > 1) == (test.column.width > 1);
  if (alike || are_numbers_from_0(classes.names)) return;
  bad_input("one of ", train.column.path, " and ", test.column.path,
            " marks classes by their places, and the other names them (",
            some_names(classes.names, false), "): write both alike");
}

// The classes of test samples by the training samples' numbers.
std::vector<int64_t> numbered_as(const Distinct& train, const Distinct& test) {
  std::unordered_map<std::string, int64_t> number;
  for (size_t i = 0; i < train.names.size(); ++i) number[train.names[i]] = static_cast<int64_t>(i);
  auto next = static_cast<int64_t>(train.names.size());
  std::vector<int64_t> of_name;
  for (const std::string& name : test.names) {
    const auto known = number.find(name);
    of_name.push_back(known != number.end() ? known->second : next++);
  }
  std::vector<int64_t> classes;
  for (const int64_t c : test.of_sample)
    classes.push_back(c < 0 ? -1 : of_name[static_cast<size_t>(c)]);
  return classes;
}

void check_known_classes(const Distinct& train, const Distinct& test, const Labels& labels,
                         LabelTargets& made) {
  const auto known = static_cast<int64_t>(train.names.size());
  const auto is_unknown = [&](int64_t c) { return c >= known; };
  const int64_t unknown = count_of(made.test.classes, is_unknown);
  if (unknown == 0) return;
  std::vector<std::string> names;
  const std::set<std::string> of_training(train.names.begin(), train.names.end());
  for (const std::string& name : test.names)
    if (!of_training.contains(name)) names.push_back(name);
  if (unknown == count_of(made.test.classes, [](int64_t c) { return c >= 0; }))
    bad_input("no class of ", labels.column.path, " (", some_names(names, false),
              ") is among those of the training labels (", some_names(train.names, false),
              "): name labels of the same classes in data.label and test.label");
  made.warnings.push_back(concat(unknown, " of ", labels.column.samples,
                                 " test samples are of classes that no training sample has (",
                                 some_names(names, false), "): they count as classified wrongly"));
}

void tell_of_missing(const Labels& train, const Labels& test, LabelTargets& made) {
  const auto without = [](const Targets& targets) {
    int64_t count = 0;
    for (int64_t i = 0; i < targets.count(); ++i) count += targets.known(i) ? 0 : 1;
    return count;
  };
  if (const int64_t count = without(made.train))
    made.lines.push_back(
        train.unlabelled_text(count, "training samples", "they are not learned from"));
  if (const int64_t count = without(made.test))
    made.lines.push_back(
        test.unlabelled_text(count, "test samples", "they do not count in the scores"));
}

void tell_of_reading(const Labels& labels, LabelTargets& made) {
  const LabelColumn& column = labels.column;
  if (column.width > 1)
    made.lines.push_back(concat(column.path, " marks one of ", column.width,
                                " classes of each sample: the place of the 1 is the class"));
  else if (column.type == Type::numbers)
    made.lines.push_back(
        concat("the labels in ", column.path, " are ", column.type_text,
               ": they are read as classes, and refused where they are no whole numbers"));
}

LabelTargets classes_of(Labels train, Labels test) {
  LabelTargets made;
  const Distinct of_train = classes_in(train), of_test = classes_in(test);
  tell_of_reading(train, made);
  if (test.column.path != train.column.path) tell_of_reading(test, made);
  const auto labelled = [](int64_t c) { return c >= 0; };
  if (count_of(of_train.of_sample, labelled) == 0)
    refuse_without_labels("training", "class", train.column.path, "data.label");
  if (count_of(of_test.of_sample, labelled) == 0)
    refuse_without_labels("test", "class", test.column.path, "test.label");
  check_number_of_classes(of_train, train, made);
  check_one_hot(train, test, of_train);
  const auto width = static_cast<int64_t>(of_train.names.size());
  made.train = {
      .type = TargetType::classes, .classes = of_train.of_sample, .values = {}, .width = width};
  made.test = {.type = TargetType::classes,
               .classes = numbered_as(of_train, of_test),
               .values = {},
               .width = width};
  if (!are_numbers_from_0(of_train.names)) {
    made.class_names = of_train.names;
    made.lines.push_back(concat("the classes of ", train.column.path,
                                " are numbered in order: ", some_names(of_train.names, true)));
  }
  check_known_classes(of_train, of_test, test, made);
  tell_of_missing(train, test, made);
  return made;
}

Targets values_in(Labels& labels) {
  const LabelColumn& column = labels.column;
  if (column.type == Type::texts)
    bad_input(column.path, " holds texts, \"", labels.text(0),
              "\" for sample 0, and values are numbers: set task.name = \"linear\", \"knn\" or "
              "\"classify\" to learn classes by their names");
  Targets targets{.type = TargetType::values, .classes = {}, .values = {}, .width = column.width};
  for (int64_t i = 0; i < labels.elements(); ++i) {
    const bool missing = labels.is_missing(i);
    const double value = labels.number(i);
    if (!missing && !std::isfinite(value))
      bad_input(column.path, " of sample ", labels.sample_of(i), " is ", value,
                ": give every sample a number, or NaN where there is none");
    targets.values.push_back(missing ? std::numeric_limits<double>::quiet_NaN() : value);
  }
  // A sample of which a value is missing has none.
  for (int64_t sample = 0; sample < column.samples; ++sample) {
    const auto row = targets.values.begin() + sample * column.width;
    if (!targets.known(sample))
      std::fill(row, row + column.width, std::numeric_limits<double>::quiet_NaN());
  }
  return targets;
}

Targets marks_of(Labels& labels) {
  return {.type = TargetType::marks,
          .classes = marks_in(labels),
          .values = {},
          .width = labels.column.width};
}

bool has_any(const Targets& targets) {
  for (int64_t i = 0; i < targets.count(); ++i)
    if (targets.known(i)) return true;
  return false;
}

LabelTargets rows_of(Labels train, Labels test, Targets (*targets_in)(Labels&), const char* what) {
  LabelTargets made;
  made.train = targets_in(train);
  made.test = targets_in(test);
  if (!has_any(made.train))
    refuse_without_labels("training", what, train.column.path, "data.label");
  if (!has_any(made.test)) refuse_without_labels("test", what, test.column.path, "test.label");
  if (made.test.width != made.train.width)
    bad_input("a training sample has ", counted(made.train.width, what), " in ", train.column.path,
              ", and a test sample ", made.test.width, " in ", test.column.path,
              ": name columns of the same ", what, "s");
  tell_of_missing(train, test, made);
  return made;
}

}  // namespace

LabelTargets label_targets(TargetType type, const LabelColumn& train, const LabelColumn& test,
                           const std::vector<std::string>& given) {
  Labels of_train(train, type, given), of_test(test, type, given);
  switch (type) {
    case TargetType::classes:
      return classes_of(of_train, of_test);
    case TargetType::values:
      return rows_of(of_train, of_test, values_in, "value");
    case TargetType::marks:
      break;
  }
  return rows_of(of_train, of_test, marks_of, "mark");
}

}  // namespace lacuna
