#include "run/leftovers.h"

#include <signal.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/text.h"
#include "io/durable_file.h"
#include "run/attempts.h"

namespace lacuna {
namespace fs = std::filesystem;

namespace {

std::string host_prefix(const fs::path& prefix) {
  return concat(prefix.string(), this_runner().host, "-");
}

bool is_zombie(int64_t process) {
  std::ostringstream text;
  text << std::ifstream(concat("/proc/", process, "/stat")).rdbuf();  // "12 (a name) Z 1 ..."
  const std::string stat = text.str();
  const size_t state = stat.rfind(')');
  return state != std::string::npos && state + 2 < stat.size() &&
         (stat[state + 2] == 'Z' || stat[state + 2] == 'X');
}

}  // namespace

bool is_alive(int64_t process) {
  const bool listed = ::kill(static_cast<pid_t>(process), 0) == 0 || errno != ESRCH;
  return listed && !is_zombie(process);
}

fs::path own_name(const fs::path& prefix) {
  return concat(host_prefix(prefix), this_runner().process);
}

void remove_leftovers(const fs::path& prefix) {
  const std::string begin = fs::path(host_prefix(prefix)).filename().string();
  std::error_code error;
  for (fs::directory_iterator i(parent_of(prefix), error), end; !error && i != end;
       i.increment(error)) {
    const std::string name = i->path().filename().string();
    if (!name.starts_with(begin)) continue;
    const auto process = as_number<int64_t>(std::string_view(name).substr(begin.size()));
    std::error_code ignored;
    if (process && *process > 0 && !is_alive(*process)) fs::remove_all(i->path(), ignored);
  }
}

}  // namespace lacuna
