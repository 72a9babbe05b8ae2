#include "comm/agree.h"

#include <cstdint>
#include <string>
#include <vector>

namespace lacuna {

void agree(Communicator& communicator, const Error* mine) {
  struct Report {
    int64_t status;  // -1: no error
    int64_t length;  // of the sentence
  };
  const size_t ranks = static_cast<size_t>(communicator.size());
  const std::string sentence = mine != nullptr ? mine->what() : "";
  const Report report = {mine != nullptr ? static_cast<int64_t>(mine->status()) : -1,
                         static_cast<int64_t>(sentence.size())};
  std::vector<Report> reports(ranks);
  communicator.all_gather(&report, reports.data(), std::vector(ranks, sizeof(Report))).wait();
  for (size_t r = 0; r < ranks; ++r) {
    if (reports[r].status < 0) continue;
    std::string text = sentence;
    text.resize(static_cast<size_t>(reports[r].length));
    communicator.broadcast(text.data(), text.size(), static_cast<int>(r)).wait();
    throw AgreedError(static_cast<ExitStatus>(reports[r].status), text, static_cast<int>(r));
  }
}

}  // namespace lacuna
