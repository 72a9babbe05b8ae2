// Agreement on errors: at fixed points all ranks learn whether one of them failed.
#pragma once

#include <utility>

#include "base/error.h"
#include "comm/communicator.h"

namespace lacuna {

// An error that every rank throws at the same point: no rank waits for another one any more, so all
// can end in order, and one of them prints it.
class AgreedError : public Error {
 public:
  AgreedError(ExitStatus status, const std::string& sentence, int rank)
      : Error(status, sentence), rank_(rank) {}
  // The rank that had it (the lowest one, if several had one).
  int rank() const { return rank_; }

 private:
  int rank_;
};

// Collective. mine: this rank's error, or null. When any rank has one, every rank throws the lowest
// such rank's, with its status and sentence.
void agree(Communicator& communicator, const Error* mine);

// Collective. Runs action() and agrees on the Error, or the error of a file system, that it throws
// on any rank; other exceptions pass as they are. action may itself be collective only up to where
// it throws the same on every rank.
template <typename Action>
auto agreed(Communicator& communicator, Action&& action) -> decltype(action()) {
  if constexpr (std::is_void_v<decltype(action())>) {
    agreed(communicator, [&] {
      action();
      return true;
    });
  } else {
    auto result = [&] {
      try {
        return std::forward<Action>(action)();
      } catch (const AgreedError&) {
        throw;
      } catch (const Error& error) {
        agree(communicator, &error);
        throw;  // not reached: agree() has thrown
      } catch (const std::filesystem::filesystem_error& thrown) {
        const Error error = error_of(thrown);
        agree(communicator, &error);
        throw;  // nor this
      }
    }();
    agree(communicator, nullptr);
    return result;
  }
}

// Collective. What rank 0 answers, on every rank; its Error is every rank's.
template <typename Question>
bool asked_of_rank_0(Communicator& communicator, Question&& question) {
  int64_t yes = 0;
  agreed(communicator, [&] {
    if (communicator.rank() == 0) yes = question() ? 1 : 0;
  });
  communicator.broadcast(&yes, sizeof yes, 0).wait();
  return yes != 0;
}

}  // namespace lacuna
