#include "io/sealed_file.h"

#include <array>
#include <cstdio>
#include <cstring>
#include <span>

#include "base/error.h"
#include "io/durable_file.h"

namespace lacuna {

namespace {

constexpr size_t seal_bytes = 512;  // the smallest user block that HDF5 allows

// The text in front of the HDF5 part, padded with zeros.
std::string seal(const std::string& title, std::span<const std::byte> hdf5_part) {
  std::array<char, 16> crc{};
  std::snprintf(crc.data(), crc.size(), "%08x", crc32_of(hdf5_part.data(), hdf5_part.size()));
  std::string text = concat(title, ": an HDF5 file from byte ", seal_bytes, " on.\nbytes ",
                            hdf5_part.size(), "\ncrc32 ", crc.data(), "\n");
  LACUNA_CHECK(text.size() <= seal_bytes);
  text.resize(seal_bytes, '\0');
  return text;
}

}  // namespace

hdf5::NewImage new_sealed_image(const std::filesystem::path& path, size_t metadata_bytes) {
  return hdf5::NewImage::create(path.string(), metadata_bytes, seal_bytes);
}

void write_sealed(const std::filesystem::path& path, const std::string& title,
                  hdf5::NewImage& image) {
  hdf5::NewImage::Content content = image.close();
  content.bytes.resize(content.file_bytes);
  const std::string front = seal(title, std::span(content.bytes).subspan(seal_bytes));
  std::memcpy(content.bytes.data(), front.data(), front.size());
  DurableFile file(path);
  file.write(0, content.bytes.data(), content.bytes.size());
  file.publish();
}

std::optional<std::string> read_sealed(const std::filesystem::path& path,
                                       const std::string& title) {
  std::string text = read_text(path);
  const auto bytes = std::as_bytes(std::span(text));
  if (text.size() <= seal_bytes ||
      text.compare(0, seal_bytes, seal(title, bytes.subspan(seal_bytes))) != 0)
    return std::nullopt;
  return text;
}

}  // namespace lacuna
