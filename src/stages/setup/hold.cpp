#include "stages/setup/hold.h"

#include <cstdio>

#include "base/log.h"
#include "comm/agree.h"
#include "comm/mpi.h"

namespace lacuna {

bool begins_anew(const std::filesystem::path& run, const Arguments& arguments,
                 StageContext& context) {
  if (!arguments.given("force")) return false;
  return asked_of_rank_0(context.communicator, [&] {
    const Runner here = this_runner();
    if (here.restart == 0 || !is_restart_of_last(read_attempts(run / attempts_name), here))
      return true;
    context.log.line(run.string(), " goes on in spite of --force: job ", here.job,
                     " began it before it went back to the queue");
    return false;
  });
}

Hold::Hold(const std::filesystem::path& what, Kind kind, StageContext& context)
    : context_(context) {
  agreed(context.communicator, [&] {
    if (context.communicator.rank() != 0) return;
    const auto say = [&context](const std::string& sentence) { context.log.line(sentence); };
    const auto lost = [&context](const std::string& sentence) {
      std::fputs(error_message(sentence).c_str(), stderr);
      context.session->abort_all(ExitStatus::bad_input);
    };
    lease_ = std::make_unique<Lease>(what, kind == Kind::run, say, lost);
  });
}

// Whether the job shall not be started again.
bool Hold::end(ExitStatus status, const std::string& why, const At& at) {
  return log_ && log_->end(status, why, at());
}

// Beside an error that is on its way, and counts.
void Hold::note_end(ExitStatus status, const std::string& why, const At& at) noexcept {
  try {
    end(status, why, at);
  } catch (const std::exception&) {
    // On a full disk the log is not written; what filled it is told.
  }
}

ExitStatus Hold::attempt(const std::filesystem::path& attempt_log, const At& at,
                         const std::function<ExitStatus()>& work) {
  Communicator& communicator = context_.communicator;
  agreed(communicator, [&] {
    if (communicator.rank() == 0)
      log_ = std::make_unique<AttemptLog>(attempt_log, communicator.size(), at());
  });
  try {
    const ExitStatus status = work();
    agreed(communicator, [&] { end(status, "", at); });
    return status;
  } catch (const AgreedError& error) {
    if (error.status() != ExitStatus::requeue) {  // nothing more may be agreed on
      note_end(error.status(), error.what(), at);
      throw;
    }
    agreed(communicator, [&] {
      if (end(error.status(), error.what(), at))
        throw Error(ExitStatus::no_progress,
                    concat("stopped early for the third time at ", at(),
                           ": the job comes no further; see in ", attempt_log.string(),
                           " what ended it, and give a new job more time"));
    });
    throw;
  } catch (const Error& error) {  // of this rank alone, which ends the others
    note_end(error.status(), error.what(), at);
    throw;
  } catch (const std::exception& error) {
    note_end(ExitStatus::failed, error.what(), at);
    throw;
  }
}

}  // namespace lacuna
