#include "run/checkpoint_tables.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <stdexcept>

#include "base/error.h"

namespace lacuna {

namespace {

DType dtype_of_name(const std::string& name, const std::string& file) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16, DType::f16, DType::i64, DType::i32,
                            DType::u16, DType::i16, DType::u8})
    if (name == name_of(dtype)) return dtype;
  bad_input(file, " holds a tensor of the unknown type ", name, ": it is from a newer version");
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

}  // namespace

std::string dataset_path(std::string_view name) {
  std::string path = "/state/";
  for (const char c : name) path += c == '.' ? '/' : c;
  return path;
}

void write_info(hdf5::Group& root, const CheckpointInfo& info, const std::string& format) {
  root.set("format", format);
  root.set("format_version", checkpoint_format_version);
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

void write_data_identity(hdf5::Group& root, const DataIdentity& data) {
  const std::string path = "/data/" + data.name;
  hdf5::Group group = root.create_group(path);
  group.set("dataset", data.dataset);
  group.set("samples", data.samples);
  group.set("hash", data.hash);
  if (data.sample) {
    group.set("sample_type", std::string(name_of(data.sample->dtype)));
    const std::span<const int64_t> sizes = data.sample->shape.sizes();
    write_column(root, path + "/sample_shape", std::vector<int64_t>(sizes.begin(), sizes.end()));
  }
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
  DataIdentity data;
  data.name = name;
  data.dataset = group.text("dataset");
  data.samples = group.integer("samples");
  data.hash = group.text("hash");
  if (group.has_attribute("sample_type")) {
    const auto shape = hdf5::shape_of(read_column<int64_t>(root, path + "/sample_shape"));
    if (!shape) throw std::out_of_range("shape of a sample");
    data.sample = {dtype_of_name(group.text("sample_type"), root.file()), *shape};
  }
  const auto files = read_text_column(root, path + "/file");
  const auto bytes = read_column<int64_t>(root, path + "/bytes");
  const auto samples = read_column<int64_t>(root, path + "/samples");
  for (size_t i = 0; i < files.size(); ++i)
    data.files.push_back({files[i], bytes.at(i), samples.at(i)});
  return data;
}

void write_batches(hdf5::Group& root, const CheckpointInfo& info) {
  if (info.batches.empty()) return;
  std::vector<int64_t> first_step, rows;
  for (const BatchTable::Entry& entry : info.batches.entries()) {
    first_step.push_back(entry.first_step);
    rows.insert(rows.end(), entry.rows.begin(), entry.rows.end());
  }
  std::vector<std::string> streams = {"data"};
  streams.insert(streams.end(), info.streams.begin(), info.streams.end());
  root.create_texts("/batches/stream", streams);
  write_column(root, "/batches/first_step", first_step);
  root.create_dataset(
          "/batches/rows", DType::i64,
          {static_cast<int64_t>(first_step.size()), static_cast<int64_t>(streams.size())})
      .write(rows.data(), DType::i64);
}

void read_batches(const hdf5::Group& root, CheckpointInfo& info) {
  if (info.step > int64_t{1} << 31) throw std::out_of_range("step");  // products stay in range
  if (!root.has("/batches")) {
    if (info.step > 0 && info.position > 0 && info.position % info.step == 0)
      info.batches = BatchTable::constant({info.position / info.step});
    return;
  }
  info.streams = read_text_column(root, "/batches/stream");
  const size_t streams = info.streams.size();
  if (streams == 0) throw std::out_of_range("streams");
  info.streams.erase(info.streams.begin());
  const auto first_step = read_column<int64_t>(root, "/batches/first_step");
  const auto rows = read_column<int64_t>(root, "/batches/rows");
  std::vector<BatchTable::Entry> entries;
  for (size_t i = 0; i < first_step.size(); ++i) {
    BatchTable::Entry& entry = entries.emplace_back();
    entry.first_step = first_step[i];
    for (size_t s = 0; s < streams; ++s) entry.rows.push_back(rows.at(i * streams + s));
  }
  info.batches = BatchTable(std::move(entries));
  if (info.batches.empty() || info.batches.entries().back().first_step > info.step ||
      info.batches.position(info.step) != info.position)
    throw std::out_of_range("position");
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

}  // namespace lacuna
