#include "base/error.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace lacuna {

Error error_of(const std::filesystem::filesystem_error& error) {
  return {ExitStatus::bad_input,
          concat("cannot use ", error.path1().string(), ": ", error.code().message(),
                 "; let this user have access to it, or name another place")};
}

std::string error_message(std::string_view sentences) {
  std::string message;
  size_t begin = 0;
  while (begin <= sentences.size()) {
    const size_t end = std::min(sentences.find('\n', begin), sentences.size());
    message += concat("lacuna: ", sentences.substr(begin, end - begin), "\n");
    begin = end + 1;
  }
  return message;
}

void broken_rule(const char* rule, const char* file, int line, const std::string& detail) {
  std::fprintf(stderr, "lacuna: this is a defect of Lacuna, please report it: %s (%s:%d)%s%s\n",
               rule, file, line, detail.empty() ? "" : ": ", detail.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace lacuna
