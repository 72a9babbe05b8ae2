#include "comm/mpi_progress.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace lacuna::mpi {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// Back-off of a thread that polls. First it spins, then (a waiting thread) offers its core to
// others, then sleeps a tenth of the time waited so far: a wait grows by at most that much, and a
// long one costs nothing.
class Patience {
 public:
  Patience() : Patience(0, 0) {}
  Patience(double spin_seconds, double yield_seconds)
      : spin_(spin_seconds), yield_(yield_seconds) {}
  void reset() { since_ = Clock::now(); }
  double waited() const { return Seconds(Clock::now() - since_).count(); }
  void pause() const {
    const double t = waited();
    if (t < spin_) return;
    if (t < yield_) {
      sched_yield();
    } else {
      std::this_thread::sleep_for(Seconds(std::clamp(t / 10, 20e-6, 1e-3)));
    }
  }

 private:
  double spin_;
  double yield_;
  Clock::time_point since_ = Clock::now();
};

}  // namespace

Channels::Channels(std::timed_mutex& calls) {
  const std::lock_guard lock(calls);
  for (MPI_Comm* channel : {&small, &large, &second, &questions}) {
    check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, channel), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(*channel, MPI_ERRORS_RETURN);
  }
}

void Channels::free() {
  for (MPI_Comm* channel : {&small, &large, &second, &questions}) MPI_Comm_free(channel);
}

ProgressEngine::ProgressEngine(MpiSession::Impl& session, double deadline)
    : session_(session), deadline_(deadline), channels_(session.calls) {
  thread_ = std::thread([this] { run(); });
}

ProgressEngine::~ProgressEngine() {
  {
    const std::lock_guard lock(queue_mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
  const std::lock_guard lock(session_.calls);
  if (!session_.broken && requests_.empty()) channels_.free();
}

void ProgressEngine::issue(const std::shared_ptr<Collective>& collective) {
  throw_if_failed();
  {
    const std::lock_guard lock(queue_mutex_);
    collective->number = ++issued_;
    queue_.push_back(collective);
    busy_ = true;
  }
  // Started at once where nobody is inside MPI, so that it travels while this thread computes.
  if (session_.calls.try_lock()) {
    guarded([this] { start_queued(); });
    session_.calls.unlock();
  }
  wake_.notify_one();
}

void ProgressEngine::wait(Collective& collective) {
  if (is_done_within(deadline_, collective)) return;
  if (!failed_) {
    fail(ExitStatus::lost_rank,
         concat("rank ", session_.rank, " waited ", deadline_, " s for ", collective.text(), ": ",
                where_the_others_are(collective.number)));
  }
  leave_buffers();
  throw_if_failed();
}

void ProgressEngine::abandon(Collective& collective) noexcept {
  constexpr double seconds = 2;
  if (is_done_within(std::min(seconds, deadline_), collective)) return;
  fail(ExitStatus::lost_rank, "a collective was given up because of another error");
  leave_buffers();
}

bool ProgressEngine::is_done_within(double seconds, Collective& collective) {
  const auto done = [&] { return collective.done.load(std::memory_order_acquire); };
  if (done()) return true;
  ++waiters_;
  const Patience all;
  Patience patience(20e-6, 300e-6);
  while (!done() && !failed_ && all.waited() < seconds) {
    progress() ? patience.reset() : patience.pause();
  }
  --waiters_;
  return done();
}

void ProgressEngine::leave_buffers() {
  if (session_.calls.try_lock_for(std::chrono::seconds(1))) session_.calls.unlock();
  while (computing_ > 0) sched_yield();
}

void ProgressEngine::run() {
  prepare_thread();
  Patience patience(10e-6, 0);
  Patience idle;
  while (true) {
    {
      std::unique_lock lock(queue_mutex_);
      if (!stop_ && (!busy_ || failed_)) {
        // MPI may still have to push out what it called complete: it is looked after, ever
        // seldomer.
        wake_.wait_for(lock, Seconds(std::clamp(idle.waited() / 2, 1e-3, seconds_between_answers)));
        patience.reset();
      } else {
        idle.reset();
      }
      if (stop_) return;
    }
    answer_now_and_then(idle.waited() > 0.5e-3);
    if (waiters_ > 0 || !progress()) {
      patience.pause();
    } else {
      patience.reset();
    }
  }
}

void ProgressEngine::prepare_thread() {
  sigset_t all;  // signals are for the program's own threads
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  pthread_setname_np(pthread_self(), "lacuna-comm");
  prctl(PR_SET_TIMERSLACK, 1000);  // ns: short sleeps stay short
}

void ProgressEngine::answer_now_and_then(bool idle) {
  const double since = Seconds(Clock::now() - last_answers_).count();
  if (failed_ || (!idle && since < seconds_between_answers)) return;
  if (!session_.calls.try_lock()) return;
  guarded([this] { answer_questions(); });
  session_.calls.unlock();
  last_answers_ = Clock::now();
}

void ProgressEngine::answer_questions() {
  MPI_Status from;
  while (probe(MPI_ANY_SOURCE, question_tag, &from)) {
    MPI_Recv(nullptr, 0, MPI_BYTE, from.MPI_SOURCE, question_tag, channels_.questions, &from);
    const uint64_t issued = issued_so_far();
    MPI_Send(&issued, 1, MPI_UINT64_T, from.MPI_SOURCE, answer_tag, channels_.questions);
  }
}

bool ProgressEngine::probe(int source, int tag, MPI_Status* status) {
  int found = 0;
  check_mpi(MPI_Iprobe(source, tag, channels_.questions, &found, status), "MPI_Iprobe");
  return found != 0;
}

uint64_t ProgressEngine::issued_so_far() {
  const std::lock_guard lock(queue_mutex_);
  return issued_;
}

std::string ProgressEngine::where_the_others_are(uint64_t number) {
  std::vector<int64_t> issued(static_cast<size_t>(session_.size), -1);
  issued[static_cast<size_t>(session_.rank)] = static_cast<int64_t>(number);
  const Patience patience;
  bool asked = false;
  while (patience.waited() < 1 && !failed_ && std::count(issued.begin(), issued.end(), -1) > 0) {
    if (session_.calls.try_lock()) {
      guarded([&] {
        if (!std::exchange(asked, true)) ask();
        answer_questions();
        take_answers(issued);
      });
      session_.calls.unlock();
    }
    std::this_thread::sleep_for(Seconds(1e-3));
  }
  return describe(issued, number);
}

void ProgressEngine::ask() {
  for (int rank = 0; rank < session_.size; ++rank) {
    if (rank != session_.rank) {
      MPI_Send(nullptr, 0, MPI_BYTE, rank, question_tag, channels_.questions);
    }
  }
}

void ProgressEngine::take_answers(std::vector<int64_t>& issued) {
  MPI_Status from;
  while (probe(MPI_ANY_SOURCE, answer_tag, &from)) {
    uint64_t count = 0;
    MPI_Recv(&count, 1, MPI_UINT64_T, from.MPI_SOURCE, answer_tag, channels_.questions, &from);
    issued[static_cast<size_t>(from.MPI_SOURCE)] = static_cast<int64_t>(count);
  }
}

std::string ProgressEngine::describe(const std::vector<int64_t>& issued, uint64_t number) {
  std::vector<std::string> late;
  for (size_t r = 0; r < issued.size(); ++r) {
    if (issued[r] < 0) {
      late.push_back(concat("rank ", r, " does not answer"));
    } else if (issued[r] < static_cast<int64_t>(number)) {
      late.push_back(concat("rank ", r, " has not come further than number ", issued[r]));
    }
  }
  if (late.empty()) return "every rank has joined it, but MPI does not complete it";
  constexpr size_t most = 8;
  const size_t more = late.size() - std::min(late.size(), most);
  late.resize(late.size() - more);
  if (more > 0) late.push_back(concat("and so ", more, " more"));
  return join(late);
}

bool ProgressEngine::progress() {
  if (failed_ || !session_.calls.try_lock()) return false;
  std::unique_ptr<Piece> todo;
  bool moved = false;
  guarded([&] {
    moved = start_queued();
    moved = test() || moved;
    if (!to_compute_.empty()) {
      todo = std::move(to_compute_.front());
      to_compute_.pop_front();
      ++computing_;
    }
  });
  session_.calls.unlock();
  if (todo == nullptr) return moved;
  todo->collective->work(*todo);
  --computing_;
  const std::lock_guard lock(session_.calls);
  guarded([&] { after_work(std::move(todo)); });
  return true;
}

void ProgressEngine::guarded(const std::function<void()>& action) noexcept {
  try {
    if (!failed_) action();
  } catch (const Error& e) {
    fail(e.status(), e.what());
  } catch (const std::exception& e) {
    fail(ExitStatus::failed, e.what());
  }
}

bool ProgressEngine::start_queued() {
  {
    const std::lock_guard lock(queue_mutex_);
    for (; !queue_.empty(); queue_.pop_front()) {
      auto& started = queue_.front()->small ? small_ : large_;
      started.push_back(std::move(queue_.front()));
    }
  }
  bool any = false;
  for (; !small_.empty(); small_.pop_front()) {
    start_piece(small_.front(), 0, channels_.small);
    any = true;
  }
  while (!large_.empty() && large_under_way_ < most_large_pieces) {
    start_piece(large_.front(), next_piece_, channels_.large);
    ++large_under_way_;
    any = true;
    if (++next_piece_ == large_.front()->pieces()) {
      large_.pop_front();
      next_piece_ = 0;
    }
  }
  return any;
}

void ProgressEngine::start_piece(const std::shared_ptr<Collective>& collective, size_t index,
                                 MPI_Comm channel) {
  auto piece = std::make_unique<Piece>();
  piece->collective = collective;
  piece->index = index;
  if (!spare_scratch_.empty()) {
    piece->scratch = std::move(spare_scratch_.back());
    spare_scratch_.pop_back();
  }
  if (collective->has_second()) second_order_.push_back(piece.get());
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(collective->first(*piece, channel, &request), collective->text().c_str());
  requests_.push_back(request);
  pieces_.push_back(std::move(piece));
}

bool ProgressEngine::test() {
  if (requests_.empty()) return false;
  completed_.resize(requests_.size());
  int count = 0;
  check_mpi(MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &count,
                         completed_.data(), MPI_STATUSES_IGNORE),
            "MPI_Testsome");
  // What Testsome completed it has set to null; a call may also have completed at once.
  std::vector<std::unique_ptr<Piece>> arrived;
  for (size_t i = 0; i < requests_.size(); ++i) {
    if (requests_[i] == MPI_REQUEST_NULL) arrived.push_back(std::move(pieces_[i]));
  }
  if (arrived.empty()) return false;
  std::erase_if(requests_, [](MPI_Request request) { return request == MPI_REQUEST_NULL; });
  std::erase(pieces_, nullptr);
  for (auto& piece : arrived) after_call(std::move(piece));
  return true;
}

void ProgressEngine::after_call(std::unique_ptr<Piece> piece) {
  if (piece->stage == Piece::Stage::second_call) return finish(*piece);
  piece->stage = Piece::Stage::work;
  if (piece->collective->small) {
    piece->collective->work(*piece);
    finish(*piece);
  } else {
    to_compute_.push_back(std::move(piece));
  }
}

void ProgressEngine::after_work(std::unique_ptr<Piece> piece) {
  if (!piece->collective->has_second()) return finish(*piece);
  piece->stage = Piece::Stage::second_call_due;
  due_.push_back(std::move(piece));
  start_second_calls();
}

void ProgressEngine::start_second_calls() {
  while (!second_order_.empty()) {
    const auto next = std::find_if(due_.begin(), due_.end(), [&](const auto& piece) {
      return piece.get() == second_order_.front();
    });
    if (next == due_.end()) return;
    std::unique_ptr<Piece> piece = std::move(*next);
    due_.erase(next);
    second_order_.pop_front();
    piece->stage = Piece::Stage::second_call;
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(piece->collective->second(*piece, channels_.second, &request),
              piece->collective->text().c_str());
    requests_.push_back(request);
    pieces_.push_back(std::move(piece));
  }
}

void ProgressEngine::finish(Piece& piece) {
  Collective& collective = *piece.collective;
  spare_scratch_.push_back(std::move(piece.scratch));
  if (!collective.small) --large_under_way_;
  if (--collective.pieces_left > 0) return;
  collective.done.store(true, std::memory_order_release);
  const std::lock_guard lock(queue_mutex_);
  if (++finished_ == issued_) busy_ = false;
}

void ProgressEngine::fail(ExitStatus status, const std::string& sentence) {
  const std::lock_guard lock(failure_mutex_);
  if (failed_) return;
  failure_ = {status, sentence};
  session_.broken = true;
  failed_ = true;
}

void ProgressEngine::throw_if_failed() {
  if (!failed_) return;
  const std::lock_guard lock(failure_mutex_);
  throw Error(failure_.status, failure_.sentence);
}

}  // namespace lacuna::mpi
