#include "stages/embed/output_file.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/log.h"
#include "comm/agree.h"
#include "stages/setup/hold.h"

namespace lacuna {

namespace {

// The log of attempts stays as long as there is something to go on with.
struct AttemptLogOfPartial {
  bool mine;
  std::filesystem::path out, attempt_log;
  ~AttemptLogOfPartial() {
    std::error_code ignored;
    if (mine && !std::filesystem::exists(out.string() + ".progress", ignored))
      std::filesystem::remove(attempt_log, ignored);
  }
};

// --force would move them aside.
void refuse_data(const std::filesystem::path& out, const Dataset& dataset) {
  std::error_code ignored;
  for (const DataFile& file : dataset.files())
    if (std::filesystem::equivalent(out, file.path, ignored))
      bad_input("--out ", out.string(), " is a file of the data: give another name");
}

}  // namespace

std::vector<std::string> kept_settings(const std::vector<std::string>& settings) {
  constexpr std::array of_times = {"train.checkpoint_minutes", "train.stop_signals",
                                   "log.interval"};
  std::vector<std::string> kept;
  for (const std::string& setting : settings) {
    const std::string_view key = std::string_view(setting).substr(0, setting.find('='));
    if (std::find(of_times.begin(), of_times.end(), key) == of_times.end()) kept.push_back(setting);
  }
  return kept;
}

ExitStatus write_output(Embedder& embedder, const Source& source, const EarlyStop& early_stop,
                        StageContext& context, const ResumableEmbedding::Options& options,
                        const std::string& size) {
  const std::string out = options.out.string();
  agreed(context.communicator, [&] { refuse_data(out, source.dataset()); });
  Hold hold(out, Hold::Kind::output, context);
  ResumableEmbedding embedding(embedder, source, early_stop, context, options);
  if (embedding.whole()) {
    context.log.line(out, " is finished: ", size);
    return ExitStatus::finished;
  }
  const std::filesystem::path attempt_log = out + ".attempts";
  const AttemptLogOfPartial goes{context.communicator.rank() == 0, out, attempt_log};
  hold.attempt(
      attempt_log, [&] { return concat(embedding.kept(), " samples"); },
      [&] {
        embedding.run();
        return ExitStatus::finished;
      });
  context.log.line("wrote ", out, ": ", size);
  return ExitStatus::finished;
}

}  // namespace lacuna
