#include "run/checkpoint.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <map>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "io/direct_stream.h"
#include "io/durable_file.h"
#include "io/hdf5_image.h"
#include "io/sealed_file.h"

namespace lacuna {
namespace fs = std::filesystem;

namespace {

constexpr int64_t format_version = 1;
constexpr const char* manifest_name = "checkpoint.h5";
constexpr const char* folder_prefix = "step-";
constexpr const char* manifest_title = "Manifest of a Lacuna checkpoint";

// ---- Names -------------------------------------------------------------------------------------

std::string part_name(int64_t index) {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "part-%03lld.h5", static_cast<long long>(index));
  return name.data();
}

// "encoder.conv1.weight" -> "/state/encoder/conv1/weight"
std::string dataset_path(std::string_view name) {
  std::string path = "/state/";
  for (const char c : name) path += c == '.' ? '/' : c;
  return path;
}

void check_names(std::span<const NamedTensor> tensors) {
  std::vector<std::string> paths;
  for (const NamedTensor& each : tensors) {
    LACUNA_CHECK(!each.name.empty() && each.name.find('/') == std::string::npos &&
                     each.name.front() != '.' && each.name.back() != '.' &&
                     each.name.find("..") == std::string::npos,
                 "tensor '", each.name, "'");
    paths.push_back(dataset_path(each.name));
  }
  std::sort(paths.begin(), paths.end());
  for (size_t i = 0; i < paths.size(); ++i) {
    const auto next = std::lower_bound(paths.begin(), paths.end(), paths[i] + "/");
    LACUNA_CHECK(next == paths.end() || !next->starts_with(paths[i] + "/"), *next, " lies in ",
                 paths[i]);
    LACUNA_CHECK(i == 0 || paths[i] != paths[i - 1], "two tensors ", paths[i]);
  }
}

// A step, as files and users name it.
std::optional<int64_t> step_from(std::string_view text) {
  const auto step = as_number<int64_t>(text);
  return step && *step >= 0 ? step : std::nullopt;
}

// The step of "step-000012000".
std::optional<int64_t> step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  if (!name.starts_with(folder_prefix)) return std::nullopt;
  return step_from(std::string_view(name).substr(std::strlen(folder_prefix)));
}

// The steps for which there is a folder, ascending.
std::vector<int64_t> steps_in(const fs::path& run) {
  std::vector<int64_t> steps;
  const fs::path folder = run / "checkpoints";
  if (!is_there(folder)) return steps;
  std::error_code error;
  for (fs::directory_iterator i(folder, error), end; !error && i != end; i.increment(error))
    if (const auto step = step_of(i->path()); step && i->path() == checkpoint_folder(run, *step))
      steps.push_back(*step);
  if (error) throw Unreadable(folder, error.value());
  std::sort(steps.begin(), steps.end());
  return steps;
}

// The manifest goes first, so that at no instant there is one without its parts.
void remove_checkpoint(const fs::path& folder) {
  std::error_code ignored;
  if (fs::remove(folder / manifest_name, ignored)) sync_folder(folder);
  fs::remove_all(folder, ignored);
}

DType dtype_of_name(const std::string& name, const std::string& file) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16, DType::f16, DType::i64, DType::i32,
                            DType::u16, DType::i16, DType::u8})
    if (name == name_of(dtype)) return dtype;
  bad_input(file, " holds a tensor of the unknown type ", name, ": it is from a newer version");
}

// ---- What manifest and parts say about the run -------------------------------------------------

void write_info(hdf5::Group& root, const CheckpointInfo& info, const std::string& format) {
  root.set("format", format);
  root.set("format_version", format_version);
  root.set("step", info.step);
  root.set("epoch", info.epoch);
  root.set("position", info.position);
  root.set("seed", info.seed);
  root.set("finished", int64_t{info.finished});
  if (info.draws_by_sample) root.set("layer_draws", "by sample");
  if (info.score) root.set("score", *info.score);
  root.set("code_version", info.environment.code_version);
  root.set("mpi_version", info.environment.mpi);
  root.set("hdf5_version", info.environment.hdf5);
  root.set("onednn_version", info.environment.onednn);
  root.set("ranks", info.environment.ranks);
  root.set("threads", info.environment.threads);
  root.set("device", info.environment.device);
  root.set("instruction_set", info.environment.instruction_set);
  root.set("precision", info.environment.precision);
  root.create_texts("/configuration", std::array{info.configuration});
}

CheckpointInfo read_info(const hdf5::Group& root) {
  CheckpointInfo info;
  info.step = root.integer("step");
  info.epoch = root.integer("epoch");
  info.position = root.integer("position");
  info.seed = root.integer("seed");
  info.finished = root.integer("finished") != 0;
  info.draws_by_sample = root.has_attribute("layer_draws");
  if (root.has_attribute("score")) info.score = root.number("score");
  info.environment.code_version = root.text("code_version");
  info.environment.mpi = root.text("mpi_version");
  info.environment.hdf5 = root.text("hdf5_version");
  info.environment.onednn = root.text("onednn_version");
  info.environment.ranks = root.integer("ranks");
  info.environment.threads = root.integer("threads");
  if (root.has_attribute("device")) info.environment.device = root.text("device");
  info.environment.instruction_set = root.text("instruction_set");
  info.environment.precision = root.text("precision");
  info.configuration = root.dataset("/configuration").only_text();
  if (info.step < 0 || info.epoch < 0 || info.position < 0) throw std::out_of_range("counts");
  return info;
}

template <typename T>
void write_column(hdf5::Group& root, const std::string& path, const std::vector<T>& values,
                  const std::string& axes = "") {
  hdf5::Dataset dataset =
      root.create_dataset(path, dtype_of<T>, {static_cast<int64_t>(values.size())});
  dataset.write(values.data(), dtype_of<T>);
  if (!axes.empty()) dataset.set("axes", axes);
}

template <typename T>
std::vector<T> read_column(const hdf5::Group& root, const std::string& path) {
  return root.dataset(path).values<T>();
}

std::vector<std::string> read_text_column(const hdf5::Group& root, const std::string& path) {
  return root.dataset(path).texts();
}

void write_data_identity(hdf5::Group& root, const DataIdentity& data) {
  const std::string path = "/data/" + data.name;
  hdf5::Group group = root.create_group(path);
  group.set("dataset", data.dataset);
  group.set("samples", data.samples);
  group.set("hash", data.hash);
  std::vector<std::string> files;
  std::vector<int64_t> bytes, samples;
  for (const auto& file : data.files) {
    files.push_back(file.path);
    bytes.push_back(file.bytes);
    samples.push_back(file.samples);
  }
  root.create_texts(path + "/file", files);
  write_column(root, path + "/bytes", bytes);
  write_column(root, path + "/samples", samples);
}

DataIdentity read_data_identity(const hdf5::Group& root, const std::string& name) {
  const std::string path = "/data/" + name;
  const hdf5::Group group = root.group(path);
  DataIdentity data{name, group.text("dataset"), {}, group.integer("samples"), group.text("hash")};
  const auto files = read_text_column(root, path + "/file");
  const auto bytes = read_column<int64_t>(root, path + "/bytes");
  const auto samples = read_column<int64_t>(root, path + "/samples");
  for (size_t i = 0; i < files.size(); ++i)
    data.files.push_back({files[i], bytes.at(i), samples.at(i)});
  return data;
}

void write_metrics(hdf5::Group& root, const MetricsTable& metrics) {
  hdf5::Group group = root.create_group("/metrics");
  write_column(root, "/metrics/step", metrics.step, "step");
  std::vector<std::string> names;
  for (const auto& column : metrics.columns) {
    names.push_back(column.name);
    write_column(root, "/metrics/" + column.name, column.value, "step");
  }
  if (!names.empty()) group.set("columns", names);
}

MetricsTable read_metrics(const hdf5::Group& root) {
  MetricsTable metrics;
  const hdf5::Group group = root.group("/metrics");
  metrics.step = read_column<int64_t>(root, "/metrics/step");
  if (group.has_attribute("columns"))
    for (const std::string& name : group.texts("columns"))
      metrics.columns.push_back({name, read_column<double>(root, "/metrics/" + name)});
  const std::vector<int64_t>& step = metrics.step;
  for (size_t i = 1; i < step.size(); ++i)
    if (step[i] <= step[i - 1]) throw std::out_of_range("steps");
  for (const MetricsTable::Column& column : metrics.columns)
    if (column.value.size() != step.size()) throw std::out_of_range("metrics");
  return metrics;
}

// ---- The tables of parts and tensors -----------------------------------------------------------

void write_parts_table(hdf5::Group& root, std::span<const StoredPart> parts) {
  std::vector<std::string> files;
  std::vector<int64_t> bytes, crc32;
  for (const StoredPart& part : parts) {
    files.push_back(part.file);
    bytes.push_back(part.bytes);
    crc32.push_back(part.crc32);
  }
  root.create_texts("/parts/file", files);
  write_column(root, "/parts/bytes", bytes);
  write_column(root, "/parts/crc32", crc32);
}

void write_tensors_table(hdf5::Group& root, std::span<const StoredTensor> tensors) {
  std::vector<std::string> names, dtypes;
  std::vector<int64_t> part, offset, bytes, crc32, sizes;
  for (const StoredTensor& each : tensors) {
    names.push_back(each.name);
    dtypes.emplace_back(name_of(each.dtype));
    part.push_back(each.part);
    offset.push_back(each.offset);
    bytes.push_back(each.bytes);
    crc32.push_back(each.crc32);
    for (int axis = 0; axis < Shape::max_rank; ++axis)
      sizes.push_back(axis < each.shape.rank() ? each.shape[axis] : -1);
  }
  root.create_texts("/tensors/name", names);
  root.create_texts("/tensors/dtype", dtypes);
  root.create_dataset("/tensors/shape", DType::i64,
                      {static_cast<int64_t>(tensors.size()), Shape::max_rank})
      .write(sizes.data(), DType::i64);
  write_column(root, "/tensors/part", part);
  write_column(root, "/tensors/offset", offset);
  write_column(root, "/tensors/bytes", bytes);
  write_column(root, "/tensors/crc32", crc32);
}

// Tables that do not fit together: std::out_of_range.
std::vector<StoredPart> read_tables(const hdf5::Group& root) {
  std::vector<StoredPart> parts;
  const auto files = read_text_column(root, "/parts/file");
  const auto part_bytes = read_column<int64_t>(root, "/parts/bytes");
  const auto part_crc32 = read_column<int64_t>(root, "/parts/crc32");
  for (size_t i = 0; i < files.size(); ++i)
    parts.push_back({files[i], part_bytes.at(i), static_cast<uint32_t>(part_crc32.at(i)), {}});
  for (const StoredPart& each : parts)
    if (each.bytes < 0) throw std::out_of_range("bytes of parts");
  const auto names = read_text_column(root, "/tensors/name");
  const auto dtypes = read_text_column(root, "/tensors/dtype");
  const auto sizes = read_column<int64_t>(root, "/tensors/shape");
  const auto part = read_column<int64_t>(root, "/tensors/part");
  const auto offset = read_column<int64_t>(root, "/tensors/offset");
  const auto bytes = read_column<int64_t>(root, "/tensors/bytes");
  const auto crc32 = read_column<int64_t>(root, "/tensors/crc32");
  if (sizes.size() != names.size() * Shape::max_rank) throw std::out_of_range("shapes");
  for (size_t i = 0; i < names.size(); ++i) {
    std::vector<int64_t> axes(
        sizes.begin() + static_cast<std::ptrdiff_t>(i * Shape::max_rank),
        sizes.begin() + static_cast<std::ptrdiff_t>((i + 1) * Shape::max_rank));
    axes.erase(std::find(axes.begin(), axes.end(), -1), axes.end());
    const std::optional<Shape> shape = hdf5::shape_of(axes);
    if (!shape) throw std::out_of_range("shape");
    const StoredTensor tensor{
        names[i],    dtype_of_name(dtypes.at(i), root.file()), *shape, part.at(i), offset.at(i),
        bytes.at(i), static_cast<uint32_t>(crc32.at(i))};
    if (tensor.bytes != tensor.shape.count() * static_cast<int64_t>(size_of(tensor.dtype)))
      throw std::out_of_range("bytes");
    StoredPart& holder = parts.at(static_cast<size_t>(tensor.part));
    if (tensor.offset < 0 || tensor.bytes > holder.bytes - tensor.offset)
      throw std::out_of_range("offset");
    holder.tensors.push_back(tensor);
  }
  return parts;
}

// ---- Parts -------------------------------------------------------------------------------------

// Writes a part from its front to its end: the image, then zeros, with the tensors laid over them.
// Notes the CRC-32 of each tensor and of the whole: of what is in memory, before anything has gone
// through a file system.
class PartStream {
 public:
  PartStream(DurableFile& file, const hdf5::NewImage::Content& content)
      : stream_(file), content_(content) {}

  void append(StoredTensor& stored, const void* data) {
    const auto bytes = static_cast<size_t>(stored.bytes);
    if (bytes == 0) return;
    fill_up_to(static_cast<uint64_t>(stored.offset));
    for (size_t done = 0; done < bytes; done += cached) {
      const std::byte* const at = static_cast<const std::byte*>(data) + done;
      const size_t n = std::min(bytes - done, cached);
      stored.crc32 = crc32_of(at, n, stored.crc32);
      stream_.append(at, n);
    }
    crc_ = crc32_joined(crc_, stored.crc32, bytes);
    at_ += bytes;
  }
  // Returns the CRC-32 of the whole.
  uint32_t finish() {
    fill_up_to(content_.file_bytes);
    stream_.finish();
    return crc_;
  }

 private:
  static constexpr size_t cached = 128 * 1024;  // is read twice, the second time from a cache

  void fill_up_to(uint64_t end) {
    LACUNA_CHECK(at_ <= end, "byte ", end, " after ", at_);
    if (const uint64_t front = std::min<uint64_t>(end, content_.bytes.size()); at_ < front)
      fill(content_.bytes.data() + at_, front - at_);
    const std::vector<std::byte> zeros(std::min<uint64_t>(end - at_, cached));
    while (at_ < end) fill(zeros.data(), std::min<uint64_t>(end - at_, zeros.size()));
  }
  void fill(const std::byte* data, size_t bytes) {
    crc_ = crc32_of(data, bytes, crc_);
    stream_.append(data, bytes);
    at_ += bytes;
  }

  DirectStream stream_;
  const hdf5::NewImage::Content& content_;
  uint32_t crc_ = 0;
  uint64_t at_ = 0;
};

// The manifest's bytes, after its checksum was found right.
std::string checked_manifest(const fs::path& file) {
  if (!is_there(file))
    bad_input(file.parent_path().string(), " is incomplete: it has no ", manifest_name);
  std::optional<std::string> bytes = read_sealed(file, manifest_title);
  if (!bytes)
    bad_input(file.string(),
              " is damaged: it does not agree with the size and checksum in its front");
  return *std::move(bytes);
}

void verify_part(const fs::path& path, const StoredPart& part) {
  if (!is_there(path)) bad_input(path.string(), " is missing");
  const ReadableFile file(path);
  if (file.size() != static_cast<uint64_t>(part.bytes))
    bad_input(path.string(), " is damaged: it has ", file.size(), " bytes instead of ", part.bytes);
  std::vector<std::byte> piece(size_t{4} << 20);
  uint32_t crc = 0;
  for (uint64_t at = 0; at < file.size(); at += piece.size()) {
    const size_t n = std::min<uint64_t>(piece.size(), file.size() - at);
    file.read(at, piece.data(), n);
    crc = crc32_of(piece.data(), n, crc);
  }
  if (crc != part.crc32)
    bad_input(path.string(), " is damaged: its CRC-32 is ", crc, " instead of ", part.crc32);
}

std::string tensor_text(DType dtype, const Shape& shape) {
  return concat(name_of(dtype), " ", shape);
}

size_t bytes_of(const NamedTensor& tensor) {
  return static_cast<size_t>(tensor.shape.count()) * size_of(tensor.dtype);
}

std::vector<size_t> in_order_of_offsets(std::span<const StoredTensor> tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return tensors[a].offset < tensors[b].offset; });
  return order;
}

}  // namespace

std::string environment_differences(const Environment& then, const Environment& now) {
  std::vector<std::string> all;
  const auto compare = [&](std::string_view what, const auto& before, const auto& after) {
    if (before != after) all.push_back(concat(what, " was ", before, " and is ", after));
  };
  compare("the number of ranks", then.ranks, now.ranks);
  compare("the number of threads", then.threads, now.threads);
  compare("the device", then.device, now.device);
  compare("the instruction set", then.instruction_set, now.instruction_set);
  compare("the precision", then.precision, now.precision);
  compare("Lacuna", then.code_version, now.code_version);
  compare("the MPI", then.mpi, now.mpi);
  compare("HDF5", then.hdf5, now.hdf5);
  compare("oneDNN", then.onednn, now.onednn);
  return join(all);
}

bool same_data(const std::string& then, const std::string& now) {
  return then == now || then == now.substr(0, now.find('-'));
}

const StoredTensor* Checkpoint::find(std::string_view name) const {
  for (const StoredPart& part : parts)
    for (const StoredTensor& tensor : part.tensors)
      if (tensor.name == name) return &tensor;
  return nullptr;
}

std::vector<StoredTensor> Checkpoint::tensors() const {
  std::vector<StoredTensor> all;
  for (const StoredPart& part : parts)
    all.insert(all.end(), part.tensors.begin(), part.tensors.end());
  return all;
}

std::string Checkpoint::checksums() const {
  std::vector<std::string> all;
  for (const StoredPart& part : parts) all.push_back(concat(std::hex, part.crc32));
  return join(all);
}

// ---- Writing -----------------------------------------------------------------------------------

fs::path checkpoint_folder(const fs::path& run, int64_t step) {
  std::array<char, 40> name{};
  std::snprintf(name.data(), name.size(), "%s%09lld", folder_prefix, static_cast<long long>(step));
  return run / "checkpoints" / name.data();
}

std::vector<int64_t> complete_checkpoints(const fs::path& run) {
  std::vector<int64_t> steps = steps_in(run);
  std::erase_if(
      steps, [&](int64_t step) { return !is_there(checkpoint_folder(run, step) / manifest_name); });
  return steps;
}

std::string newest_checkpoint_text(const fs::path& run) {
  const std::vector<int64_t> steps = complete_checkpoints(run);
  return concat("step ", steps.empty() ? 0 : steps.back());
}

void set_aside_checkpoint(const fs::path& run, int64_t step) {
  const fs::path folder = checkpoint_folder(run, step);
  const fs::path aside = folder.parent_path() / ("unusable-" + folder.filename().string());
  while (!rename_to_new(folder, aside)) move_aside(aside);
}

StoredPart write_part(const fs::path& folder, int64_t index, const CheckpointInfo& info,
                      std::span<const NamedTensor> tensors) {
  check_names(tensors);
  StoredPart part{part_name(index), 0, 0, {}};
  const fs::path path = folder / part.file;
  // Three KiB: header of the dataset and, for most, of the group that it lies in.
  const size_t metadata_bytes =
      (size_t{64} << 10) + info.configuration.size() + (size_t{3} << 10) * tensors.size();
  hdf5::NewImage image = hdf5::NewImage::create(path.string(), metadata_bytes);
  write_info(image, info, "lacuna checkpoint part");
  for (const NamedTensor& each : tensors) {
    LACUNA_CHECK(each.device == nullptr || each.device->reads_host_memory(), each.name);
    hdf5::Dataset dataset = image.create_dataset(dataset_path(each.name), each.dtype, each.shape,
                                                 {.allocate_early = true});
    if (!each.axes.empty()) dataset.set("axes", each.axes);
    part.tensors.push_back({each.name, each.dtype, each.shape, index,
                            static_cast<int64_t>(dataset.offset().value_or(0)),
                            static_cast<int64_t>(bytes_of(each)), 0});
  }
  const hdf5::NewImage::Content content = image.close();
  DurableFile file(path);
  PartStream stream(file, content);
  for (const size_t i : in_order_of_offsets(part.tensors))
    stream.append(part.tensors[i], tensors[i].data);
  part.crc32 = stream.finish();
  part.bytes = static_cast<int64_t>(content.file_bytes);
  file.publish();
  return part;
}

void write_manifest(const fs::path& folder, const CheckpointInfo& info,
                    std::span<const StoredPart> parts) {
  const fs::path path = folder / manifest_name;
  hdf5::NewImage image = new_sealed_image(path, size_t{64} << 10);
  write_info(image, info, "lacuna checkpoint");
  image.create_group("/data");
  for (const DataIdentity& data : info.data) write_data_identity(image, data);
  write_metrics(image, info.metrics);
  write_parts_table(image, parts);
  std::vector<StoredTensor> tensors;
  for (const StoredPart& part : parts) {
    tensors.insert(tensors.end(), part.tensors.begin(), part.tensors.end());
    for (const StoredTensor& each : part.tensors)
      image.link_external(dataset_path(each.name), part.file, dataset_path(each.name));
  }
  write_tensors_table(image, tensors);
  write_sealed(path, manifest_title, image);
}

CheckpointWriter::CheckpointWriter(fs::path run, Keep keep, int64_t continued_from)
    : run_(std::move(run)), keep_(keep) {
  LACUNA_CHECK(keep_.last >= 1);
  clear_behind(continued_from);
  for (const int64_t step : steps_in(run_)) {
    try {
      kept_.push_back({step, read_checkpoint(checkpoint_folder(run_, step)).info.score});
    } catch (const Unreadable&) {
      throw;
    } catch (const Error&) {
      kept_.push_back({step, std::nullopt});  // damaged: counts as old, and goes in its turn
    }
  }
}

CheckpointWriter::~CheckpointWriter() {
  if (thread_.joinable()) thread_.join();
}

void CheckpointWriter::clear_behind(int64_t continued_from) {
  for (const int64_t step : steps_in(run_)) {
    const fs::path folder = checkpoint_folder(run_, step);
    if (!is_there(folder / manifest_name))
      remove_checkpoint(folder);
    else if (step > continued_from)
      set_aside_checkpoint(run_, step);
  }
}

void CheckpointWriter::take_snapshot(std::span<const NamedTensor> tensors) {
  constexpr size_t alignment = 64;
  const auto place = [](const NamedTensor& each) {
    return (bytes_of(each) + alignment - 1) / alignment * alignment;
  };
  size_t bytes = 0;
  for (const NamedTensor& each : tensors) bytes += place(each);
  Device* device = nullptr;
  for (const NamedTensor& each : tensors)
    if (each.device != nullptr) device = each.device;
  if (snapshot_ == nullptr) {
    snapshot_ = device == nullptr ? immediate_downloads(nullptr) : device->make_downloads();
  }
  auto* at = static_cast<std::byte*>(snapshot_->memory(bytes));
  tensors_.assign(tensors.begin(), tensors.end());
  for (NamedTensor& each : tensors_) {
    LACUNA_CHECK(each.device == device || each.device == nullptr, each.name);
    if (each.device != nullptr)
      snapshot_->fetch(at, each.data, bytes_of(each));
    else if (bytes_of(each) > 0)
      std::memcpy(at, each.data, bytes_of(each));
    each.data = at;
    each.device = nullptr;
    at += place(each);
  }
}

void CheckpointWriter::start(CheckpointInfo info, std::span<const NamedTensor> tensors) {
  wait();
  LACUNA_CHECK(kept_.empty() || info.step > kept_.back().step, "checkpoint of step ", info.step,
               " after that of ", kept_.empty() ? 0 : kept_.back().step);
  take_snapshot(tensors);
  thread_ = std::thread([this, info = std::move(info)] {
    try {
      const auto begun = std::chrono::steady_clock::now();
      snapshot_->wait();
      write(info);
      seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    } catch (...) {
      error_ = std::current_exception();
    }
  });
}

void CheckpointWriter::wait() {
  if (thread_.joinable()) thread_.join();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void CheckpointWriter::write(const CheckpointInfo& info) {
  const fs::path folder = checkpoint_folder(run_, info.step);
  make_folders(folder);
  try {
    const StoredPart part = write_part(folder, 0, info, tensors_);
    write_manifest(folder, info, std::span(&part, 1));
  } catch (...) {
    remove_checkpoint(folder);
    throw;
  }
  kept_.push_back({info.step, info.score});
  remove_superseded();
}

void CheckpointWriter::remove_superseded() {
  const auto best = std::min_element(kept_.begin(), kept_.end(), [](const Kept& a, const Kept& b) {
    return a.score && (!b.score || *a.score < *b.score);
  });
  const int64_t best_step = keep_.best && best->score ? best->step : -1;
  const auto surplus = static_cast<int64_t>(kept_.size()) - keep_.last;
  std::vector<Kept> remaining;
  for (size_t i = 0; i < kept_.size(); ++i) {
    if (static_cast<int64_t>(i) < surplus && kept_[i].step != best_step)
      remove_checkpoint(checkpoint_folder(run_, kept_[i].step));
    else
      remaining.push_back(kept_[i]);
  }
  kept_ = std::move(remaining);
}

// ---- Reading -----------------------------------------------------------------------------------

Checkpoint read_checkpoint(const fs::path& folder) {
  const fs::path path = folder / manifest_name;
  const std::string bytes = checked_manifest(path);
  const auto root = hdf5::ImageReader::open(path.string(), std::as_bytes(std::span(bytes)));
  const int64_t version = root.integer("format_version");
  if (root.text("format") != "lacuna checkpoint" || version != format_version)
    bad_input(path.string(), " has format version ", version, " and this program reads version ",
              format_version, ": read it with the version of Lacuna that wrote it, ",
              root.text("code_version"));
  try {
    Checkpoint checkpoint{folder, read_info(root), read_tables(root)};
    for (const auto& entry : root.group("/data").entries())
      checkpoint.info.data.push_back(read_data_identity(root, entry.name));
    checkpoint.info.metrics = read_metrics(root);
    const std::vector<int64_t>& steps = checkpoint.info.metrics.step;
    if (!steps.empty() && (steps.front() < 0 || steps.back() > checkpoint.info.step))
      throw std::out_of_range("steps of metrics");
    return checkpoint;
  } catch (const std::out_of_range&) {
    bad_input(path.string(), " is damaged: its tables do not fit together");
  }
}

void verify_checkpoint(const Checkpoint& checkpoint) {
  for (const StoredPart& part : checkpoint.parts) verify_part(checkpoint.folder / part.file, part);
}

namespace {

Checkpoint read_and_verify(const fs::path& run, int64_t step) {
  Checkpoint checkpoint = read_checkpoint(checkpoint_folder(run, step));
  verify_checkpoint(checkpoint);
  return checkpoint;
}

// The steps in the order in which they are to be tried: the newest first, or the best first.
std::vector<int64_t> candidates(const fs::path& run, bool by_score) {
  std::vector<int64_t> steps = steps_in(run);
  std::reverse(steps.begin(), steps.end());
  if (!by_score) return steps;
  std::vector<std::pair<double, int64_t>> scored;
  for (const int64_t step : steps) {
    try {
      const CheckpointInfo info = read_checkpoint(checkpoint_folder(run, step)).info;
      if (info.score) scored.emplace_back(*info.score, step);
    } catch (const Unreadable&) {
      throw;
    } catch (const Error&) {
      // Its score is unknown; one that can be read is preferred.
    }
  }
  std::stable_sort(scored.begin(), scored.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  steps.clear();
  for (const auto& [score, step] : scored) steps.push_back(step);
  return steps;
}

Checkpoint given_step(const fs::path& run, int64_t step) {
  std::vector<std::string> there;
  for (const int64_t each : steps_in(run)) {
    if (each == step) return read_and_verify(run, step);
    there.push_back(std::to_string(each));
  }
  bad_input(run.string(), " has no checkpoint of step ", step, there.empty() ? "" : "; it has ",
            join(there));
}

}  // namespace

std::optional<Checkpoint> find_checkpoint(const fs::path& run, std::string_view which,
                                          const Warn& warn) {
  if (const auto step = step_from(which)) return given_step(run, *step);
  if (which != "last" && which != "best")
    bad_input("a checkpoint is chosen by last, best or a step, not by '", which, "'");
  const std::vector<int64_t> steps = candidates(run, which == "best");
  for (const int64_t step : steps) {
    try {
      return read_and_verify(run, step);
    } catch (const Unreadable&) {
      throw;
    } catch (const Error& error) {
      warn(concat("checkpoint ", step, " is not used, ",
                  step == steps.back() ? "and no other is left: " : "trying the one before it: ",
                  error.what()));
    }
  }
  return std::nullopt;
}

namespace {

// From the whole tensor's bytes what of it is wanted.
void copy_wanted(const std::vector<std::byte>& whole, const TensorTarget& target) {
  const size_t element = size_of(target.dtype);
  const std::byte* from = whole.data();
  size_t bytes = whole.size();
  if (target.part) {
    from += static_cast<size_t>(target.part->first) * element;
    bytes = static_cast<size_t>(target.part->count) * element;
  }
  if (bytes == 0) return;
  if (target.device != nullptr)
    target.device->copy_in(target.data, from, bytes);
  else
    std::memcpy(target.data, from, bytes);
}

}  // namespace

void load_tensors(const Checkpoint& checkpoint, std::span<const TensorTarget> targets,
                  Match match) {
  std::map<std::string_view, const StoredTensor*> stored;
  for (const StoredPart& part : checkpoint.parts)
    for (const StoredTensor& tensor : part.tensors) stored[tensor.name] = &tensor;

  std::vector<std::pair<const StoredTensor*, const TensorTarget*>> pairs;
  std::vector<std::string> differences;
  for (const TensorTarget& target : targets) {
    const auto found = stored.find(target.name);
    if (found == stored.end()) {
      differences.push_back(concat(target.name, " is absent there and ",
                                   tensor_text(target.dtype, target.shape), " here"));
      continue;
    }
    const StoredTensor& tensor = *found->second;
    if (tensor.dtype != target.dtype || tensor.shape != target.shape)
      differences.push_back(concat(target.name, " is ", tensor_text(tensor.dtype, tensor.shape),
                                   " there and ", tensor_text(target.dtype, target.shape),
                                   " here"));
    pairs.emplace_back(&tensor, &target);
    stored.erase(found);
  }
  if (match == Match::all)
    for (const auto& [name, tensor] : stored)
      differences.push_back(concat(name, " is ", tensor_text(tensor->dtype, tensor->shape),
                                   " there and absent here"));
  if (!differences.empty())
    bad_input(
        "checkpoint ", checkpoint.folder.string(), " is of another network: ", differences[0],
        differences.size() > 1 ? concat(", and ", differences.size() - 1, " more differ") : "",
        "; use the configuration that it was made with, or another checkpoint");

  std::vector<std::byte> copy;  // of a tensor on its way to a device
  for (size_t i = 0; i < checkpoint.parts.size(); ++i) {
    const fs::path path = checkpoint.folder / checkpoint.parts[i].file;
    const ReadableFile file(path);
    for (const auto& [tensor, target] : pairs) {
      if (tensor->part != static_cast<int64_t>(i)) continue;
      const auto bytes = static_cast<size_t>(tensor->bytes);
      LACUNA_CHECK(bytes == static_cast<size_t>(target->shape.count()) * size_of(target->dtype));
      const bool on_host = target->device == nullptr || target->device->reads_host_memory();
      const bool direct = on_host && !target->part;
      if (!direct) copy.resize(bytes);
      void* to = direct ? target->data : copy.data();
      file.read(static_cast<uint64_t>(tensor->offset), to, bytes);
      if (crc32_of(to, bytes) != tensor->crc32)
        bad_input(path.string(), " is damaged: tensor ", tensor->name,
                  " disagrees with its checksum; use another checkpoint");
      if (!direct) copy_wanted(copy, *target);
    }
  }
}

}  // namespace lacuna
