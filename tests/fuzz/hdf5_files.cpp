// The files of HDF5: data sets, checkpoints, representations, trials.
#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>

#include "base/log.h"
#include "base/random.h"
#include "comm/communicator.h"
#include "data/labels.h"
#include "data/load/access_pattern.h"
#include "data/load/loader.h"
#include "fuzz/target.h"
#include "io/durable_file.h"
#include "io/write_hdf5.h"
#include "run/checkpoint.h"
#include "run/metrics.h"
#include "run/representations.h"
#include "stages/embed/embedded_file.h"
#include "stages/finetune/trials.h"
#include "stages/keys/schema.h"
#include "stages/setup/source.h"
#include "tasks/label_targets.h"

namespace lacuna::fuzz {
namespace fs = std::filesystem;

namespace {

// ---- Data sets

constexpr hsize_t rows = 10;

template <typename T>
std::vector<T> ascending(size_t count) {
  std::vector<T> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<T>(i % 251);
  return values;
}

struct Images {
  hid_t stored, memory;
  std::vector<hsize_t> shape;  // of a sample
  written::Style style = {};
  hsize_t user_block = 0;
  std::vector<std::pair<const char*, double>> attributes = {};
};

void add_attributes(hid_t file, const Images& images) {
  const hid_t dataset = H5Dopen2(file, "/images", H5P_DEFAULT);
  const hsize_t one = 1;
  for (const auto& [name, value] : images.attributes) {
    const hid_t space = H5Screate_simple(1, &one, nullptr);
    const hid_t attribute =
        H5Acreate2(dataset, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, H5T_NATIVE_DOUBLE, &value);
    H5Aclose(attribute);
    H5Sclose(space);
  }
  H5Dclose(dataset);
}

// /images, /label, /kind (an enumeration), /table, and /id: texts or records of the user's own.
std::string data_file(const fs::path& folder, const Images& images, bool texts) {
  const std::string path = (folder / "data.h5").string();
  {
    written::DataFile file(path, images.user_block);
    std::vector<hsize_t> shape = {rows};
    shape.insert(shape.end(), images.shape.begin(), images.shape.end());
    const size_t count =
        std::accumulate(shape.begin(), shape.end(), size_t{1}, std::multiplies<>());
    const std::vector<double> values = ascending<double>(count);
    file.add("/images", images.stored, H5T_NATIVE_DOUBLE, shape, values.data(), images.style);
    add_attributes(file.id(), images);
    const std::vector<int64_t> labels = ascending<int64_t>(rows);
    written::Style small;
    if (!images.style.chunk.empty()) small.chunk = {4};
    file.add("/label", H5T_STD_U8LE, H5T_NATIVE_INT64, {rows}, labels.data(), small);
    const hid_t kinds = H5Tenum_create(H5T_STD_I8LE);
    for (int8_t value = -1; value < 2; ++value)
      H5Tenum_insert(kinds, concat("kind ", int{value}).c_str(), &value);
    const std::vector<int8_t> kind(rows, 1);
    file.add("/kind", kinds, kinds, {rows}, kind.data(), small);
    H5Tclose(kinds);
    const hid_t record = H5Tcreate(H5T_COMPOUND, 12);
    H5Tinsert(record, "energy", 0, H5T_IEEE_F64LE);
    H5Tinsert(record, "hit", 8, H5T_STD_I32LE);
    const std::vector<char> records(12 * rows, 1);
    file.add("/table", record, record, {rows}, records.data(), small);
    if (texts) {
      const hid_t type = H5Tcopy(H5T_C_S1);
      H5Tset_size(type, H5T_VARIABLE);
      const std::vector<const char*> names(rows, "a name");
      file.add("/id", type, type, {rows}, names.data(), small);
      H5Tclose(type);
    } else {
      file.add("/id", record, record, {rows}, records.data(), small);
    }
    H5Tclose(record);
  }
  return content_of(path);
}

std::vector<Input> data_sets(const fs::path& folder) {
  const std::vector<hsize_t> grey = {5, 6}, colour = {6, 6, 3};
  const hid_t half = written::half_type(false);
  const std::vector<Images> all = {
      {H5T_STD_U8LE, H5T_NATIVE_DOUBLE, grey},
      {H5T_STD_U8LE, H5T_NATIVE_DOUBLE, grey, {}, 512},
      {H5T_STD_U8LE, H5T_NATIVE_DOUBLE, colour, {.chunk = {4, 6, 6, 3}}},
      {H5T_STD_U16BE, H5T_NATIVE_DOUBLE, grey, {.chunk = {3, 2, 6}, .shuffle = true, .deflate = 6}},
      {H5T_IEEE_F32LE,
       H5T_NATIVE_DOUBLE,
       colour,
       {.chunk = {4, 6, 6, 3}, .deflate = 1, .fletcher32 = true}},
      {H5T_IEEE_F64LE,
       H5T_NATIVE_DOUBLE,
       {5, 7},
       {.chunk = {10, 5, 7}, .shuffle = true, .deflate = 1}},
      {H5T_STD_I32LE, H5T_NATIVE_DOUBLE, grey, {.chunk = {4, 5, 6}, .fletcher32_first = true}},
      {half, H5T_NATIVE_DOUBLE, grey},
      {H5T_STD_I16LE,
       H5T_NATIVE_DOUBLE,
       grey,
       {.chunk = {4, 5, 6}, .deflate = 1},
       0,
       {{"scale_factor", 0.5}, {"add_offset", 3}, {"valid_max", 200}}},
      {H5T_IEEE_F32LE, H5T_NATIVE_DOUBLE, grey, {}, 0, {{"_FillValue", -9}, {"missing_value", -8}}},
  };
  std::vector<Input> seeds;
  for (size_t i = 0; i < all.size(); ++i)
    seeds.push_back(one_file("data.h5", data_file(folder, all[i], i % 2 == 0)));
  H5Tclose(half);
  return seeds;
}

const Schema& schema() {
  static const Schema pretrain = schema_of("pretrain");
  return pretrain;
}

// Of a child's one folder.
const Configuration& experiment(const fs::path& folder, const std::string& set = "seed=1") {
  static std::map<std::string, Configuration> known;
  const std::string name = folder.string() + set;
  const auto found = known.find(name);
  if (found != known.end()) return found->second;
  return known
      .emplace(name, Configuration::from_text(small_experiment(), schema(),
                                              (folder / "a.toml").string(), {set}))
      .first->second;
}

// The first two batches, as pretrain loads them.
void load_batches(const Source& source, const Communicator& communicator, int64_t position) {
  LoaderOptions loading = source.loading(communicator, 1);
  loading.workers = 0;
  loading.batch = 4;
  loading.position = position;
  loading.end = position + 8;
  Loader loader(source.dataset(), std::make_unique<Order>(source.order(1)), source.plain(),
                loading);
  while (loader.next()) {
  }
}

// As finetune reads a column of labels. Many are no targets of a task.
void read_targets(const Dataset& dataset, const std::string& path) {
  const LabelColumn column = read_labels(dataset, {.path = path});
  FirstError refused;
  for (const TargetType type : {TargetType::classes, TargetType::values, TargetType::marks})
    refused.run([&] { label_targets(type, column, column, {"3", "a name"}); });
}

void read_data_set(const fs::path& folder) {
  const auto communicator = self_communicator();
  Log log(-1, false, false, 10);
  // To find percentiles takes as long as all the rest: for some.
  const uint64_t chosen = hash_name(content_of(folder / "data.h5")) % 16;
  const Configuration& configuration = experiment(folder, chosen == 0   ? "data.range=percentiles"
                                                          : chosen == 1 ? "data.missing=mean"
                                                                        : "data.range=[0, 255]");
  const auto train = [&] {
    const Source source(configuration, *communicator, log);
    each_of([&] { source.labels(*communicator); },
            [&] {
              const OrderSpec order = source.order(1);
              reading_lines(source.dataset(), order,
                            access_pattern(source.dataset(), order, 4, 1, source.buffer()), 1);
            },
            [&] { load_batches(source, *communicator, 0); },
            [&] {
              EmbeddedWhat what;
              what.copied = {"id"};
              const EmbeddedFile file(folder / "z.h5", source, {2}, what, true);
            },
            [&] {
              EmbeddedWhat what;
              what.copied = {"table/hit"};
              const EmbeddedFile file(folder / "z.h5", source, {2}, what, true);
            },
            [&] { read_targets(source.dataset(), "label"); },
            [&] { read_targets(source.dataset(), "table/hit"); },
            [&] { read_targets(source.dataset(), "table/energy"); },
            [&] { read_targets(source.dataset(), "kind"); });
  };
  each_of(train, [&] { run_stage({"inspect", (folder / "data.h5").string()}); });
}

// ---- Checkpoints

constexpr int64_t steps = 4;

struct SmallState {
  std::vector<float> weight = ascending<float>(24);
  std::vector<double> range = {0, 255}, mean = {0.5}, spread = {0.25};
  std::vector<int64_t> lanes = {2, 1};
  int64_t count = 3;
  std::vector<BFloat16> queue = std::vector<BFloat16>(6);

  template <typename Tensor>  // NamedTensor or TensorTarget
  std::vector<Tensor> all() {
    return {{"encoder.conv1.weight", DType::f32, {2, 3, 4}, weight.data()},
            {"encoder.norm.steps", DType::i64, {}, &count},
            {"objective.queue", DType::bf16, {3, 2}, queue.data()},
            {"objective.empty", DType::f32, {0, 4}, nullptr},
            {"data.range", DType::f64, {2}, range.data()},
            {"data.mean", DType::f64, {1}, mean.data()},
            {"data.std", DType::f64, {1}, spread.data()},
            {"data.lanes", DType::i64, {2}, lanes.data()}};
  }
};

const fs::path step_folder = "run/checkpoints/step-000000004";

File small_data(const fs::path& folder) {
  return {.name = "data.h5",
          .content = data_file(folder, {H5T_STD_U8LE, H5T_NATIVE_DOUBLE, {5, 6}}, true),
          .fixed = true};
}

std::vector<Input> checkpoints(const fs::path& folder) {
  const File data = small_data(folder);
  const auto communicator = self_communicator();
  Log log(-1, false, false, 10);
  CheckpointInfo info;
  info.step = steps;
  info.epoch = 1;
  info.position = 4 * steps;
  info.configuration = experiment(folder).resolved();
  info.environment.code_version = "0.1.0";
  info.data = {Source(experiment(folder), *communicator, log).identity()};
  std::vector<Input> seeds;
  for (const bool long_run : {false, true}) {
    SmallState state;
    const fs::path where = folder / step_folder;
    fs::create_directories(where);
    for (int64_t step = 0; long_run && step < steps; ++step)
      info.metrics.append(step, std::vector<Scalar>{{"loss", 0.5}, {"lr", 0.1}});
    if (long_run) info.score = 0.5;
    const StoredPart part = write_part(where, 0, info, state.all<NamedTensor>());
    write_manifest(where, info, {&part, 1});
    seeds.push_back(
        {{.name = step_folder / "checkpoint.h5", .content = content_of(where / "checkpoint.h5")},
         {.name = step_folder / "part-000.h5", .content = content_of(where / "part-000.h5")},
         data});
  }
  return seeds;
}

void replace_number(std::string& bytes, int64_t old, int64_t now) {
  const std::string before(reinterpret_cast<const char*>(&old), sizeof old);
  const std::string after(reinterpret_cast<const char*>(&now), sizeof now);
  for (size_t at = bytes.find(before); at != std::string::npos; at = bytes.find(before, at + 8))
    bytes.replace(at, 8, after);
}

int64_t crc32_of_range(const std::string& bytes, size_t from, size_t size) {
  from = std::min(from, bytes.size());
  return crc32_of(bytes.data() + from, std::min(size, bytes.size() - from));
}

// A file's own size and checksum in its front (docs/formats.md), under the seed's title.
void seal_front(const std::string& seed, std::string& mutated) {
  if (mutated.size() <= 512) return;
  std::array<char, 16> crc{};
  std::snprintf(crc.data(), crc.size(), "%08x",
                crc32_of(mutated.data() + 512, mutated.size() - 512));
  std::string front = concat(seed.substr(0, seed.find('\n')), "\nbytes ", mutated.size() - 512,
                             "\ncrc32 ", crc.data(), "\n");
  front.resize(512, '\0');
  mutated.replace(0, 512, front);
}

// The part's in the manifest where they stood, and the manifest's own in its front
// (docs/formats.md).
void seal_checkpoint(const Input& seed, Input& mutated) {
  std::string& manifest = mutated[0].content;
  const std::string &before = seed[1].content, &now = mutated[1].content;
  if (now != before) {
    replace_number(manifest, crc32_of_range(before, 0, before.size()),
                   crc32_of_range(now, 0, now.size()));
    replace_number(manifest, static_cast<int64_t>(before.size()), static_cast<int64_t>(now.size()));
    SmallState state;
    for (const NamedTensor& each : state.all<NamedTensor>()) {
      const size_t size = static_cast<size_t>(each.shape.count()) * size_of(each.dtype);
      const size_t at = before.find(std::string(static_cast<const char*>(each.data), size));
      if (size > 0 && at != std::string::npos)
        replace_number(manifest, crc32_of_range(before, at, size), crc32_of_range(now, at, size));
    }
  }
  seal_front(seed[0].content, manifest);
}

// As pretrain continues, and as embed and finetune begin.
void read_run(const fs::path& folder) {
  const fs::path run = folder / "run";
  std::string warnings;
  const auto warn = [&](const std::string& sentence) { warnings += sentence; };
  for (const char* which : {"last", "best"}) {
    const std::optional<Checkpoint> found = find_checkpoint(run, which, warn);
    if (!found && which == std::string("best")) continue;  // none has a score
    if (!found) bad_input(run.string(), " has no usable checkpoint: ", warnings);
    const auto communicator = self_communicator();
    Log log(-1, false, false, 10);
    each_of(
        [&] {
          Configuration::from_text(found->info.configuration, schema(),
                                   (folder / "a.toml").string());
        },
        [&] { environment_differences(found->info.environment, Environment()); },
        [&] {
          SmallState state;
          load_tensors(*found, state.all<TensorTarget>(), Match::all);
        },
        [&] { const Metrics metrics(run / "metrics.jsonl", found->info.metrics); },
        [&] {
          const Source source(experiment(folder), *communicator, log, {.like = &*found});
          each_of([&] { source.require_same_data(*found); },
                  [&] { load_batches(source, *communicator, 4 * steps); });
        });
  }
}

// ---- Representations

std::vector<Input> representations(const fs::path& folder) {
  const fs::path path = folder / "z.h5";
  std::vector<Input> seeds;
  for (const bool labelled : {true, false}) {
    RepresentationsLayout layout;
    layout.samples = rows;
    layout.z = {3};
    layout.files = {"data.h5", "more.h5"};
    if (labelled) layout.columns.push_back({.name = "label", .dtype = DType::i64, .row = Shape{}});
    RepresentationsWriter writer(path, layout,
                                 {.run = "runs/a",
                                  .step = steps,
                                  .weights = "student",
                                  .layer = "encoder",
                                  .dataset = "images",
                                  .data_hash = "4711",
                                  .code_version = "0.1.0",
                                  .configuration = small_experiment()},
                                 true);
    writer.write("z", 0, rows, ascending<float>(3 * rows).data());
    writer.write("file", 0, rows, std::vector<int32_t>(rows, 1).data());
    writer.write("row", 0, rows, ascending<int64_t>(rows).data());
    if (labelled) writer.write("label", 0, rows, ascending<int64_t>(rows).data());
    writer.finish();
    seeds.push_back(one_file("z.h5", content_of(path)));
  }
  const std::vector<float> values = ascending<float>(3 * rows);
  {
    written::DataFile file((folder / "other.h5").string());
    file.add("/z", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {rows, 3}, values.data(),
             {.chunk = {4, 2}, .deflate = 1});
  }
  seeds.push_back(one_file("z.h5", content_of(folder / "other.h5")));
  return seeds;
}

void read_representations_file(const fs::path& folder) {
  const fs::path path = folder / "z.h5";
  each_of([&] { read_representations(path); }, [&] { run_stage({"inspect", path.string()}); });
}

// ---- Trials

TrialsOrigin origin() {
  return {.run = "runs/a",
          .step = steps,
          .checkpoint = "1 2",
          .train_data = "3",
          .test_data = "4",
          .environment = "1 rank"};
}

TrialResult accuracy() {
  return {.test = {{"accuracy", Direction::higher, 0.5, {0.4, 0.6}}}, .held_out = {}};
}

// Calls use(trials) on what the folder holds, or on new ones.
template <typename Use>
void with_trials(const fs::path& folder, const Use& use) {
  const auto communicator = self_communicator();
  Log log(-1, false, false, 10);
  StageContext context{*communicator, log, nullptr};
  const EarlyStop early_stop({}, 0, {}, *communicator);
  Trials trials(folder, origin(), early_stop, context);
  use(trials);
}

std::vector<Input> trials(const fs::path& folder) {
  std::vector<Input> seeds;
  for (const int count : {0, 3}) {
    with_trials(folder, [&](Trials& some) {
      for (int i = 0; i < count; ++i)
        some.once(concat("draw ", i, ", rate 0.1"), [&](const fs::path&) { return accuracy(); });
    });
    seeds.push_back(one_file("trials.h5", content_of(folder / "trials.h5")));
  }
  return seeds;
}

void seal_trials(const Input& seed, Input& mutated) {
  seal_front(seed[0].content, mutated[0].content);
}

void read_trials(const fs::path& folder) {
  with_trials(folder, [&](Trials& some) {
    some.once("draw 1", [](const fs::path&) { return accuracy(); });
  });
}

}  // namespace

Target data_target() {
  return {.name = "data",
          .what = "HDF5 data: index, statistics, labels, batches, embed.copy, inspect",
          .form = Form::hdf5,
          .seeds = data_sets,
          .read = read_data_set,
          .may_end_so = [](ExitStatus status) {
            return status == ExitStatus::bad_input || status == ExitStatus::bad_values;
          }};
}

Target checkpoint_target() {
  return {.name = "checkpoint",
          .what = "manifest and part of a checkpoint, three of four with right checksums",
          .form = Form::hdf5,
          .seeds = checkpoints,
          .read = read_run,
          .seal = seal_checkpoint};
}

Target representations_target() {
  return {.name = "representations",
          .what = "z.h5, read and inspected",
          .form = Form::hdf5,
          .seeds = representations,
          .read = read_representations_file};
}

Target trials_target() {
  return {.name = "trials",
          .what = "RUN/trials.h5, three of four with a right checksum",
          .form = Form::hdf5,
          .seeds = trials,
          .read = read_trials,
          .seal = seal_trials};
}

}  // namespace lacuna::fuzz
