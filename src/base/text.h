// Text made from pieces; the one way in which messages are put together.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace lacuna {

// Concatenates its arguments as operator<< prints them.
template <typename... Pieces>
std::string concat(const Pieces&... pieces) {
  std::ostringstream out;
  ((out << pieces), ...);
  return std::move(out).str();
}

// "a, b, c"
std::string join(const std::vector<std::string>& words, std::string_view separator = ", ");

// The candidate nearest to `word` by edit distance (insert, delete, replace, swap of neighbours),
// or "" when none is near enough to be a likely typing error.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

// The number that the whole text is; none for anything else.
template <typename Number>
std::optional<Number> as_number(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "1 rank", "2 ranks"
std::string counted(int64_t n, std::string_view thing);

// "0:12:05", "123:00:00": seconds as hours, minutes and seconds.
std::string duration_text(double seconds);

// "1.5 GiB": bytes with a binary unit.
std::string bytes_text(double bytes);

}  // namespace lacuna
