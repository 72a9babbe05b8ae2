#include "run/run.h"

#include <algorithm>
#include <optional>
#include <system_error>

#include "io/durable_file.h"
#include "run/leftovers.h"

namespace lacuna {
namespace fs = std::filesystem;

namespace {

constexpr const char* configuration_name = "config.toml";

// "runs/x/" has no filename, which would make its parent "runs/x".
fs::path without_trailing_slash(const fs::path& folder) {
  return folder.has_filename() || !folder.has_parent_path() ? folder : folder.parent_path();
}

// False when another process was quicker.
bool create(const fs::path& folder, const Configuration& configuration) {
  make_folders(parent_of(folder));
  const fs::path prefix = parent_of(folder) / concat(".", folder.filename().string(), ".creating-");
  const fs::path temporary = own_name(prefix);
  std::error_code ignored;
  fs::remove_all(temporary, ignored);
  remove_leftovers(prefix);
  make_folders(temporary / "checkpoints");
  try {
    write_durably(temporary / configuration_name, configuration.resolved());
    fs::remove(folder, ignored);  // only an empty folder goes
    const bool done = rename_to_new(temporary, folder);
    if (!done) fs::remove_all(temporary, ignored);
    sync_folder(parent_of(folder));
    return done;
  } catch (...) {
    fs::remove_all(temporary, ignored);
    throw;
  }
}

bool has(const std::vector<std::string>& keys, const std::string& key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

bool grows(const Difference& difference, const std::vector<std::string>& may_grow) {
  if (!has(may_grow, difference.key)) return false;
  const auto before = as_number<int64_t>(difference.a), now = as_number<int64_t>(difference.b);
  return before && now && *now > *before;
}

std::string value_or_none(const std::string& value) { return value.empty() ? "absent" : value; }

OpenedRun compare(const fs::path& folder, const Configuration& configuration, const Schema& schema,
                  const Changeable& keys) {
  const std::string text = stored_configuration(folder);
  const Configuration before =
      Configuration::from_text(text, schema, (folder / configuration_name).string());
  OpenedRun run{folder, false, false, {}};
  std::vector<std::string> refused;
  for (const Difference& each : differences(before, configuration)) {
    if (grows(each, keys.may_grow)) {
      run.grown = true;
      run.notes.push_back(concat(each.key, " grows from ", each.a, " to ", each.b));
    } else if (each.execution || has(keys.may_change, each.key)) {
      run.notes.push_back(
          concat(each.key, " is now ", value_or_none(each.b), ", was ", value_or_none(each.a)));
    } else {
      refused.push_back(concat(each.key, " (", value_or_none(each.a), " there, ",
                               value_or_none(each.b), " here)"));
    }
  }
  if (!refused.empty())
    bad_input("run folder ", folder.string(), " was made with another ", join(refused),
              ": give another folder with --run, start from its weights with --init-from ",
              folder.string(), ", or move it aside with --force");
  return run;
}

OpenedRun open_existing(const fs::path& folder, const Configuration& configuration,
                        const Schema& schema, const Changeable& keys) {
  const OpenedRun run = compare(folder, configuration, schema, keys);
  if (configuration.resolved() != stored_configuration(folder))
    write_durably(folder / configuration_name, configuration.resolved());
  return run;
}

}  // namespace

fs::path default_run_folder(const fs::path& toml) { return fs::path("runs") / toml.stem(); }

OpenedRun open_run(const fs::path& folder_as_given, const Configuration& configuration,
                   const Schema& schema, bool force, const Changeable& keys) {
  const fs::path folder = without_trailing_slash(folder_as_given);
  OpenedRun run{folder, true, false, {}};
  if (force && fs::exists(fs::symlink_status(folder)))
    run.notes.push_back(concat("moved the run that was there to ", move_aside(folder).string(),
                               "; leave --force out to go on with the new one"));
  if (!run_exists(folder) && create(folder, configuration)) return run;
  return open_existing(folder, configuration, schema, keys);
}

bool run_exists(const fs::path& folder) {
  std::error_code ignored;  // what cannot be looked at cannot be made either, which says why
  return fs::exists(folder, ignored) &&
         !(fs::is_directory(folder, ignored) && fs::is_empty(folder, ignored));
}

void check_run(const fs::path& folder, const Configuration& configuration, const Schema& schema,
               const Changeable& keys) {
  compare(without_trailing_slash(folder), configuration, schema, keys);
}

std::string stored_configuration(const fs::path& folder) {
  if (!fs::exists(folder))
    bad_input("there is no run folder ", folder.string(), ": check its name");
  if (!fs::is_directory(folder))
    bad_input(folder.string(), " is no run folder but a file: give a folder");
  if (!fs::exists(folder / configuration_name))
    bad_input(folder.string(), " is no run folder, for it has no ", configuration_name,
              ": give another folder");
  return read_text(folder / configuration_name);
}

}  // namespace lacuna
