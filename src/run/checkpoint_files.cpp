#include "run/checkpoint.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "io/direct_stream.h"
#include "io/durable_file.h"
#include "io/hdf5_image.h"
#include "io/sealed_file.h"
#include "run/checkpoint_folders.h"
#include "run/checkpoint_tables.h"

namespace lacuna {

namespace fs = std::filesystem;

namespace {

constexpr const char* manifest_title = "Manifest of a Lacuna checkpoint";

std::string part_name(int64_t index) {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "part-%03lld.h5", static_cast<long long>(index));
  return name.data();
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

std::vector<size_t> in_order_of_offsets(std::span<const StoredTensor> tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return tensors[a].offset < tensors[b].offset; });
  return order;
}

}  // namespace

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
                            each.shape.count() * static_cast<int64_t>(size_of(each.dtype)), 0});
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
  write_batches(image, info);
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

Checkpoint read_checkpoint(const fs::path& folder) {
  const fs::path path = folder / manifest_name;
  const std::string bytes = checked_manifest(path);
  const auto root = hdf5::ImageReader::open(path.string(), std::as_bytes(std::span(bytes)));
  const int64_t version = root.integer("format_version");
  if (root.text("format") != "lacuna checkpoint" || version != checkpoint_format_version)
    bad_input(path.string(), " has format version ", version, " and this program reads version ",
              checkpoint_format_version, ": read it with the version of Lacuna that wrote it, ",
              root.text("code_version"));
  try {
    Checkpoint checkpoint{folder, read_info(root), read_tables(root)};
    for (const auto& entry : root.group("/data").entries())
      checkpoint.info.data.push_back(read_data_identity(root, entry.name));
    read_batches(root, checkpoint.info);
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

}  // namespace lacuna
