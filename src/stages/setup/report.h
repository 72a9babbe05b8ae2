// Report: what check tells, line by line, and what it warns of.
#pragma once

#include <ostream>
#include <string>

#include "base/text.h"

namespace lacuna {

class Report {
 public:
  Report(std::ostream& text, std::ostream& warnings) : text_(text), warnings_(warnings) {}

  template <typename... Pieces>
  void line(const Pieces&... pieces) {
    text_ << concat(pieces...) << "\n";
  }
  // "  name                        value"
  template <typename... Pieces>
  void row(const std::string& name, const Pieces&... pieces) {
    constexpr size_t width = 28;
    const size_t blanks = name.size() < width ? width - name.size() : 1;
    text_ << "  " << name << std::string(blanks, ' ') << concat(pieces...) << "\n";
  }
  // One sentence: what, where, what to do.
  template <typename... Pieces>
  void warning(const Pieces&... pieces) {
    text_ << std::flush;
    warnings_ << "warning: " << concat(pieces...) << "\n" << std::flush;
  }

 private:
  std::ostream& text_;
  std::ostream& warnings_;
};

}  // namespace lacuna
