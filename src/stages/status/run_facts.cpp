#include "stages/status/run_facts.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/text.h"

namespace lacuna {

std::string last_metrics(const std::filesystem::path& run) {
  std::ifstream in(run / "metrics.jsonl", std::ios::binary | std::ios::ate);
  if (!in) return "";
  constexpr std::streamoff most = 1 << 16;  // the file may be long
  const std::streamoff size = in.tellg();
  const std::streamoff from = std::max<std::streamoff>(0, size - most);
  std::string tail(static_cast<size_t>(size - from), '\0');
  in.seekg(from);
  in.read(tail.data(), static_cast<std::streamsize>(tail.size()));
  const size_t end = tail.rfind('\n');
  if (end == std::string::npos) return "";
  const size_t before = end == 0 ? std::string::npos : tail.rfind('\n', end - 1);
  const size_t begin = before == std::string::npos ? 0 : before + 1;
  return tail.substr(begin, end - begin);
}

std::optional<double> number_in(const std::string& line, const std::string& name) {
  const std::string key = concat("\"", name, "\":");
  const size_t at = line.find(key);
  if (at == std::string::npos) return std::nullopt;
  std::istringstream text(line.substr(at + key.size()));
  double value = 0;
  return text >> value ? std::optional(value) : std::nullopt;
}

}  // namespace lacuna
