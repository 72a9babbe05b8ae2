#include "run/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "io/durable_file.h"

namespace lacuna {

namespace {

constexpr double absent = std::numeric_limits<double>::quiet_NaN();
constexpr std::chrono::seconds longest_delay{1};

MetricsTable::Column& find_or_add(MetricsTable& table, std::string_view name) {
  const auto found = std::find_if(table.columns.begin(), table.columns.end(),
                                  [&](const auto& column) { return column.name == name; });
  if (found != table.columns.end()) return *found;
  LACUNA_CHECK(!name.empty() && name != "step" && name.find_first_of("/\"\\") == name.npos,
               "metric '", name, "'");
  table.columns.push_back({std::string(name), std::vector<double>(table.step.size(), absent)});
  return table.columns.back();
}

}  // namespace

void MetricsTable::append(int64_t step_number, std::span<const Scalar> scalars) {
  LACUNA_CHECK(step.empty() || step_number > step.back(), "step ", step_number, " after ",
               step.empty() ? 0 : step.back());
  step.push_back(step_number);
  for (Column& column : columns) column.value.push_back(absent);
  for (const Scalar& scalar : scalars) find_or_add(*this, scalar.name).value.back() = scalar.value;
}

std::span<const double> MetricsTable::column(std::string_view name) const {
  for (const Column& each : columns)
    if (each.name == name) return each.value;
  return {};
}

std::string json_line(const MetricsTable& table, size_t row) {
  JsonObject line;
  line.add("step", table.step[row]);
  for (const auto& column : table.columns)
    if (!std::isnan(column.value[row])) line.add(column.name, column.value[row]);
  return line.text() + "\n";
}

Metrics::Metrics(std::filesystem::path file, MetricsTable so_far)
    : file_(std::move(file)),
      table_(std::move(so_far)),
      flushed_(std::chrono::steady_clock::now()) {
  std::string lines;
  for (size_t row = 0; row < table_.step.size(); ++row) lines += json_line(table_, row);
  write_durably(file_, lines);
  descriptor_ = ::open(file_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (descriptor_ < 0) throw_file_error("write", file_, errno);
}

Metrics::~Metrics() {
  try {
    flush();
  } catch (const Error&) {
    // The last lines for a watcher; the checkpoints hold the metrics.
  }
  ::close(descriptor_);
}

void Metrics::append(int64_t step, std::span<const Scalar> scalars) {
  table_.append(step, scalars);
  pending_ += json_line(table_, table_.step.size() - 1);
  if (std::chrono::steady_clock::now() - flushed_ >= longest_delay) flush();
}

void Metrics::finish() {
  flush();
  if (::fsync(descriptor_) != 0) throw_file_error("write", file_, errno);
}

void Metrics::flush() {
  flushed_ = std::chrono::steady_clock::now();
  // One call for whole lines: a killed process leaves no half line.
  while (!pending_.empty()) {
    const ssize_t n = ::write(descriptor_, pending_.data(), pending_.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_file_error("write", file_, errno);
    pending_.erase(0, static_cast<size_t>(n));
  }
}

}  // namespace lacuna
