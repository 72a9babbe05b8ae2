// Sealed files: small files of HDF5 whose own size and checksum stand in front of it, in an HDF5
// user block of text, so that HDF5, which may crash on a damaged file, sees none (docs/formats.md).
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "io/hdf5_image.h"

namespace lacuna {

// An image with room for the seal; metadata_bytes as NewImage's.
hdf5::NewImage new_sealed_image(const std::filesystem::path& path, size_t metadata_bytes);

// Closes the image, whose datasets must be gone, and makes it appear as `path`, whole and durable.
// `title` is the seal's first line: "Manifest of a Lacuna checkpoint". Errors: DurableFile's.
void write_sealed(const std::filesystem::path& path, const std::string& title,
                  hdf5::NewImage& image);

// The file's bytes, for ImageReader; none when they are not what was sealed under this title.
std::optional<std::string> read_sealed(const std::filesystem::path& path, const std::string& title);

}  // namespace lacuna
