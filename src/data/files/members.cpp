#include "data/files/members.h"

#include <fnmatch.h>

#include <algorithm>
#include <string_view>

namespace lacuna {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The digits from `at` on, without zeros in front; `at` moves behind them.
std::string_view number_at(std::string_view text, size_t& at) {
  const size_t first = at;
  while (at < text.size() && is_digit(text[at])) ++at;
  std::string_view digits = text.substr(first, at - first);
  while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
  return digits;
}

// Of the names from `path` on below the group that `prefix` is the path of.
void collect(const hdf5::Group& file, const std::string& prefix, std::string_view path,
             std::vector<std::string>& found) {
  const size_t slash = path.find('/');
  const std::string name(path.substr(0, slash));
  const bool last = slash == path.npos;
  const std::string_view rest = last ? "" : path.substr(slash + 1);
  if (name.empty()) {
    if (!last) collect(file, prefix, rest, found);
    return;
  }
  if (!is_pattern(std::string(path))) {  // the rest is one path
    const std::string whole = concat(prefix, "/", path);
    if (file.has(whole)) found.push_back(whole);
    return;
  }
  if (!is_pattern(name)) return collect(file, prefix + "/" + name, rest, found);
  const std::string below = prefix.empty() ? "/" : prefix;
  if (!file.has(below)) return;
  for (const hdf5::Entry& entry : file.group(below).entries()) {
    const bool fits = entry.kind == (last ? hdf5::Entry::Kind::dataset : hdf5::Entry::Kind::group);
    if (!fits || fnmatch(name.c_str(), entry.name.c_str(), 0) != 0) continue;
    const std::string whole = prefix + "/" + entry.name;
    if (last)
      found.push_back(whole);
    else
      collect(file, whole, rest, found);
  }
}

}  // namespace

bool is_pattern(const std::string& path) { return path.find_first_of("*?[") != path.npos; }

std::vector<std::string> matching_datasets(const hdf5::Group& file, const std::string& pattern) {
  if (!is_pattern(pattern) || file.has(pattern)) return {};
  std::vector<std::string> found;
  collect(file, "", pattern, found);
  if (found.empty())
    bad_input("no dataset in ", file.file(), " matches ", pattern, "; it holds ",
              hdf5::contents_text(file));
  std::sort(found.begin(), found.end(), natural_less);
  return found;
}

bool natural_less(const std::string& a, const std::string& b) {
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const std::string_view x = number_at(a, i), y = number_at(b, j);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
      continue;
    }
    if (a[i] != b[j]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]);
    ++i;
    ++j;
  }
  if (i < a.size() || j < b.size()) return j < b.size();
  return a < b;  // "01" and "1"
}

}  // namespace lacuna
