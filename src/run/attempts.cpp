#include "run/attempts.h"

#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <ctime>
#include <sstream>
#include <utility>

#include "config/toml_library.h"
#include "io/durable_file.h"

namespace lacuna {
namespace fs = std::filesystem;

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

toml::table table_of(const Attempt& attempt) {
  toml::table table{{"started", attempt.started},
                    {"at", attempt.at},
                    {"ranks", attempt.ranks},
                    {"host", attempt.runner.host},
                    {"process", attempt.runner.process}};
  if (!attempt.runner.job.empty()) {
    table.insert("job", attempt.runner.job);
    table.insert("restart", attempt.runner.restart);
  }
  if (attempt.status) {
    table.insert("ended", attempt.ended);
    table.insert("status", *attempt.status);
    table.insert("why", attempt.why);
  }
  return table;
}

Attempt attempt_of(const toml::table& table) {
  const auto text = [&](const char* key) { return table[key].value_or(std::string()); };
  Attempt attempt{.runner = {.job = text("job"),
                             .restart = table["restart"].value_or(int64_t{0}),
                             .host = text("host"),
                             .process = table["process"].value_or(int64_t{0})},
                  .ranks = table["ranks"].value_or(int64_t{1}),
                  .started = text("started"),
                  .at = text("at"),
                  .status = table["status"].value<int64_t>(),
                  .ended = text("ended"),
                  .why = text("why")};
  return attempt;
}

}  // namespace

Runner this_runner() {
  std::array<char, HOST_NAME_MAX + 1> host{};
  gethostname(host.data(), HOST_NAME_MAX);
  return {.job = environment("SLURM_JOB_ID"),
          .restart = std::atoll(environment("SLURM_RESTART_COUNT").c_str()),
          .host = host.data(),
          .process = ::getpid()};
}

std::string text_of(const Runner& runner) {
  return concat(runner.job.empty() ? "" : concat("job ", runner.job, " on "), runner.host,
                " (process ", runner.process, ")");
}

std::vector<Attempt> read_attempts(const fs::path& file) {
  std::vector<Attempt> attempts;
  if (!fs::exists(file)) return attempts;
  try {
    const toml::table root = parse_toml(read_text(file));
    const toml::array* list = root["attempt"].as_array();
    if (list == nullptr) return attempts;
    for (const toml::node& each : *list)
      if (const toml::table* table = each.as_table()) attempts.push_back(attempt_of(*table));
  } catch (const TomlError& error) {
    bad_input(file.string(), " is damaged (line ", error.line(), ": ", error.what(),
              "): remove it; only the record of earlier starts is lost");
  }
  return attempts;
}

bool is_restart_of_last(const std::vector<Attempt>& attempts, const Runner& here) {
  if (attempts.empty() || here.job.empty()) return false;
  const Runner& last = attempts.back().runner;
  return last.job == here.job && last.restart < here.restart;
}

AttemptLog::AttemptLog(fs::path file, int64_t ranks, const std::string& at)
    : file_(std::move(file)), attempts_(read_attempts(file_)) {
  Attempt attempt;
  attempt.runner = this_runner();
  attempt.ranks = ranks;
  attempt.started = now_text();
  attempt.at = at;
  attempts_.push_back(std::move(attempt));
  const int before = without_progress() - 1;
  if (before > restarts_without_progress)
    throw Error(ExitStatus::no_progress,
                concat("job ", attempts_.back().runner.job, " was started ", before, " times at ",
                       at, " and came no further: see in ", file_.string(),
                       " what ended it; a new job goes on"));
  write();
}

// Attempts of this job, this one included, that began where it did.
int AttemptLog::without_progress() const {
  const Attempt& last = attempts_.back();
  if (last.runner.job.empty()) return 1;
  int count = 0;
  for (size_t i = attempts_.size(); i-- > 0;) {
    const Attempt& each = attempts_[i];
    if (each.runner.job != last.runner.job || each.at != last.at) break;
    ++count;
  }
  return count;
}

bool AttemptLog::end(ExitStatus status, const std::string& why, const std::string& at) {
  Attempt& attempt = attempts_.back();
  attempt.status = static_cast<int64_t>(status);
  attempt.ended = now_text();
  attempt.why = why;
  write();
  return status == ExitStatus::requeue && at == attempt.at &&
         without_progress() > restarts_without_progress;
}

void AttemptLog::write() const {
  toml::array list;
  for (const Attempt& each : attempts_) list.push_back(table_of(each));
  std::ostringstream text;
  text << "# What each start of this run did (docs/formats.md).\n\n"
       << toml::table{{"attempt", std::move(list)}} << "\n";
  write_durably(file_, text.str());
}

}  // namespace lacuna
