#include "fuzz/mutate.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

#include "base/random.h"

namespace lacuna::fuzz {

namespace {

constexpr size_t most_bytes = size_t{1} << 20;

class Dice {
 public:
  Dice(uint64_t seed, uint64_t number) : draws_(seed, Purpose::test, number) {}
  size_t below(size_t n) { return n == 0 ? 0 : static_cast<size_t>(draws_.below(next_++, n)); }
  bool one_in(size_t n) { return below(n) == 0; }
  uint64_t word() { return draws_.below(next_++, ~uint64_t{0}); }
  // Mostly small, now and then up to `most`.
  size_t length(size_t most) {
    const size_t limit = std::min(most, size_t{1} << below(14));
    return 1 + below(std::max<size_t>(1, limit));
  }
  template <typename Sequence>
  const auto& of(const Sequence& sequence) {
    return sequence[below(std::size(sequence))];
  }

 private:
  Draws draws_;
  uint32_t next_ = 0;
};

// ---- Bytes

constexpr std::array<uint64_t, 24> numbers = {0,
                                              1,
                                              2,
                                              3,
                                              4,
                                              7,
                                              8,
                                              9,
                                              16,
                                              32,
                                              33,
                                              0x7f,
                                              0x80,
                                              0xff,
                                              0x7fff,
                                              0x8000,
                                              0xffff,
                                              0x7fffffff,
                                              0x80000000,
                                              0xffffffff,
                                              0x100000000,
                                              0x7fffffffffffffff,
                                              0x8000000000000000,
                                              0xffffffffffffffff};

// Where something stands: a file of HDF5 has long stretches of zeros that nobody looks at.
class Places {
 public:
  explicit Places(const std::string& bytes) : size_(bytes.size()) {
    for (size_t i = 0; i < bytes.size(); i += 8) {
      const auto* at = bytes.data() + i;
      if (std::any_of(at, at + std::min<size_t>(8, bytes.size() - i),
                      [](char c) { return c != 0; }))
        words_.push_back(i);
    }
  }
  size_t one(Dice& dice) const {
    if (words_.empty() || dice.one_in(8)) return dice.below(size_);
    return std::min(size_ - 1, dice.of(words_) + dice.below(8));
  }

 private:
  size_t size_;
  std::vector<size_t> words_;
};

void overwrite(std::string& bytes, size_t at, const void* with, size_t size) {
  if (at < bytes.size()) std::memcpy(bytes.data() + at, with, std::min(size, bytes.size() - at));
}

void set_number(std::string& bytes, Dice& dice, const Places& places) {
  const size_t size = size_t{1} << dice.below(4);
  const size_t at = places.one(dice) / (dice.one_in(2) ? size : 1) * (dice.one_in(2) ? size : 1);
  uint64_t value = 0;
  std::memcpy(&value, bytes.data() + std::min(at, bytes.size()),
              std::min(size, bytes.size() - std::min(at, bytes.size())));
  switch (dice.below(5)) {
    case 0:
      value = dice.of(numbers);
      break;
    case 1:  // near what it was
      value += dice.below(33) - 16;
      break;
    case 2:  // near the end of the file
      value = bytes.size() + dice.below(17) - 8;
      break;
    case 3:  // another place of the file
      value = places.one(dice);
      break;
    default:
      value = dice.word() >> dice.below(64);
  }
  overwrite(bytes, at, &value, size);
}

void mutate_bytes(std::string& bytes, const std::string& other, Dice& dice) {
  if (bytes.empty()) {
    bytes = other;
    return;
  }
  const Places places(bytes);
  const size_t at = places.one(dice);
  switch (dice.below(14)) {
    case 0:
    case 1:
    case 2:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << dice.below(8)));
      break;
    case 3:
    case 4:
      bytes[at] = static_cast<char>(dice.below(256));
      break;
    case 5:
    case 6:
    case 7:
    case 8:
      set_number(bytes, dice, places);
      break;
    case 9: {  // one block over another
      const size_t size = dice.length(bytes.size());
      const size_t from = places.one(dice);
      const std::string block = bytes.substr(from, size);
      overwrite(bytes, at, block.data(), block.size());
      break;
    }
    case 10:
      bytes.insert(at, bytes.substr(places.one(dice), dice.length(bytes.size())));
      break;
    case 11:
      bytes.erase(at, dice.length(bytes.size()));
      break;
    case 12:
      bytes.resize(dice.one_in(2) ? at : dice.below(bytes.size()));
      break;
    default: {  // a block of another seed, in place
      const std::string block = other.substr(std::min(at, other.size()), dice.length(other.size()));
      overwrite(bytes, at, block.data(), block.size());
    }
  }
}

// ---- Text

constexpr std::array<std::string_view, 64> words = {"=",
                                                    ".",
                                                    "[",
                                                    "]",
                                                    "[[",
                                                    "]]",
                                                    "{",
                                                    "}",
                                                    ",",
                                                    "\"",
                                                    "'",
                                                    "'''",
                                                    "\"\"\"",
                                                    "#",
                                                    "\n",
                                                    "\t",
                                                    "0",
                                                    "1",
                                                    "-1",
                                                    "+1",
                                                    "0.0",
                                                    "-0.0",
                                                    "1e999",
                                                    "1e-999",
                                                    "nan",
                                                    "-inf",
                                                    "inf",
                                                    "0x",
                                                    "0xffffffffffffffff",
                                                    "0b1",
                                                    "0o7",
                                                    "1_000",
                                                    "_",
                                                    "true",
                                                    "false",
                                                    "\"\"",
                                                    "''",
                                                    "[]",
                                                    "{}",
                                                    "9223372036854775807",
                                                    "-9223372036854775808",
                                                    "9223372036854775808",
                                                    "4294967296",
                                                    "2147483648",
                                                    "1000000",
                                                    "0.5",
                                                    "1e308",
                                                    "1979-05-27T07:32:00Z",
                                                    "07:32:00",
                                                    "\"auto\"",
                                                    "\"\\u0000\"",
                                                    "\"\\uD800\"",
                                                    "\"\\U00110000\"",
                                                    "\xff",
                                                    "\xc3",
                                                    "\xed\xa0\x80",
                                                    "\xf4\x90\x80\x80",
                                                    "\xef\xbb\xbf",
                                                    std::string_view("\0", 1),
                                                    "\r\n",
                                                    "\x7f",
                                                    "\"512 MiB\"",
                                                    "\"1e300 TiB\"",
                                                    "crc32 "};

// Words, numbers, and signs of one character.
std::vector<std::string> tokens_of(const std::string& text) {
  const auto in_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
  };
  std::vector<std::string> tokens;
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    while (in_word(text[i]) && end < text.size() && in_word(text[end])) ++end;
    tokens.push_back(text.substr(i, end - i));
    i = end;
  }
  return tokens;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < text.size();) {
    const size_t end = std::min(text.find('\n', i), text.size() - 1) + 1;
    lines.push_back(text.substr(i, end - i));
    i = end;
  }
  return lines;
}

// Some of the pieces change: places, number, what they are.
std::string rearranged(std::vector<std::string> pieces, const std::vector<std::string>& others,
                       Dice& dice) {
  if (pieces.empty()) return "";
  const size_t at = dice.below(pieces.size());
  const auto place = pieces.begin() + static_cast<ptrdiff_t>(at);
  switch (dice.below(6)) {
    case 0:
      std::swap(pieces[at], pieces[dice.below(pieces.size())]);
      break;
    case 1:
      pieces.erase(place);
      break;
    case 2:
      pieces.insert(place, pieces[at]);
      break;
    case 3: {  // many times
      const std::string piece = pieces[at];
      pieces.insert(place, dice.length(600), piece);
      break;
    }
    case 4:
      if (!others.empty()) pieces[at] = dice.of(others);
      break;
    default:
      if (!others.empty()) pieces.insert(place, dice.of(others));
  }
  std::string text;
  for (const std::string& piece : pieces) text += piece;
  return text;
}

void mutate_text(std::string& text, const std::string& other, Dice& dice) {
  switch (dice.below(6)) {
    case 0:
      mutate_bytes(text, other, dice);
      break;
    case 1:
      text = rearranged(lines_of(text), lines_of(other), dice);
      break;
    case 2:
      text = rearranged(tokens_of(text), tokens_of(other), dice);
      break;
    default: {
      const std::string word(dice.of(words));
      text = rearranged(tokens_of(text), {word}, dice);
    }
  }
}

size_t choose_file(const Input& input, Dice& dice) {
  std::vector<size_t> free;
  for (size_t i = 0; i < input.size(); ++i)
    if (!input[i].fixed) free.push_back(i);
  return dice.one_in(4) ? dice.of(free) : free.front();  // the first is what is parsed most
}

}  // namespace

Input mutated(const Target& target, const std::vector<Input>& seeds, uint64_t seed,
              uint64_t number) {
  Dice dice(seed, number);
  const Input& origin = dice.of(seeds);
  Input input = origin;
  for (size_t left = size_t{1} << dice.below(4); left > 0; --left) {
    const size_t at = choose_file(input, dice);
    const Input& second = dice.of(seeds);
    const std::string& other = second[std::min(at, second.size() - 1)].content;
    std::string& content = input[at].content;
    target.form == Form::text ? mutate_text(content, other, dice)
                              : mutate_bytes(content, other, dice);
    if (content.size() > most_bytes) content.resize(most_bytes);
    if (dice.one_in(3)) break;
  }
  if (target.seal != nullptr && !dice.one_in(4)) target.seal(origin, input);
  return input;
}

}  // namespace lacuna::fuzz
