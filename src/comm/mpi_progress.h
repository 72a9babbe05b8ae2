// Progress of collectives over MPI.
//
// MPI matches collectives by the order of calls on a communicator, so that order must be the same
// on every rank, whatever completes first where. Hence three channels, each a duplicate of the
// world: first calls of small collectives, first calls of large ones, and second calls; on each,
// pieces go in the order of issue.
//
// Who calls MPI: one communication thread, which progresses what is under way while the others
// compute — or a thread that waits, since it has nothing better to do and a hand-over would cost
// more than a small collective takes. Session::calls admits one at a time (MPI_THREAD_SERIALIZED).
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "comm/mpi_collectives.h"
#include "comm/mpi_session.h"

namespace lacuna::mpi {

// The duplicates of the world.
struct Channels {
  MPI_Comm small = MPI_COMM_NULL;
  MPI_Comm large = MPI_COMM_NULL;
  MPI_Comm second = MPI_COMM_NULL;
  MPI_Comm questions = MPI_COMM_NULL;  // point to point only
  explicit Channels(std::timed_mutex& calls);
  void free();
};

// What is under way, and the thread that keeps it going.
class ProgressEngine {
 public:
  ProgressEngine(MpiSession::Impl& session, double deadline);
  ~ProgressEngine();
  ProgressEngine(const ProgressEngine&) = delete;
  ProgressEngine& operator=(const ProgressEngine&) = delete;

  // Queues a collective: on every rank in the same order. Throws what has failed before.
  void issue(const std::shared_ptr<Collective>& collective);
  // Until it is done; lost_rank after the deadline.
  void wait(Collective& collective);

  // The buffers of something under way are going to disappear: nothing may be progressed any more.
  // Ranks that have joined it may be reading them from here, which would end those (UCX:
  // "process_vm_readv returned -1"), so it gets a while.
  void abandon(Collective& collective) noexcept;

 private:
  bool is_done_within(double seconds, Collective& collective);

  // After a failure nobody enters MPI or a sum again; returns when whoever is there has left.
  void leave_buffers();
  void run();
  static void prepare_thread();

  static constexpr int question_tag = 1;
  static constexpr int answer_tag = 2;
  static constexpr double seconds_between_answers = 0.05;

  void answer_now_and_then(bool idle);

  // Tells the ranks that ask how many collectives this rank has issued. Messages of a few bytes:
  // they leave without waiting for the other side. Under Session::calls.
  void answer_questions();
  bool probe(int source, int tag, MPI_Status* status);
  uint64_t issued_so_far();

  // Asks every other rank; a sentence's end about those that have not issued collective `number`.
  std::string where_the_others_are(uint64_t number);
  void ask();
  void take_answers(std::vector<int64_t>& issued);
  static std::string describe(const std::vector<int64_t>& issued, uint64_t number);

  // One round: starts, tests and, outside the lock, computes what is ready. False when nothing
  // moved.
  bool progress();

  // Runs action under Session::calls; what it throws fails the engine, since no caller is there.
  void guarded(const std::function<void()>& action) noexcept;
  bool start_queued();
  void start_piece(const std::shared_ptr<Collective>& collective, size_t index, MPI_Comm channel);
  bool test();
  void after_call(std::unique_ptr<Piece> piece);
  void after_work(std::unique_ptr<Piece> piece);

  // Second calls in the order of the first ones.
  void start_second_calls();
  void finish(Piece& piece);
  void fail(ExitStatus status, const std::string& sentence);
  void throw_if_failed();

  static constexpr size_t most_large_pieces = 4;  // under way; bounds scratch memory

  MpiSession::Impl& session_;
  const double deadline_;
  Channels channels_;

  // Shared with threads that issue.
  std::mutex queue_mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Collective>> queue_;
  uint64_t issued_ = 0;
  uint64_t finished_ = 0;
  bool busy_ = false;  // something was issued that has not finished
  bool stop_ = false;
  std::atomic<int> waiters_ = 0;
  std::chrono::steady_clock::time_point last_answers_{};  // of the communication thread

  // Under Session::calls.
  std::deque<std::shared_ptr<Collective>> small_;
  std::deque<std::shared_ptr<Collective>> large_;
  size_t next_piece_ = 0;  // of large_.front()
  size_t large_under_way_ = 0;
  std::vector<MPI_Request> requests_;
  std::vector<std::unique_ptr<Piece>> pieces_;  // of requests_, same places
  std::vector<int> completed_;
  std::vector<std::vector<std::byte>> spare_scratch_;
  std::deque<std::unique_ptr<Piece>> to_compute_;
  std::vector<std::unique_ptr<Piece>> due_;  // whose second call has to wait for its turn
  std::deque<const Piece*> second_order_;

  struct Failure {
    ExitStatus status = ExitStatus::failed;
    std::string sentence;
  };
  std::mutex failure_mutex_;
  Failure failure_;
  std::atomic<bool> failed_ = false;
  std::atomic<int> computing_ = 0;  // threads in a collective's work outside Session::calls

  std::thread thread_;
};

}  // namespace lacuna::mpi
