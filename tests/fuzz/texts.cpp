// The files of text: configurations, grids, and the small ones of a run.
#include <sstream>

#include "augment/image/options.h"
#include "augment/signal/signal.h"
#include "augment/vector/vector.h"
#include "comm/communicator.h"
#include "data/options.h"
#include "fuzz/target.h"
#include "io/durable_file.h"
#include "modalities/array.h"
#include "run/attempts.h"
#include "run/lease.h"
#include "run/metrics.h"
#include "run/representations.h"
#include "stages/embed/embed_progress.h"
#include "stages/keys/schema.h"
#include "stages/setup/load_configuration.h"
#include "stages/setup/plan_file.h"
#include "support/source_folder.h"
#include "train/optimizer.h"
#include "train/options.h"

namespace lacuna::fuzz {
namespace fs = std::filesystem;

namespace {

std::string input_toml(const char* name) {
  return content_of(testing::source_folder() / "inputs/images" / name);
}

// ---- Configurations

std::vector<Input> configurations(const fs::path&) {
  std::vector<Input> seeds;
  for (const auto& file : fs::recursive_directory_iterator(testing::source_folder() / "inputs"))
    if (file.is_regular_file() && file.path().filename() != "fashion-sweep.toml")
      seeds.push_back(one_file("a.toml", content_of(file.path())));
  std::sort(seeds.begin(), seeds.end(),
            [](const Input& a, const Input& b) { return a[0].content < b[0].content; });
  const Configuration small =
      Configuration::from_text(small_experiment(), schema_of("pretrain"), "a.toml");
  seeds.push_back(one_file("a.toml", small.resolved()));
  return seeds;
}

// As a stage reads it; its settled form reads back as the same.
void read_configuration(const fs::path& file, const Schema& schema) {
  const auto communicator = self_communicator();
  const Configuration read = load_configuration(file.string(), schema, {}, *communicator);
  const std::string settled = read.resolved();
  const Configuration again = Configuration::from_text(settled, schema, file.string());
  LACUNA_CHECK(again.resolved() == settled, settled);
  each_of([&] { train_options(read); }, [&] { data_options(read); },
          [&] {
            array_options(read);
            if (read.is("data.kind", "image")) augment_options(read);
            if (read.is("data.kind", "signal")) signal_augment_options(read);
            if (read.is("data.kind", "vector")) vector_augment_options(read);
          },
          [&] { make_optimizer(read); });
}

void read_configuration_of_any_stage(const fs::path& folder) {
  static const Schema pretrain = schema_of("pretrain"), finetune = schema_of("finetune");
  try {
    read_configuration(folder / "a.toml", pretrain);
  } catch (const Error&) {
    read_configuration(folder / "a.toml", finetune);
  }
}

// ---- Grids

std::vector<Input> grids(const fs::path&) {
  const auto with = [](const std::string& grid) {
    return Input{{.name = "sweep.toml", .content = grid},
                 {.name = "fashion-simclr.toml", .content = small_experiment(), .fixed = true},
                 {.name = "fashion-linear.toml",
                  .content = input_toml("fashion-linear.toml"),
                  .fixed = true}};
  };
  return {with(input_toml("fashion-sweep.toml")),
          with("pretrain = \"fashion-simclr.toml\"\n[grid]\nobjective.name = [\"simclr\", "
               "\"byol\"]\ntrain.stop_signals = [[\"USR1\"], [\"USR1\", \"TERM\"]]\n"
               "train.deterministic = [true, false]\n"),
          with("pretrain = \"fashion-simclr.toml\"\ngrid = {train.epochs = [1, 2], data.buffer = "
               "[\"1 MiB\"]}\n")};
}

void read_grid(const fs::path& folder) {
  const std::string file = (folder / "sweep.toml").string();
  const std::string table = run_stage({"sweep", file});
  each_of(
      [&] {
        run_stage({"sweep", file, "--task", "0"});
      },
      [&] {
        run_stage({"sweep", file, "--task", "0", "--stage", "finetune"});
      },
      [&] {
        // Each run's configuration, which is another target.
        if (std::count(table.begin(), table.end(), '\n') < 40)
          run_stage({"sweep", file, "--count"});
      });
}

// ---- What a run leaves

std::string some_attempts(const fs::path& folder) {
  const fs::path file = folder / "attempts.toml";
  AttemptLog(file, 2, "step 0")
      .end(ExitStatus::requeue, "stopped early: \"start\" it\nagain", "step 4");
  AttemptLog(file, 1, "step 4").end(ExitStatus::finished, "", "step 9");
  AttemptLog(file, 3, "step 9");
  return content_of(file);
}

Runner some_runner() { return {.job = "12", .restart = 1, .host = "node0", .process = 4711}; }

// A run's folder for status, of which one file is mutated.
Input run_folder(File mutated) {
  const Configuration configuration =
      Configuration::from_text(small_experiment(), schema_of("pretrain"), "a.toml");
  return {std::move(mutated),
          {.name = "run/config.toml", .content = configuration.resolved(), .fixed = true},
          {.name = "run/checkpoints/none", .content = "", .fixed = true}};
}

std::vector<Input> attempts(const fs::path& folder) {
  return {run_folder({.name = "run/attempts.toml", .content = some_attempts(folder)})};
}

// What is written behind what was read, reads back.
void read_attempts_file(const fs::path& folder) {
  const fs::path file = folder / "run/attempts.toml";
  const size_t before = read_attempts(file).size();
  run_stage({"status", (folder / "run").string()});
  AttemptLog log(file, 1, "step 4");
  log.end(ExitStatus::finished, "", "step 5");
  LACUNA_CHECK(read_attempts(file).size() == before + 1, before);
}

std::vector<Input> leases(const fs::path& folder) {
  const auto nothing = [](const std::string&) {};
  const Lease lease(folder / "run", false, nothing, nothing);
  const std::string mine = content_of(lease_file(folder / "run"));
  return {run_folder({.name = "run.lease", .content = mine}),
          run_folder({.name = "run.lease",
                      .content = "host = 'node0'\nprocess = 4711\nbeats = 7\njob = '12'\n"
                                 "restart = 1\n"})};
}

void read_lease_file(const fs::path& folder) {
  if (const std::optional<LeaseHolder> holder = read_lease(folder / "run")) {
    Lease::is_gone(holder->runner, some_runner());
    Lease::is_gone(holder->runner, this_runner());
    text_of(holder->runner);
  }
  run_stage({"status", (folder / "run").string()});
}

std::string small_task() {
  return "[data]\nfiles = \"x.h5\"\ndataset = \"x\"\nlabel = \"y\"\n[test]\ndataset = \"x\"\n"
         "label = \"y\"\n[task]\nname = \"linear\"\n";
}

std::vector<Input> metrics(const fs::path& folder) {
  {
    Metrics some(folder / "metrics.jsonl");
    for (int64_t step = 0; step < 5; ++step)
      some.append(step, {{"loss", 1.0 / static_cast<double>(step + 3)},
                         {"epoch", 0.5 * static_cast<double>(step)},
                         {"samples_per_s", 1234.5}});
    some.flush();
  }
  const std::string result =
      R"({"accuracy":0.75,"draws":[0.5,1],"chosen":[0.1,0.2],"task":"linear","step":5,)"
      R"("scores":{"accuracy":{"value":0.75,"low":0.5,"high":null,"better":"higher"}}})";
  std::vector<Input> seeds;
  for (const std::string& content : {content_of(folder / "metrics.jsonl"), result + "\n"}) {
    Input seed = run_folder({.name = "run/metrics.jsonl", .content = content});
    seed.push_back({.name = "a.toml", .content = small_experiment(), .fixed = true});
    seed.push_back({.name = "sweep.toml",
                    .content = "pretrain = \"a.toml\"\nfinetune = \"b.toml\"\n[grid]\nseed = [1]\n",
                    .fixed = true});
    seed.push_back({.name = "b.toml", .content = small_task(), .fixed = true});
    seeds.push_back(seed);
  }
  return seeds;
}

// One content as each of the files that are read so.
void read_metrics(const fs::path& folder) {
  run_stage({"status", (folder / "run").string()});
  const fs::path results = folder / "runs/sweep/0-finetuned", run = folder / "runs/sweep/0";
  fs::create_directories(results);
  fs::create_directories(run);
  for (const char* file : {"metrics.jsonl", "config.toml"})
    fs::copy_file(folder / "run" / file, run / file, fs::copy_options::overwrite_existing);
  fs::copy_file(folder / "run/metrics.jsonl", results / "result.json",
                fs::copy_options::overwrite_existing);
  const fs::path before = fs::current_path();
  fs::current_path(folder);
  run_stage({"sweep", "sweep.toml"});
  fs::current_path(before);
}

// ---- embed's progress

constexpr int64_t samples = 60000;
constexpr const char* identity = "4711";

RepresentationsLayout small_layout() {
  RepresentationsLayout layout;
  layout.samples = 4;
  layout.z = {2};
  layout.files = {"data.h5"};
  return layout;
}

std::vector<Input> progress(const fs::path& folder) {
  std::vector<Input> seeds;
  for (const EmbedProgress& each :
       {EmbedProgress{.ranks = 2, .position = 4096},
        EmbedProgress{.ranks = 3, .position = 5, .ranges = {{0, 10}, {20, 60000}}}}) {
    RepresentationsWriter writer(folder / "z.h5", small_layout(), {}, true, identity);
    writer.save_progress(text_of(each));
    seeds.push_back(
        {{.name = "z.h5.progress", .content = content_of(folder / "z.h5.progress")},
         {.name = "z.h5.partial", .content = content_of(folder / "z.h5.partial"), .fixed = true}});
  }
  return seeds;
}

void read_progress_file(const fs::path& folder) {
  const RepresentationsWriter writer(folder / "z.h5", small_layout(), {}, true, identity);
  if (!writer.leftover().progress) bad_input("of another file");
  const EmbedProgress read = read_progress(*writer.leftover().progress, samples, "z.h5");
  const Sequential pass({samples}, read.ranges);
  pass.rest(read.position, read.ranks);
}

// The line between the title and the checksum.
void seal_progress(const Input&, Input& mutated) {
  std::string& text = mutated[0].content;
  const size_t begin = text.find('\n') + 1, end = text.find('\n', begin);
  if (begin == 0 || end == std::string::npos) return;
  text = concat(text.substr(0, end), "\ncrc32 ", crc32_of(text.data() + begin, end - begin), "\n");
}

// ---- Plans

std::vector<Input> plans(const fs::path& folder) {
  const std::string file = (folder / "plans.tsv").string();
  write_plan_file(file, "a GPU",
                  {{.problem = "matrix_product bfloat16 m 128 n 512 k 32", .engine = "eng7_k24=21"},
                   {.problem = "convolution float32 n 8 c 3", .engine = "eng0_k2=1_k3=0"}});
  return {one_file("plans.tsv", content_of(file))};
}

void read_plans(const fs::path& folder) {
  const auto communicator = self_communicator();
  read_plan_file((folder / "plans.tsv").string(), *communicator);
}

}  // namespace

Target configuration_target() {
  return {.name = "configuration",
          .what = "TOML of an experiment, and RUN/config.toml",
          .form = Form::text,
          .seeds = configurations,
          .read = read_configuration_of_any_stage};
}

Target grid_target() {
  return {.name = "grid",
          .what = "TOML of a sweep",
          .form = Form::text,
          .seeds = grids,
          .read = read_grid};
}

Target attempts_target() {
  return {.name = "attempts",
          .what = "RUN/attempts.toml",
          .form = Form::text,
          .seeds = attempts,
          .read = read_attempts_file,
          .may_end_so = [](ExitStatus status) {
            return status == ExitStatus::bad_input || status == ExitStatus::no_progress;
          }};
}

Target lease_target() {
  return {.name = "lease",
          .what = "RUN.lease",
          .form = Form::text,
          .seeds = leases,
          .read = read_lease_file};
}

Target metrics_target() {
  return {.name = "metrics",
          .what = "RUN/metrics.jsonl and RUN/result.json",
          .form = Form::text,
          .seeds = metrics,
          .read = read_metrics};
}

Target progress_target() {
  return {.name = "progress",
          .what = "z.h5.progress, three of four with a right checksum",
          .form = Form::text,
          .seeds = progress,
          .read = read_progress_file,
          .seal = seal_progress};
}

Target plans_target() {
  return {.name = "plans",
          .what = "a file of train.plans",
          .form = Form::text,
          .seeds = plans,
          .read = read_plans};
}

}  // namespace lacuna::fuzz
