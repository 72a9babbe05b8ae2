// status: how a run stands, read from its folder while it works or afterwards.
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <optional>
#include <sstream>

#include "base/text.h"
#include "io/durable_file.h"
#include "run/attempts.h"
#include "run/checkpoint.h"
#include "run/lease.h"
#include "run/run.h"
#include "stages/keys/schema.h"
#include "stages/setup/stage.h"
#include "stages/status/run_facts.h"
#include "stages/status/stage.h"

namespace lacuna {
namespace fs = std::filesystem;

namespace {

// By the clocks of this host and of the file's server, which differ by little.
double seconds_since_change(const fs::path& file) {
  std::error_code error;
  const auto changed = fs::last_write_time(file, error);
  if (error) return 0;
  const auto age = fs::file_time_type::clock::now() - changed;
  return std::max(0.0, std::chrono::duration<double>(age).count());
}

std::string age_text(const fs::path& file) {
  return concat(std::llround(seconds_since_change(file)), " s ago");
}

struct Progress {
  double step = 0, steps = 0, epoch = 0, loss = 0, rate = 0;
};

// The steps in all of a run whose batch has changed, from its newest checkpoint; nothing where it
// has not, or there is none that is good.
std::optional<double> steps_of_changed_batches(const fs::path& run,
                                               const Configuration& configuration) {
  const std::vector<int64_t> checkpoints = complete_checkpoints(run);
  if (checkpoints.empty()) return std::nullopt;
  try {
    const CheckpointInfo info = read_checkpoint(checkpoint_folder(run, checkpoints.back())).info;
    BatchTable batches = info.batches;
    const int64_t batch = configuration.integer("train.batch");
    if (!batches.empty()) batches.change(info.step, {batch});
    if (batches.entries().size() < 2 || info.data.empty()) return std::nullopt;
    const int64_t left =
        configuration.integer("train.epochs") * info.data[0].samples - batches.position(info.step);
    return static_cast<double>(info.step + std::max<int64_t>(0, left) / batch);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Steps of an epoch follow from the last line: epoch = step x batch / samples.
std::optional<Progress> progress_of(const fs::path& run, const Configuration& configuration) {
  const std::string line = last_metrics(run);
  const auto step = number_in(line, "step"), epoch = number_in(line, "epoch");
  if (!step || !epoch) return std::nullopt;
  Progress progress{.step = *step + 1,
                    .epoch = *epoch,
                    .loss = number_in(line, "loss").value_or(std::nan("")),
                    .rate = number_in(line, "samples_per_s").value_or(0)};
  const auto epochs = static_cast<double>(configuration.integer("train.epochs"));
  progress.steps = steps_of_changed_batches(run, configuration)
                       .value_or(std::floor(progress.step / *epoch * epochs + 1e-6));
  if (const int64_t most = configuration.integer("train.max_steps"); most > 0)
    progress.steps = std::min(progress.steps, static_cast<double>(most));
  return progress;
}

void print_progress(const fs::path& run, const Configuration& configuration, bool running) {
  const std::optional<Progress> p = progress_of(run, configuration);
  if (!p) {
    std::cout << "  no step is recorded yet\n";
    return;
  }
  std::cout << std::fixed << std::setprecision(0) << "  step " << p->step << " of " << p->steps
            << " (" << std::setprecision(1) << 100 * p->step / p->steps << " %), epoch "
            << std::setprecision(2) << p->epoch << " of " << configuration.integer("train.epochs")
            << ", loss " << std::setprecision(4) << p->loss << ", " << std::setprecision(0)
            << p->rate << " samples/s; recorded " << age_text(run / "metrics.jsonl") << "\n";
  const double batch = static_cast<double>(configuration.integer("train.batch"));
  if (p->step < p->steps && p->rate > 0)
    std::cout << "  " << duration_text((p->steps - p->step) * batch / p->rate)
              << (running ? " left" : " of work left") << " at this speed\n";
}

void print_checkpoint(const fs::path& run) {
  const std::vector<int64_t> steps = complete_checkpoints(run);
  if (steps.empty()) {
    std::cout << "  no checkpoint yet\n";
    return;
  }
  std::cout << "  last checkpoint: step " << steps.back() << ", "
            << age_text(checkpoint_folder(run, steps.back()) / "checkpoint.h5") << "\n";
}

// Who works on it, as far as can be told from here.
std::optional<LeaseHolder> holder_of(const fs::path& run) {
  const std::optional<LeaseHolder> holder = read_lease(run);
  const bool silent = seconds_since_change(lease_file(run)) > LeaseTimes().expiry;
  if (!holder || silent || Lease::is_gone(holder->runner, this_runner())) return std::nullopt;
  return holder;
}

void print_result(const fs::path& run) {
  if (!fs::exists(run / "result.json")) {
    std::cout << "  its trials are not finished\n";
    return;
  }
  const std::string result = read_text(run / "result.json");
  std::cout << "  " << result;
  for (const ScoreFact& score : scores_in(result)) {
    std::cout << "  " << score.name << " " << score.value;
    if (!std::isnan(score.low)) std::cout << " (" << score.low << " to " << score.high << ")";
    std::cout << ", " << score.better << " is better\n";
  }
}

bool same_process(const Runner& a, const Runner& b) {
  return a.host == b.host && a.process == b.process && a.job == b.job && a.restart == b.restart;
}

std::string end_of(const Attempt& attempt, bool running) {
  if (running) return "running";
  if (!attempt.status) return "ended without a word: killed, or its node was lost";
  if (*attempt.status == 0) return concat("finished ", attempt.ended);
  return concat("status ", *attempt.status, " ", attempt.ended, ": ", attempt.why);
}

void print_attempts(const std::vector<Attempt>& attempts,
                    const std::optional<LeaseHolder>& holder) {
  std::cout << "  starts: " << attempts.size() << "\n";
  for (size_t i = 0; i < attempts.size(); ++i) {
    const Attempt& each = attempts[i];
    const bool running =
        i + 1 == attempts.size() && holder && same_process(holder->runner, each.runner);
    std::cout << "    " << each.started << "  " << text_of(each.runner) << ", "
              << counted(each.ranks, "rank") << ", from " << each.at << ": "
              << end_of(each, running) << "\n";
  }
}

}  // namespace

namespace {

Syntax status_syntax() {
  return {.stage = "status",
          .argument = "RUN",
          .argument_doc = "Folder of a run that pretrain or finetune made.",
          .summary = "Tells how far a run has come, and what ended each start of it.",
          .options = {}};
}

ExitStatus status(const Arguments& arguments, StageContext&) {
  const fs::path run = arguments.argument();
  const std::string text = stored_configuration(run);
  const bool finetuning = text.find("\n[task]\n") != std::string::npos;
  const Configuration configuration = Configuration::from_text(
      text, schema_of(finetuning ? "finetune" : "pretrain"), (run / "config.toml").string());
  const std::optional<LeaseHolder> holder = holder_of(run);
  std::cout << run.string() << ": "
            << (holder ? concat("in use by ", text_of(holder->runner), ", last sign of life ",
                                age_text(lease_file(run)))
                       : "nobody works on it")
            << "\n";
  if (finetuning) {
    print_result(run);
  } else {
    print_progress(run, configuration, holder.has_value());
    print_checkpoint(run);
  }
  print_attempts(read_attempts(run / attempts_name), holder);
  std::cout << std::flush;
  return ExitStatus::finished;
}

}  // namespace

Stage status_stage() { return {status_syntax(), false, status}; }

}  // namespace lacuna
