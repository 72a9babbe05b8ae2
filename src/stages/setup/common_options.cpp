#include "stages/setup/common_options.h"

namespace lacuna {

Option settings_option() {
  return {.name = "set",
          .argument = "KEY=VALUE",
          .doc = "Changes a key of the configuration, such as optimizer.lr=0.3; may be repeated.",
          .repeated = true};
}

Option run_folder_option() {
  return {.name = "run",
          .argument = "DIR",
          .doc = "Folder of the run; otherwise runs/<name of the TOML>."};
}

Option force_option(const std::string& what) {
  return {.name = "force", .argument = "", .doc = "Moves " + what + " that exists aside."};
}

}  // namespace lacuna
