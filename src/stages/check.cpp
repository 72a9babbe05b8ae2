// check: what a job will take, before it is submitted: one rank's step is rehearsed, here or on a GPU that is not
// here.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <iomanip>
#include <iostream>

#include "backend/boards.h"
#include "backend/planned_device.h"
#include "base/text.h"
#include "stages/compute.h"
#include "stages/load_configuration.h"
#include "stages/plan_file.h"
#include "stages/rehearsal.h"
#include "stages/schema.h"
#include "stages/source.h"
#include "stages/training.h"

namespace lacuna {

namespace {

struct Job {
  Configuration configuration;
  TrainOptions options;
  ViewOptions views;
  int64_t samples;
  int64_t steps;
  int ranks;
  int64_t buffer;  // bytes of data.buffer
};

int number_of_ranks(const Arguments& arguments) {
  const std::string& text = arguments.value("ranks");
  int ranks = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ranks);
  if (error != std::errc() || end != text.data() + text.size() || ranks < 1)
    bad_input("--ranks is ", text, "; it must be a whole number from 1 on");
  return ranks;
}

void print_row(const std::string& name, const std::string& value) {
  std::cout << "  " << name << std::string(name.size() < 28 ? 28 - name.size() : 1, ' ') << value
            << "\n";
}

void print_job(const Job& job, const Needs& needs) {
  std::cout << job.steps << " steps of " << job.options.batch << " samples, " << job.samples
            << " samples in the data set; " << job.ranks << (job.ranks == 1 ? " rank" : " ranks")
            << " with up to " << needs.rows << " samples"
            << (job.options.accumulate > 1 ? " at a time" : "") << "\n";
}

void print_disk(const Job& job, const Needs& needs) {
  const auto checkpoint = static_cast<double>(needs.state());
  print_row("summed over ranks, a step",
            job.ranks == 1 ? "nothing" : bytes_text(static_cast<double>(needs.gradients)));
  // While one is written those before it are still there, and the best.
  print_row("a checkpoint",
            concat(bytes_text(checkpoint), "; on disk up to ",
                   bytes_text(checkpoint * static_cast<double>(job.options.keep + 2)),
                   " with train.keep = ", job.options.keep));
}

void print_memory(const Needs& needs) {
  const auto row = [](const char* name, size_t bytes) {
    print_row(name, bytes_text(static_cast<double>(bytes)));
  };
  row("parameters", needs.parameters);
  row("momenta", needs.optimizer);
  row("statistics and other state", needs.buffers);
  row("activations and gradients", needs.arena);
}

// "0:12:05"
std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  return concat(s / 3600, ":", std::setfill('0'), std::setw(2), s / 60 % 60, ":", std::setw(2),
                s % 60);
}

// Until a GPU has timed and recorded what there is.
int warm_steps(const Compute& compute) { return compute.device->reads_host_memory() ? 1 : 5; }

double seconds_of_step(Rehearsal& rehearsal) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  double all = 0;
  while (seconds.size() < 3 || (seconds.size() < 20 && all < 2)) {
    const auto start = Clock::now();
    rehearsal.step();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    all += seconds.back();
  }
  std::nth_element(seconds.begin(), seconds.begin() + static_cast<int64_t>(seconds.size() / 2),
                   seconds.end());
  return seconds[seconds.size() / 2];
}

[[noreturn]] void refuse_to_time() {
  bad_input("--time-plans runs plans on the GPU at hand: give --device cuda with it");
}

void check_here(const Job& job, const std::string& plan_file, StageContext& context) {
  const Compute compute = make_compute(job.options, context, "", !plan_file.empty());
  if (!plan_file.empty() && compute.device->reads_host_memory()) refuse_to_time();
  Rehearsal rehearsal(job.configuration, job.views, compute.dtype, job.ranks, *compute.device);
  for (int i = 0; i < warm_steps(compute); ++i) rehearsal.step();
  const double seconds = seconds_of_step(rehearsal);
  const Needs needs = rehearsal.needs();
  print_job(job, needs);
  std::cout << "a rank on a machine like this one, " << compute.threads
            << (compute.threads == 1 ? " thread, " : " threads, ") << name_of(compute.dtype)
            << " activations\n";
  print_memory(needs);
  print_row("batches being loaded",
            concat("data.buffer, ", bytes_text(static_cast<double>(job.buffer)), ", and ",
                   bytes_text(3.0 * static_cast<double>(needs.upload))));
  print_disk(job, needs);
  if (!plan_file.empty()) {
    const std::vector<LibraryPlan> plans = compute.device->library_plans();
    write_plan_file(plan_file, compute.device->description(), plans);
    print_row("fastest plans of cuDNN", concat(plans.size(), ", in ", plan_file));
  }
  print_row("a step", concat(std::setprecision(3), seconds, " s, so the run ",
                             duration(seconds * static_cast<double>(job.steps)),
                             ", without loading and without sums over ranks"));
}

void list_plans(const std::vector<LibraryPlan>& plans) {
  for (const LibraryPlan& plan : plans) {
    std::cout << "  " << plan.problem << ": "
              << (plan.engine.empty() ? "a kernel of Lacuna's" : plan.engine) << ", "
              << bytes_text(static_cast<double>(plan.workspace)) << "\n";
  }
}

// Of a GPU's memory: the driver's context, cuDNN's and NCCL's own, recorded steps. An estimate.
constexpr double taken_by_others = 2.0 * (1 << 30);

void check_on_gpu(const Job& job, const Board& board, bool every_plan, StageContext& context) {
  const auto engines = read_plan_file(job.options.plans, context.communicator);
  const auto device = make_planned_device(
      board,
      {.deterministic = job.options.deterministic, .tf32 = job.options.tf32, .engines = engines});
  const DType compute = activation_dtype(job.options, "", *device, Isa::baseline, Isa::baseline);
  Rehearsal rehearsal(job.configuration, job.views, compute, job.ranks, *device);
  rehearsal.step();
  const Needs needs = rehearsal.needs();
  const std::vector<LibraryPlan> plans = device->library_plans();
  const auto most = static_cast<double>(device->most_bytes());
  int64_t workspace = 0;
  int64_t own = 0;
  for (const LibraryPlan& plan : plans) {
    workspace = std::max(workspace, plan.workspace);
    own += plan.engine.empty() ? 1 : 0;
  }
  print_job(job, needs);
  std::cout << "a rank on one " << board.what << " (" << device->description()
            << "; nothing has run), " << name_of(compute) << " activations\n";
  print_memory(needs);
  print_row("two batches on their way", bytes_text(2.0 * static_cast<double>(needs.upload)));
  print_row("largest workspace", bytes_text(static_cast<double>(workspace)));
  print_row("at most",
            concat(bytes_text(most), " of ", bytes_text(1e9 * board.gigabytes), ", beside ",
                   bytes_text(taken_by_others), " or so for driver, cuDNN and NCCL"));
  print_disk(job, needs);
  print_row("problems for cuDNN",
            concat(plans.size(), ", of which ", own, " run in kernels of Lacuna's"));
  if (!engines.empty()) print_row("plans from train.plans", plans_taken(engines, plans));
  if (every_plan) list_plans(plans);
  if (most + taken_by_others > 1e9 * board.gigabytes) {
    std::cout << std::flush;
    bad_input("a rank needs ", bytes_text(most), ", and one ", board.what, " has ",
              bytes_text(1e9 * board.gigabytes), ", of which driver, cuDNN and NCCL take ",
              bytes_text(taken_by_others),
              " or so: lower train.batch, raise train.accumulate, or use more ranks");
  }
}

// A configuration of another stage has keys that pretrain's has not.
Configuration configuration_of(const Arguments& arguments, StageContext& context) {
  const std::string text = text_on_all_ranks(arguments.argument(), context.communicator);
  const auto read_as = [&](const char* stage) {
    return Configuration::from_text(text, schema_of(stage), arguments.argument(),
                                    arguments.values("set"));
  };
  try {
    return read_as("pretrain");
  } catch (const Error&) {
    try {
      read_as("finetune");
    } catch (const Error&) {
      return read_as("pretrain");  // it is of neither: what pretrain says of it
    }
    bad_input(arguments.argument(),
              " is for lacuna finetune, and check rehearses lacuna pretrain: ",
              "give it a configuration with an objective");
  }
}

}  // namespace

ExitStatus check(const Arguments& arguments, StageContext& context) {
  const Configuration configuration = configuration_of(arguments, context);
  const TrainOptions options = train_options(configuration);
  const int ranks = number_of_ranks(arguments);
  const Source source(configuration, context.communicator, context.log);
  const int64_t samples = source.dataset().samples();
  const int64_t steps = steps_to_do(options, samples);
  check_sizes(options, steps, samples, ranks);
  const Job job{configuration, options, source.views(), samples, steps, ranks, source.buffer()};
  const std::string& device = arguments.value("device");
  if (const Board* board = find_board(device)) {
    if (arguments.given("time-plans")) refuse_to_time();
    check_on_gpu(job, *board, arguments.given("plans"), context);
  } else {
    Job here = job;
    here.options.device = device;
    const std::string& plan_file = arguments.value("time-plans");
    check_here(here, plan_file, context);
  }
  return ExitStatus::finished;
}

}  // namespace lacuna
