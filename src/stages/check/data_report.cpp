#include "stages/check/data_report.h"

#include <algorithm>
#include <cmath>
#include <iomanip>

namespace lacuna {

namespace {

// In so many digits; large ones not as a power of ten.
std::string number(double value, int digits = 3) {
  if (std::abs(value) >= std::pow(10, digits - 1))
    return concat(std::fixed, std::setprecision(0), value);
  return concat(std::setprecision(digits), value);
}

// "0.12 %", in two digits.
std::string percent(double share) { return number(100 * share, 2) + " %"; }

std::string twins_text(const Twins& twins, bool all) {
  if (all && twins.found == 0) return "none";
  if (all) return concat(twins.found, ", ", percent(twins.most));
  if (twins.found == 0)
    return concat("none of ", twins.looked_at, "; of all at most ", percent(twins.most));
  return concat(twins.found, " of ", twins.looked_at, "; of all ", percent(twins.least), " to ",
                percent(twins.most));
}

// "; 3 too short to be compared"
std::string not_compared_text(const Survey& survey) {
  if (survey.too_short == 0) return "";
  return concat("; ", survey.too_short, " too short to be compared");
}

// ", such as samples 7 and 42"
std::string example_text(const Twins& twins) {
  return concat(", such as samples ", twins.example.first, " and ", twins.example.second);
}

void warn_of_twins(const Survey& survey, Report& report) {
  if (survey.equal.found > 0 && survey.equal.expected >= 0.005) {
    report.warning(
        "about ", percent(survey.equal.expected), " of the samples equal another one",
        example_text(survey.equal),
        ": keep one of each, or the same sample counts several times and as its own negative");
  }
  if (survey.contradictions > 0) {
    report.warning(survey.contradictions,
                   " samples equal one that has another label: one of the labels is wrong");
  }
  if (survey.alike.found > 0 && survey.alike.expected >= 0.01 &&
      survey.alike.expected > 1.5 * survey.equal.expected) {
    report.warning(
        "about ", percent(survey.alike.expected),
        " of the samples look like another one but for brightness, contrast and slight noise",
        example_text(survey.alike), ": thin them out, and keep them out of what you test on");
  }
  const bool many = survey.alike.looked_at >= 100;
  if (many && survey.directions > 0 && survey.directions < 2) {
    report.warning("all samples look much the same, as if they had ", number(survey.directions, 2),
                   " independent directions: see whether data.dataset names what you mean");
  }
}

void warn_of_values(const Dataset& dataset, const Survey& survey, Report& report) {
  const Field& field = dataset.fields()[static_cast<size_t>(dataset.field(sample_field))];
  if (survey.empty > 0) {
    report.warning(survey.empty, " of ", survey.samples,
                   " samples are empty, so that nothing is learnt from them and their pooled "
                   "output is 0: leave them out of ",
                   dataset.layout().offsets.empty() ? field.path : dataset.layout().offsets);
  }
  if (survey.constant > 0 && survey.low == survey.high) {
    report.warning("every value of ", field.path, " is ", survey.low,
                   ": see whether data.dataset names what you mean");
  } else if (survey.constant * 1000 >= survey.samples && survey.constant > 0) {
    report.warning(
        survey.constant, " of ", survey.samples,
        " samples hold one value throughout, from which nothing can be learnt: remove them");
  }
  if (survey.type_range && survey.high > 0 && 8 * survey.high <= survey.type_range->high) {
    report.warning("values reach ", survey.high, " of ", survey.type_range->high,
                   ", so that samples would be nearly black: set data.range = [0, ", survey.high,
                   "]");
  }
  if (survey.outside > 0.05) {
    report.warning(percent(survey.outside),
                   " of the values lie outside data.range and are clamped: ", "they span ",
                   concat(survey.low), " to ", concat(survey.high));
  }
}

// "3, 7, 8, 9, ... (12 in all)"
std::string some(const std::vector<int64_t>& values) {
  constexpr size_t shown = 8;
  std::string text;
  for (size_t i = 0; i < std::min(shown, values.size()); ++i)
    text += concat(i ? ", " : "", values[i]);
  return values.size() > shown ? concat(text, ", ... (", values.size(), " in all)") : text;
}

// Where there are several: of which the values span most and least.
void report_channels(const Survey& survey, Report& report) {
  std::vector<int64_t> constant;
  size_t widest = 0, narrowest = 0;
  const auto width = [&](size_t c) { return survey.channel_high[c] - survey.channel_low[c]; };
  for (size_t c = 0; c < survey.channel_low.size(); ++c) {
    if (!(width(c) > 0)) {
      constant.push_back(static_cast<int64_t>(c));
      continue;
    }
    if (!(width(widest) >= width(c))) widest = c;
    if (!(width(narrowest) <= width(c) && width(narrowest) > 0)) narrowest = c;
  }
  if (survey.channel_low.size() < 2) return;
  if (width(narrowest) > 0 && width(widest) > 100 * width(narrowest))
    report.row("channels", "values span ", number(width(narrowest)), " (channel ", narrowest,
               ", counted from 0) to ", number(width(widest)), " (channel ", widest, ")");
  if (!constant.empty() && survey.low < survey.high)
    report.warning("channels ", some(constant),
                   " (counted from 0) have the same value throughout, from which nothing can be "
                   "learnt");
}

void warn_of_classes(const Field& label, const LabelScan& scan, const Balance& classes,
                     Report& report) {
  const auto count = static_cast<int64_t>(classes.counts.size());
  const int64_t first = classes.counts.begin()->first, last = classes.counts.rbegin()->first;
  if (scan.broken > 0) {
    report.warning(
        scan.broken, " labels of ", label.path,
        " are no whole numbers, which pretrain and finetune refuse: number the classes from "
        "0 on");
  }
  if (count > 100 && 5 * count > classes.samples) {
    report.warning(
        label.path, " holds ", count, " different values in ", classes.samples,
        " samples, more like measurements than classes: bin them, or leave data.label away");
    return;
  }
  if (first < 0) {
    report.warning(
        "labels of ", label.path, " go down to ", first,
        ": leave samples without a class out, or give them a class of their own from 0 on");
  }
  if (count == 1) {
    report.warning("all labels of ", label.path, " are ", first, ": nothing can be judged by them");
    return;
  }
  std::vector<int64_t> missing;
  for (int64_t c = std::max<int64_t>(first, 0); c < last && last < 10 * count; ++c) {
    if (!classes.counts.contains(c)) missing.push_back(c);
  }
  if (!missing.empty()) {
    report.warning("no sample ", scan.all ? "" : "looked at ", "has the label ", some(missing),
                   ", though others go up to ", last, ": number the classes without gaps");
  }
  if (classes.most > 20 * classes.fewest) {
    report.warning("the largest class has ", classes.most, " samples and the smallest ",
                   classes.fewest,
                   ": what is rare is learnt last; judge by the accuracy of each class");
  }
}

void warn_of_mixing(double mixing, const std::string& what, const OrderSpec& order,
                    Report& report) {
  if (mixing >= 0.8) return;
  report.warning("the data are sorted by ", what, ", and a batch draws from ",
                 counted(order.lanes, "place"), " of them: it is ", percent(mixing),
                 " as diverse as one drawn at random; write them in random order, or in smaller "
                 "chunks, or raise data.buffer");
}

}  // namespace

void report_reading(const Dataset& dataset, const OrderSpec& order, const AccessPattern& pattern,
                    int ranks, Report& report) {
  const std::vector<std::string> lines = reading_lines(dataset, order, pattern, ranks);
  report.line(lines[0]);
  for (size_t i = 1; i < lines.size(); ++i) report.warning(lines[i]);
  if (pattern.ranks > 1.2) {
    report.warning("ranks share chunks, so that ", number(pattern.ranks),
                   " times the data are read: take a number of ranks that divides ", order.lanes,
                   ", or set data.lanes to a multiple of it");
  }
}

void report_survey(const Dataset& dataset, const Survey& survey, Report& report) {
  report.line("the data, by ", survey.all ? concat("all ", survey.samples, " samples")
                                          : concat(survey.samples, " of ", dataset.samples(),
                                                   " samples, drawn by the seed"));
  report.row("values",
             survey.low > survey.high ? "no number" : concat(survey.low, " to ", survey.high),
             survey.not_finite > 0
                 ? concat("; ", survey.by_attributes ? "missing numbers" : "NaN or infinity",
                          " in ", survey.not_finite, " samples")
                 : "",
             survey.missing > 0 ? concat("; ", percent(survey.missing), " missing") : "");
  report_channels(survey, report);
  report.row("samples of one value", survey.constant == 0 ? "none" : concat(survey.constant));
  report.row("samples equal to another", twins_text(survey.equal, survey.all));
  if (survey.directions > 0) {
    const bool all = survey.alike.looked_at + survey.constant + survey.empty + survey.too_short >=
                     dataset.samples();
    report.row("samples like another", twins_text(survey.alike, all), not_compared_text(survey));
    report.row("diversity", "as of ", number(survey.directions, 2), " independent directions");
  }
  warn_of_values(dataset, survey, report);
  warn_of_twins(survey, report);
}

void report_balance(const Dataset& dataset, const OrderSpec& order, int64_t batch, Report& report) {
  if (dataset.has_field(label_field)) {
    const Field& label = dataset.fields()[static_cast<size_t>(dataset.field(label_field))];
    const LabelScan scan = scan_labels(dataset);
    const Balance classes = balance_of(scan.labels);
    report.row("classes", classes.counts.size(), ", of ", classes.fewest, " to ", classes.most,
               " samples", scan.all ? "" : concat(" of ", classes.samples, " looked at"),
               "; as diverse as ", number(classes.effective), " of equal size");
    warn_of_classes(label, scan, classes, report);
    if (scan.all) warn_of_mixing(mixing(order, batch, scan.labels), "label", order, report);
  }
  if (dataset.files().size() > 1) {
    const std::vector<int64_t> files = file_of_samples(dataset);
    const Balance balance = balance_of(files);
    report.row("files", balance.counts.size(), ", of ", balance.fewest, " to ", balance.most,
               " samples; as diverse as ", number(balance.effective), " of equal size");
    if (2 * balance.effective < static_cast<double>(balance.counts.size())) {
      report.warning("of ", balance.counts.size(), " files a few hold most of the samples (",
                     balance.fewest, " to ", balance.most,
                     " each): if files are domains, what is rare is learnt last");
    }
    warn_of_mixing(mixing(order, batch, files), "file", order, report);
  }
}

}  // namespace lacuna
