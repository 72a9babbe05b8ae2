// The folders of a run's checkpoints: names, which there are, and taking one away.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace lacuna {

inline constexpr const char* manifest_name = "checkpoint.h5";

// A step, as files and users name it.
std::optional<int64_t> step_from(std::string_view text);

// The steps for which there is a folder, ascending; Unreadable (durable_file.h) when the folder of
// checkpoints cannot be listed.
std::vector<int64_t> checkpoint_steps(const std::filesystem::path& run);

// The manifest goes first, so that at no instant there is one without its parts.
void remove_checkpoint(const std::filesystem::path& folder);

}  // namespace lacuna
