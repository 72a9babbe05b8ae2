#include "run/checkpoint_folders.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "io/durable_file.h"
#include "run/checkpoint.h"

namespace lacuna {

namespace fs = std::filesystem;

namespace {

constexpr const char* folder_prefix = "step-";

// The step of "step-000012000".
std::optional<int64_t> step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  if (!name.starts_with(folder_prefix)) return std::nullopt;
  return step_from(std::string_view(name).substr(std::strlen(folder_prefix)));
}

}  // namespace

std::optional<int64_t> step_from(std::string_view text) {
  const auto step = as_number<int64_t>(text);
  return step && *step >= 0 ? step : std::nullopt;
}

fs::path checkpoint_folder(const fs::path& run, int64_t step) {
  std::array<char, 40> name{};
  std::snprintf(name.data(), name.size(), "%s%09lld", folder_prefix, static_cast<long long>(step));
  return run / "checkpoints" / name.data();
}

std::vector<int64_t> checkpoint_steps(const fs::path& run) {
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

void remove_checkpoint(const fs::path& folder) {
  std::error_code ignored;
  if (fs::remove(folder / manifest_name, ignored)) sync_folder(folder);
  fs::remove_all(folder, ignored);
}

std::vector<int64_t> complete_checkpoints(const fs::path& run) {
  std::vector<int64_t> steps = checkpoint_steps(run);
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

}  // namespace lacuna
