#include "stages/status/run_facts.h"

#include <algorithm>
#include <cmath>
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

std::vector<ScoreFact> scores_in(const std::string& result) {
  // As JsonObject writes them: "scores":{"accuracy":{"value":0.5,...,"better":"higher"},...}
  const std::string begin = "\"scores\":{", better = "\"better\":\"";
  std::vector<ScoreFact> scores;
  size_t at = result.find(begin);
  if (at == std::string::npos) return scores;
  at += begin.size();
  while (at < result.size() && result[at] == '"') {
    const size_t name_end = result.find("\":{", at), end = result.find('}', at);
    if (name_end == std::string::npos || end == std::string::npos || end < name_end) break;
    const std::string members = result.substr(name_end + 2, end - name_end - 1);
    const auto number = [&](const char* name) {
      return number_in(members, name).value_or(std::nan(""));
    };
    const size_t word = members.find(better);
    const size_t word_end =
        members.find('"', word == std::string::npos ? word : word + better.size());
    scores.push_back(
        {.name = result.substr(at + 1, name_end - at - 1),
         .value = number("value"),
         .low = number("low"),
         .high = number("high"),
         .better = word_end == std::string::npos
                       ? ""
                       : members.substr(word + better.size(), word_end - word - better.size())});
    at = end + 1;
    if (at < result.size() && result[at] == ',') ++at;
  }
  return scores;
}

}  // namespace lacuna
