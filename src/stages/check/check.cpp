// check: what a job will take, before it is submitted: one rank's step is rehearsed, here or on a
// GPU that is not here.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <limits>
#include <optional>

#include "backend/boards.h"
#include "backend/list.h"
#include "base/text.h"
#include "base/threads.h"
#include "run/run.h"
#include "stages/check/check_task.h"
#include "stages/check/data_report.h"
#include "stages/check/estimate.h"
#include "stages/check/launchers.h"
#include "stages/check/rehearsal.h"
#include "stages/check/stage.h"
#include "stages/keys/schema.h"
#include "stages/setup/common_options.h"
#include "stages/setup/compute.h"
#include "stages/setup/load_configuration.h"
#include "stages/setup/plan_file.h"
#include "stages/setup/report.h"
#include "stages/setup/source.h"
#include "stages/setup/training.h"

namespace lacuna {

namespace {

struct Job {
  const Configuration& configuration;
  std::filesystem::path run;  // where pretrain would make it
  TrainOptions options;
  const Source& source;
  int64_t samples;
  int64_t steps;
  int ranks;
  int nodes;
  double bandwidth;  // bytes per second of a rank
  AccessPattern pattern;
  double read_seconds;  // a sample, on one thread
};

template <typename Number>
Number number_for(const Arguments& arguments, const char* option, const char* what, Number least) {
  const std::string& text = arguments.value(option);
  const auto value = as_number<Number>(text);
  if (!value || !(*value >= least)) bad_input("--", option, " is ", text, "; it must be ", what);
  return *value;
}

int count_of(const Arguments& arguments, const char* option) {
  return number_for<int>(arguments, option, "a whole number from 1 on", 1);
}

// ---- of the job

std::string bytes_of(size_t bytes) { return bytes_text(static_cast<double>(bytes)); }

void report_job(const Job& job, const Needs& needs, Report& report) {
  report.line(job.steps, " steps of ", job.options.batch, " samples, ", job.samples,
              " samples in the data set; ", counted(job.ranks, "rank"), " with up to ", needs.rows,
              " samples", (job.options.accumulate > 1 ? " at a time" : ""));
}

void warn_of_repeats(const Job& job, const Rehearsal& rehearsal, Report& report) {
  const std::optional<std::string> repeated = repeated_samples(
      job.options, job.samples, rehearsal.spans_batch(), job.configuration.text("objective.name"));
  if (repeated) report.warning(*repeated);
}

// The folder that is there, of those in which a path is to be.
std::filesystem::path existing(std::filesystem::path path) {
  std::error_code ignored;
  while (path.has_relative_path() && !std::filesystem::exists(path, ignored))
    path = path.parent_path();
  return path.empty() ? "." : path;
}

void report_disk(const Job& job, const Needs& needs, Report& report) {
  const auto checkpoint = static_cast<double>(needs.state);
  // While one is written those before it are still there, and the best.
  const double all = checkpoint * (static_cast<double>(job.options.keep) + 2);
  std::error_code failed;
  const auto left =
      static_cast<double>(std::filesystem::space(existing(job.run), failed).available);
  report.row("summed over ranks, a step", job.ranks == 1 ? "nothing" : bytes_of(needs.gradients));
  report.row("a checkpoint", bytes_text(checkpoint), "; on disk up to ", bytes_text(all),
             " with train.keep = ", job.options.keep,
             failed ? "" : concat(", of ", bytes_text(left), " free there"));
  if (!failed && all > left) {
    report.warning("checkpoints need ", bytes_text(all), ", and the file system of ",
                   job.run.string(), " has ", bytes_text(left),
                   " left: lower train.keep, or give pretrain another --run");
  }
}

void report_memory(const Needs& needs, Report& report) {
  report.row("parameters", bytes_of(needs.parameters));
  report.row("momenta", bytes_of(needs.optimizer));
  report.row("statistics and other state", bytes_of(needs.buffers));
  report.row("activations and gradients", bytes_of(needs.arena));
}

void report_loading(const Job& job, const Needs& needs, Report& report) {
  report.row("batches being loaded", "up to ",
             bytes_text(static_cast<double>(job.pattern.held_bytes)), " of the data, and ",
             bytes_of(3 * needs.upload));
}

// Of a rank's loading, beside what a device has.
double bytes_for_loading(const Job& job, const Needs& needs) {
  return static_cast<double>(job.pattern.held_bytes) + 3 * static_cast<double>(needs.upload);
}

// Of this process, now.
double resident_bytes() {
  double all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// ---- here

// Until a GPU has timed and recorded what there is.
int warm_steps(const Compute& compute) { return compute.device->reads_host_memory() ? 1 : 5; }

// The fastest of some: a login node is shared, a job's node is not.
double seconds_of_step(Rehearsal& rehearsal) {
  using Clock = std::chrono::steady_clock;
  double fastest = std::numeric_limits<double>::infinity(), all = 0;
  for (int done = 0; done < 3 || (done < 20 && all < 2); ++done) {
    const auto start = Clock::now();
    rehearsal.step();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    fastest = std::min(fastest, seconds);
    all += seconds;
  }
  return fastest;
}

Measured measure(const Job& job, const Compute& compute, Rehearsal& rehearsal) {
  Measured measured;
  measured.compute_seconds = seconds_of_step(rehearsal);
  const Source& source = job.source;
  const RecipePointer loaded = source.loaded(rehearsal.recipe(), *compute.device).host;
  measured.read_seconds = job.read_seconds * job.pattern.amplification();
  measured.make_seconds = seconds_of_row(source.dataset(), *loaded);
  measured.samples = rehearsal.needs().rows * job.options.accumulate;
  measured.beside = source.options().workers > 0;
  measured.threads = measured.beside ? source.options().workers : compute.threads;
  return measured;
}

std::string seconds_text(double seconds) { return concat(std::setprecision(3), seconds, " s"); }

// Returns the seconds of the run.
double report_time(const Job& job, const Measured& measured, const Needs& needs, Report& report) {
  const Network network{.traffic = needs.traffic, .bytes_per_second = job.bandwidth};
  const StepEstimate step = estimate_step(measured, network);
  const double run = step.seconds() * static_cast<double>(job.steps);
  report.row("computing", seconds_text(step.compute), ", measured here");
  report.row("loading", seconds_text(step.load), step.beside ? " beside it" : "",
             ": a sample takes ", static_cast<int64_t>(1e6 * measured.read_seconds + 0.5),
             " us to read and ", static_cast<int64_t>(1e6 * measured.make_seconds + 0.5),
             " us to augment, on each of ", counted(measured.threads, "thread"));
  if (job.ranks > 1) {
    report.row("sums over ranks", seconds_text(step.sums), ": ", bytes_text(needs.traffic.bytes),
               " at ", job.bandwidth / 1e9, " GB/s for each rank (--bandwidth), ",
               needs.traffic.messages, " messages of ", 1e6 * network.latency, " us");
  }
  report.row("a step", seconds_text(step.seconds()), ", so the run ", duration_text(run));
  return run;
}

[[noreturn]] void refuse_to_time() {
  bad_input("--time-plans runs plans on the GPU at hand: give --device cuda with it");
}

JobRequest check_here(const Job& job, const std::string& plan_file, StageContext& context,
                      Report& report) {
  Log quiet(1, false, false, 10);  // of the ranks that are not there yet
  StageContext alone{context.communicator, quiet, context.session, context.started};
  const Compute compute = make_compute(job.options, alone, "", !plan_file.empty());
  const bool on_host = compute.device->reads_host_memory();
  if (!plan_file.empty() && on_host) refuse_to_time();
  Rehearsal rehearsal(job.configuration, job.source.parts(), compute.dtype, job.ranks,
                      *compute.device);
  for (int i = 0; i < warm_steps(compute); ++i) rehearsal.step();
  const Measured measured = measure(job, compute, rehearsal);
  const Needs needs = rehearsal.needs();
  report_job(job, needs, report);
  warn_of_repeats(job, rehearsal, report);
  report.line(
      job.ranks == job.nodes ? "a rank" : concat("one of ", job.ranks / job.nodes, " ranks"),
      " on a node like this one: ", counted(compute.threads, "thread"), "; ",
      compute.device->description(),
      on_host ? concat(", ", compute.environment.instruction_set) : "", ", ",
      name_of(compute.dtype), " activations");
  if (job.ranks / job.nodes > threads_available()) {
    report.warning("this machine has fewer processors than a node has ranks (", threads_available(),
                   " and ", job.ranks / job.nodes,
                   "): time is told as if each rank had one; give --nodes, or ask on such a node");
  }
  report_memory(needs, report);
  report_loading(job, needs, report);
  report_disk(job, needs, report);
  if (!plan_file.empty()) {
    const std::vector<LibraryPlan> plans = compute.device->library_plans();
    write_plan_file(plan_file, compute.device->description(), plans);
    report.row("fastest plans of cuDNN", plans.size(), ", in ", plan_file);
  }
  JobRequest request;
  request.seconds = report_time(job, measured, needs, report);
  request.threads = compute.threads;
  request.gpus = !on_host;
  // A checkpoint is a copy of the state while it is written.
  constexpr double mpi = 32 << 20;  // buffers of the library and of the communicator
  request.memory =
      resident_bytes() + bytes_for_loading(job, needs) + static_cast<double>(needs.state) + mpi;
  return request;
}

// ---- on a GPU that is not here

void list_plans(const std::vector<LibraryPlan>& plans, Report& report) {
  for (const LibraryPlan& plan : plans) {
    report.line("  ", plan.problem, ": ",
                (plan.engine.empty() ? "a kernel of Lacuna's" : plan.engine), ", ",
                bytes_text(static_cast<double>(plan.workspace)));
  }
}

// Of a GPU's memory, and of its host's: the driver's context, cuDNN's and NCCL's own, recorded
// steps. An estimate.
constexpr double taken_by_others = 2.0 * (1 << 30);

JobRequest check_on_gpu(const Job& job, const Board& board, bool every_plan, StageContext& context,
                        Report& report) {
  convolution_methods(job.options, "", "cuda");
  const auto engines = read_plan_file(job.options.plans, context.communicator);
  const auto device = make_dry_run_device(
      board,
      {.deterministic = job.options.deterministic, .tf32 = job.options.tf32, .engines = engines});
  const DType compute = activation_dtype(job.options, "", *device, Isa::baseline, Isa::baseline);
  Rehearsal rehearsal(job.configuration, job.source.parts(), compute, job.ranks, *device);
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
  report_job(job, needs, report);
  warn_of_repeats(job, rehearsal, report);
  report.line("a rank on one ", board.what, " (", device->description(), "; nothing has run), ",
              name_of(compute), " activations");
  report_memory(needs, report);
  report.row("two batches on their way", bytes_of(2 * needs.upload));
  report.row("largest workspace", bytes_text(static_cast<double>(workspace)));
  report.row("at most", bytes_text(most), " of ", bytes_text(1e9 * board.gigabytes), ", beside ",
             bytes_text(taken_by_others), " or so for driver, cuDNN and NCCL");
  report_disk(job, needs, report);
  report.row("problems for cuDNN", plans.size(), ", of which ", own, " run in kernels of Lacuna's");
  if (!engines.empty()) report.row("plans from train.plans", plans_taken(engines, plans));
  if (every_plan) list_plans(plans, report);
  if (most + taken_by_others > 1e9 * board.gigabytes) {
    std::cout << std::flush;
    bad_input("a rank needs ", bytes_text(most), ", and one ", board.what, " has ",
              bytes_text(1e9 * board.gigabytes), ", of which driver, cuDNN and NCCL take ",
              bytes_text(taken_by_others),
              " or so: lower train.batch, raise train.accumulate, or use more ranks");
  }
  JobRequest request;
  request.gpus = true;
  request.memory =
      taken_by_others + bytes_for_loading(job, needs) + 2 * static_cast<double>(needs.state);
  return request;
}

// ---- how it is started

void report_launcher(const Job& job, const std::string& file, Report& report) {
  const LauncherFacts facts = find_launcher_facts();
  const Launcher launcher = choose_launcher(facts);
  report.row(facts.slurm || facts.in_allocation ? "in a job ranks start by" : "ranks start by",
             launch_line(facts, launcher, job.ranks, concat("lacuna pretrain ", file)));
  report.row("because of", launcher.why);
  for (const std::string& warning : launcher.warnings) report.warning(warning);
}

void report_request(const std::vector<std::string>& words, Report& report) {
  report.line("for jobs/pretrain.sbatch");
  for (const std::string& word : words) report.line("  #SBATCH ", word);
}

// What is to be checked: of which stage a configuration is says its table [task].
struct Checked {
  bool finetune = false;
  Configuration configuration;
};

Checked checked_of(const Arguments& arguments, StageContext& context) {
  const std::string text = text_on_all_ranks(arguments.argument(), context.communicator);
  const bool finetune = ("\n" + text).find("\n[task]") != std::string::npos;
  return {finetune, Configuration::from_text(text, schema_of(finetune ? "finetune" : "pretrain"),
                                             arguments.argument(), arguments.values("set"))};
}

// What the command line says beside the configuration.
struct Asked {
  int ranks, nodes;
  double bandwidth;    // bytes per second
  const Board* board;  // null: the machine at hand
  bool words_only;     // of sbatch alone
};

Asked asked_of(const Arguments& arguments) {
  Asked asked{
      count_of(arguments, "ranks"), count_of(arguments, "nodes"),
      1e9 * number_for<double>(arguments, "bandwidth", "a number of 0.001 or more, in GB/s", 1e-3),
      find_board(arguments.value("device")), arguments.given("sbatch")};
  if (asked.ranks % asked.nodes != 0)
    bad_input("--ranks is ", asked.ranks, ", which --nodes, ", asked.nodes,
              ", does not divide: change one of them");
  if (asked.board != nullptr && arguments.given("time-plans")) refuse_to_time();
  return asked;
}

// Of a task samples and labels are looked at, and nothing is rehearsed.
void refuse_options_of_jobs(const Arguments& arguments) {
  for (const char* option :
       {"ranks", "nodes", "bandwidth", "device", "sbatch", "time-plans", "plans"})
    if (arguments.given(option))
      bad_input("--", option, " is of jobs of pretrain, and ", arguments.argument(),
                " is for lacuna finetune: leave it out");
}

[[noreturn]] void refuse_values(const Survey& survey) {
  throw Error(ExitStatus::bad_values,
              concat(survey.not_finite, " of ", survey.samples, " samples looked at hold ",
                     survey.by_attributes ? "missing numbers" : "a NaN or infinity",
                     ", the first in ", survey.where,
                     ", at which training would end: mend or remove them, or set data.missing"));
}

// Of each part; of the first it is returned.
Survey look_at_data(const Source& source, const OrderSpec& order, const AccessPattern& pattern,
                    const TrainOptions& options, const Asked& asked, Report& report) {
  const Dataset& dataset = source.dataset();
  report_reading(dataset, order, pattern, asked.ranks, report);
  const SurveyOptions looking{.seed = options.seed, .threads = threads_available()};
  Survey survey = source.modality().survey(looking);
  report_survey(dataset, survey, report);
  for (const Source::Further& part : source.further()) {
    const Survey of_part = part.modality->survey(looking);
    report.line("part ", part.name, ": ", part.modality->description(), " (", part.options.dataset,
                ")");
    report_survey(*part.dataset, of_part, report);
    if (survey.not_finite == 0 && of_part.not_finite > 0) {
      survey.not_finite = of_part.not_finite;
      survey.where = of_part.where;
    }
  }
  report_balance(dataset, order, options.batch, report);
  return survey;
}

}  // namespace

namespace {

Syntax check_syntax() {
  std::vector<std::string> devices = {"cpu", "cuda"};
  for (const Board& board : boards()) devices.emplace_back(board.name);
  return {
      .stage = "check",
      .argument = "CONFIG.toml",
      .argument_doc =
          "The experiment, as pretrain takes it; or a task, as finetune does, of "
          "which samples and labels are looked at.",
      .summary =
          "Tells before a job is submitted what is in the data, and what it will take: memory, "
          "disk, time, launcher.",
      .options = {
          settings_option(),
          {.name = "device",
           .argument = join(devices, "|"),
           .doc = "This machine's processor or GPU (cuda), or a GPU that need not be here.",
           .default_value = "cpu",
           .choices = devices},
          {.name = "ranks", .argument = "P", .doc = "Ranks of the job.", .default_value = "1"},
          {.name = "nodes",
           .argument = "N",
           .doc = "Nodes that the ranks are divided over.",
           .default_value = "1"},
          {.name = "bandwidth",
           .argument = "GB/s",
           .doc = "What each rank sends to another in a second, for the estimate of time.",
           .default_value = "10"},
          {.name = "sbatch",
           .argument = "",
           .doc = "Prints nothing but what the job asks for, as words for sbatch."},
          {.name = "time-plans",
           .argument = "FILE",
           .doc = "With --device cuda, finds the fastest plans of cuDNN and writes them, for "
                  "train.plans."},
          {.name = "plans", .argument = "", .doc = "Lists the plans of cuDNN too, by problem."}}};
}

ExitStatus check(const Arguments& arguments, StageContext& context) {
  const Asked asked = asked_of(arguments);
  const Checked checked = checked_of(arguments, context);
  const Configuration& configuration = checked.configuration;
  TrainOptions options = train_options(configuration);
  // The ranks of a node share its processors.
  if (options.threads == 0)
    options.threads = std::max(1, threads_available() / (asked.ranks / asked.nodes));
  std::ostream nowhere(nullptr);
  Report report(asked.words_only ? nowhere : std::cout, asked.words_only ? std::cerr : std::cout);
  Log log(asked.words_only ? 2 : 1, true, false, 10);
  if (checked.finetune) {
    refuse_options_of_jobs(arguments);
    const Survey survey = check_task(configuration, context, log, report);
    std::cout << std::flush;
    if (survey.not_finite > 0) refuse_values(survey);
    return ExitStatus::finished;
  }
  const Source source(configuration, context.communicator, log,
                      {.index_only = true, .all_parts = true});
  const int64_t samples = source.dataset().samples();
  const int64_t steps = steps_to_do(options, samples);
  check_sizes(options, steps, samples, asked.ranks);

  const OrderSpec order = source.order(options.seed);
  const AccessPattern pattern =
      access_pattern(source.dataset(), order, options.batch, asked.ranks, source.buffer());
  const Survey survey = look_at_data(source, order, pattern, options, asked, report);
  Job job{.configuration = configuration,
          .run = default_run_folder(arguments.argument()),
          .options = options,
          .source = source,
          .samples = samples,
          .steps = steps,
          .ranks = asked.ranks,
          .nodes = asked.nodes,
          .bandwidth = asked.bandwidth,
          .pattern = pattern,
          .read_seconds = survey.read_seconds};
  JobRequest request;
  if (asked.board != nullptr) {
    request = check_on_gpu(job, *asked.board, arguments.given("plans"), context, report);
  } else {
    job.options.device = arguments.value("device");
    request = check_here(job, arguments.value("time-plans"), context, report);
  }
  request.ranks = asked.ranks;
  request.nodes = asked.nodes;
  const std::vector<std::string> words = sbatch_words(request);
  report_launcher(job, arguments.argument(), report);
  report_request(words, report);
  std::cout << std::flush;
  if (survey.not_finite > 0) refuse_values(survey);
  if (asked.words_only) std::cout << join(words, " ") << "\n";
  return ExitStatus::finished;
}

}  // namespace

Stage check_stage() { return {check_syntax(), false, check}; }

}  // namespace lacuna
