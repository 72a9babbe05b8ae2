// Metrics: named scalars by step. They are kept in memory (a checkpoint stores them all) and
// written to metrics.jsonl, one line a step, for watching a run live:
//
//   {"step":12,"loss":5.123456789012346,"lr":0.01}
//
// Numbers are printed with the fewest digits that read back as the same double, so that two loss
// curves can be compared bit for bit. An infinity is null; NaN, which also stands for "this step
// had no such scalar", is left out.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lacuna {

struct Scalar {
  std::string_view name;  // "loss", "knn.accuracy"; no '/'
  double value;
};

// step[i], and in every column value[i]: NaN where step i had no such scalar.
struct MetricsTable {
  struct Column {
    std::string name;
    std::vector<double> value;
  };
  std::vector<int64_t> step;    // strictly increasing
  std::vector<Column> columns;  // in the order in which they first appeared

  void append(int64_t step_number, std::span<const Scalar> scalars);
  // The values of a column, or none when there is no such column.
  std::span<const double> column(std::string_view name) const;
};

// Row `row` of the table as a line of metrics.jsonl, newline included.
std::string json_line(const MetricsTable& table, size_t row);

// Kept by one rank.
class Metrics {
 public:
  // Writes to `file` (RUN/metrics.jsonl). `so_far` is what the checkpoint holds from which the run
  // continues, or empty for a new run: the file becomes exactly these steps, so that neither what
  // was written after that checkpoint nor half a line remains. Error no_space or bad_input when it
  // cannot be written, here and below.
  explicit Metrics(std::filesystem::path file, MetricsTable so_far = {});
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;
  ~Metrics();  // flushes; errors are lost here, so flush() before

  // Steps must increase. Written to the file within about a second, together with others.
  void append(int64_t step, std::span<const Scalar> scalars);
  void append(int64_t step, std::initializer_list<Scalar> scalars) {
    append(step, std::span(scalars.begin(), scalars.size()));
  }
  // Writes what is still in memory.
  void flush();
  // And brings the file to the disk: no start writes it anew once the run has ended.
  void finish();

  const MetricsTable& table() const { return table_; }

 private:
  std::filesystem::path file_;
  MetricsTable table_;
  std::string pending_;
  std::chrono::steady_clock::time_point flushed_;
  int descriptor_ = -1;
};

}  // namespace lacuna
