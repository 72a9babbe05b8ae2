// The communicator over MPI.
//
// A collective is an Operation of one or more pieces; a piece is one nonblocking call of MPI, for
// large reductions followed by a sum of ours and a second call:
//
//   small   gather everything (MPI_Iallgatherv), sum all of it here
//   large   exchange slices (MPI_Ialltoallv), sum this rank's slice in rank order, gather the sums
//           (MPI_Iallgatherv): each rank sends 2 (R-1)/R of the data, as a ring does
//
// MPI matches collectives by the order of calls on a communicator, so that order must be the same
// on every rank, whatever completes first where. Hence three channels, each a duplicate of the
// world: first calls of small operations, first calls of large ones, and second calls; on each,
// pieces go in the order of issue.
//
// Who calls MPI: one communication thread, which progresses what is under way while the others
// compute — or a thread that waits, since it has nothing better to do and a hand-over would cost
// more than a small collective takes. Session::calls admits one at a time (MPI_THREAD_SERIALIZED).
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <numeric>
#include <thread>
#include <utility>

#include "comm/mpi_session.h"
#include "comm/rank_order_sum.h"

namespace lacuna {
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

// The prefix sums of counts, and their total.
std::vector<int> offsets_of(const std::vector<int>& counts) {
  std::vector<int> offsets(counts.size());
  std::exclusive_scan(counts.begin(), counts.end(), offsets.begin(), 0);
  return offsets;
}

// Counts and displacements of a "v" collective, in bytes: they must live as long as the call.
struct Layout {
  std::vector<int> counts;
  std::vector<int> offsets;
  Layout() = default;
  explicit Layout(std::vector<int> c) : counts(std::move(c)), offsets(offsets_of(counts)) {}
  size_t total() const {
    return counts.empty() ? 0 : static_cast<size_t>(offsets.back() + counts.back());
  }
};

class Operation;

// One part of an operation on its way through MPI.
struct Piece {
  std::shared_ptr<Operation> operation;
  size_t index = 0;
  std::vector<std::byte> scratch;  // handed on from piece to piece, so that it is seldom made anew
  Layout mine;                     // what this rank sends
  Layout other;                    // what it receives
  enum class Stage { first_call, work, second_call_due, second_call } stage = Stage::first_call;
};

class Operation {
 public:
  Operation(const char* name, size_t pieces) : pieces_left(pieces), name_(name), pieces_(pieces) {}
  virtual ~Operation() = default;
  size_t pieces() const { return pieces_; }
  std::string text() const { return concat(name_, " number ", number); }

  // Posts the first call of a piece.
  virtual int first(Piece& piece, MPI_Comm channel, MPI_Request* request) = 0;
  // What this rank computes or copies when that has completed.
  virtual void work(Piece&) {}
  virtual bool has_second() const { return false; }
  virtual int second(Piece&, MPI_Comm, MPI_Request*) { return MPI_SUCCESS; }

  uint64_t number = 0;  // counts the collectives of a communicator from 1
  bool small = true;
  size_t pieces_left;  // under Session::calls
  std::atomic<bool> done = false;

 private:
  const char* name_;
  size_t pieces_;
};

void need_scratch(Piece& piece, size_t bytes) {
  if (piece.scratch.size() < bytes) piece.scratch.resize(bytes);
}

size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }
size_t sum_of(std::span<const size_t> values) {
  return std::accumulate(values.begin(), values.end(), size_t{0});
}
int as_int(size_t value) { return static_cast<int>(value); }

// Elements [first, first + count) of `whole` in `parts` nearly equal slices, one per rank.
std::vector<int> equal_slices(size_t count, size_t parts, size_t element) {
  std::vector<int> bytes(parts);
  for (size_t r = 0; r < parts; ++r) {
    bytes[r] = as_int((count * (r + 1) / parts - count * r / parts) * element);
  }
  return bytes;
}

// all_gather: pieces take `step` bytes of every rank. A single piece lands where it belongs;
// several go through scratch, since MPI's displacements are ints and end at 2 GiB.
class AllGather : public Operation {
 public:
  AllGather(const void* mine, void* all, std::span<const size_t> bytes, int rank, size_t step)
      : Operation(
            "all_gather",
            std::max<size_t>(1, ceil_div(*std::max_element(bytes.begin(), bytes.end()), step))),
        mine_(static_cast<const std::byte*>(mine)),
        all_(static_cast<std::byte*>(all)),
        bytes_(bytes.begin(), bytes.end()),
        rank_(static_cast<size_t>(rank)),
        step_(step) {}

  int first(Piece& piece, MPI_Comm channel, MPI_Request* request) override {
    std::vector<int> counts;
    for (const size_t bytes : bytes_) counts.push_back(as_int(size_in(piece.index, bytes)));
    piece.other = Layout(std::move(counts));
    std::byte* target = all_;
    const void* source = mine_ + std::min(piece.index * step_, bytes_[rank_]);
    if (pieces() > 1) {
      need_scratch(piece, piece.other.total());
      target = piece.scratch.data();
    } else if (mine_ == all_ + piece.other.offsets[rank_]) {
      source = MPI_IN_PLACE;
    }
    return MPI_Iallgatherv(source, piece.other.counts[rank_], MPI_BYTE, target,
                           piece.other.counts.data(), piece.other.offsets.data(), MPI_BYTE, channel,
                           request);
  }

  void work(Piece& piece) override {
    if (pieces() == 1) return;
    size_t start = 0;
    for (size_t r = 0; r < bytes_.size(); ++r) {
      const size_t n = static_cast<size_t>(piece.other.counts[r]);
      if (n > 0) {
        std::memcpy(all_ + start + piece.index * step_,
                    piece.scratch.data() + piece.other.offsets[r], n);
      }
      start += bytes_[r];
    }
  }

 private:
  size_t size_in(size_t index, size_t bytes) const {
    return std::min(step_, bytes - std::min(bytes, index * step_));
  }
  const std::byte* mine_;
  std::byte* all_;
  std::vector<size_t> bytes_;
  size_t rank_;
  size_t step_;
};

class SmallAllReduce : public Operation {
 public:
  SmallAllReduce(void* data, size_t count, DType dtype, int ranks)
      : Operation("all_reduce_sum", 1), data_(data), count_(count), dtype_(dtype), ranks_(ranks) {}
  int first(Piece& piece, MPI_Comm channel, MPI_Request* request) override {
    const size_t bytes = count_ * size_of(dtype_);
    need_scratch(piece, bytes * static_cast<size_t>(ranks_));
    return MPI_Iallgather(data_, as_int(bytes), MPI_BYTE, piece.scratch.data(), as_int(bytes),
                          MPI_BYTE, channel, request);
  }
  void work(Piece& piece) override {
    rank_order_sum(data_, piece.scratch.data(), count_ * size_of(dtype_), ranks_, count_, dtype_);
  }

 private:
  void* data_;
  size_t count_;
  DType dtype_;
  int ranks_;
};

class LargeAllReduce : public Operation {
 public:
  LargeAllReduce(void* data, size_t count, DType dtype, int rank, int ranks, size_t piece_elements)
      : Operation("all_reduce_sum", ceil_div(count, piece_elements)),
        data_(static_cast<std::byte*>(data)),
        count_(count),
        dtype_(dtype),
        rank_(static_cast<size_t>(rank)),
        ranks_(static_cast<size_t>(ranks)),
        piece_elements_(piece_elements) {}

  int first(Piece& piece, MPI_Comm channel, MPI_Request* request) override {
    piece.mine = Layout(equal_slices(elements(piece), ranks_, size_of(dtype_)));
    const int slice = piece.mine.counts[rank_];
    piece.other = Layout(std::vector<int>(ranks_, slice));
    need_scratch(piece, piece.other.total());
    return MPI_Ialltoallv(start(piece), piece.mine.counts.data(), piece.mine.offsets.data(),
                          MPI_BYTE, piece.scratch.data(), piece.other.counts.data(),
                          piece.other.offsets.data(), MPI_BYTE, channel, request);
  }
  void work(Piece& piece) override {
    const size_t slice = static_cast<size_t>(piece.mine.counts[rank_]);
    rank_order_sum(start(piece) + piece.mine.offsets[rank_], piece.scratch.data(), slice,
                   static_cast<int>(ranks_), slice / size_of(dtype_), dtype_);
  }
  bool has_second() const override { return true; }
  int second(Piece& piece, MPI_Comm channel, MPI_Request* request) override {
    return MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_BYTE, start(piece), piece.mine.counts.data(),
                           piece.mine.offsets.data(), MPI_BYTE, channel, request);
  }

 private:
  std::byte* start(const Piece& piece) const {
    return data_ + piece.index * piece_elements_ * size_of(dtype_);
  }
  size_t elements(const Piece& piece) const {
    return std::min(piece_elements_, count_ - piece.index * piece_elements_);
  }
  std::byte* data_;
  size_t count_;
  DType dtype_;
  size_t rank_;
  size_t ranks_;
  size_t piece_elements_;
};

// Pieces take `step` elements of every rank's part. MPI sends from where a part lies as long as its
// displacement fits an int; beyond, from a copy.
class ReduceScatter : public Operation {
 public:
  ReduceScatter(const void* data, void* mine, std::span<const size_t> parts, DType dtype, int rank,
                size_t step)
      : Operation(
            "reduce_scatter_sum",
            std::max<size_t>(1, ceil_div(*std::max_element(parts.begin(), parts.end()), step))),
        data_(static_cast<const std::byte*>(data)),
        mine_(static_cast<std::byte*>(mine)),
        parts_(parts.begin(), parts.end()),
        dtype_(dtype),
        rank_(static_cast<size_t>(rank)),
        step_(step) {}

  int first(Piece& piece, MPI_Comm channel, MPI_Request* request) override {
    const size_t element = size_of(dtype_);
    std::vector<int> counts;
    for (const size_t part : parts_) counts.push_back(as_int(size_in(piece.index, part) * element));
    piece.mine = Layout(std::move(counts));
    piece.other = Layout(std::vector<int>(parts_.size(), piece.mine.counts[rank_]));
    const std::byte* source = data_;
    if (pieces() > 1) {
      need_scratch(piece, piece.other.total() + gap + piece.mine.total());
      source = pack(piece);
    } else {
      need_scratch(piece, piece.other.total());
    }
    return MPI_Ialltoallv(source, piece.mine.counts.data(), piece.mine.offsets.data(), MPI_BYTE,
                          piece.scratch.data(), piece.other.counts.data(),
                          piece.other.offsets.data(), MPI_BYTE, channel, request);
  }
  void work(Piece& piece) override {
    const size_t slice = static_cast<size_t>(piece.mine.counts[rank_]);
    rank_order_sum(mine_ + piece.index * step_ * size_of(dtype_), piece.scratch.data(), slice,
                   static_cast<int>(parts_.size()), slice / size_of(dtype_), dtype_);
  }

 private:
  size_t size_in(size_t index, size_t part) const {
    return std::min(step_, part - std::min(part, index * step_));
  }
  const std::byte* pack(Piece& piece) const {
    std::byte* to = piece.scratch.data() + piece.other.total() + gap;
    size_t start = piece.index * step_;
    for (size_t r = 0; r < parts_.size(); ++r) {
      const size_t n = static_cast<size_t>(piece.mine.counts[r]);
      if (n > 0) std::memcpy(to + piece.mine.offsets[r], data_ + start * size_of(dtype_), n);
      start += parts_[r];
    }
    return to;
  }
  // Between what is received and the copy that is sent: Open MPI takes equal addresses, as they
  // would be where nothing is received, for MPI_IN_PLACE.
  static constexpr size_t gap = 64;
  const std::byte* data_;
  std::byte* mine_;
  std::vector<size_t> parts_;
  DType dtype_;
  size_t rank_;
  size_t step_;
};

class Broadcast : public Operation {
 public:
  Broadcast(void* data, size_t bytes, int root, size_t step)
      : Operation("broadcast", std::max<size_t>(1, ceil_div(bytes, step))),
        data_(static_cast<std::byte*>(data)),
        bytes_(bytes),
        root_(root),
        step_(step) {}
  int first(Piece& piece, MPI_Comm channel, MPI_Request* request) override {
    const size_t start = piece.index * step_;
    return MPI_Ibcast(data_ + start, as_int(std::min(step_, bytes_ - start)), MPI_BYTE, root_,
                      channel, request);
  }

 private:
  std::byte* data_;
  size_t bytes_;
  int root_;
  size_t step_;
};

class Barrier : public Operation {
 public:
  Barrier() : Operation("barrier", 1) {}
  int first(Piece&, MPI_Comm channel, MPI_Request* request) override {
    return MPI_Ibarrier(channel, request);
  }
};

// The duplicates of the world.
struct Channels {
  MPI_Comm small = MPI_COMM_NULL;
  MPI_Comm large = MPI_COMM_NULL;
  MPI_Comm second = MPI_COMM_NULL;
  MPI_Comm questions = MPI_COMM_NULL;  // point to point only
  explicit Channels(std::timed_mutex& calls) {
    const std::lock_guard lock(calls);
    for (MPI_Comm* channel : {&small, &large, &second, &questions}) {
      check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, channel), "MPI_Comm_dup");
      MPI_Comm_set_errhandler(*channel, MPI_ERRORS_RETURN);
    }
  }
  void free() {
    for (MPI_Comm* channel : {&small, &large, &second, &questions}) MPI_Comm_free(channel);
  }
};

// What is under way, and the thread that keeps it going.
class Engine {
 public:
  Engine(MpiSession::Impl& session, double deadline)
      : session_(session), deadline_(deadline), channels_(session.calls) {
    thread_ = std::thread([this] { run(); });
  }

  ~Engine() {
    {
      const std::lock_guard lock(queue_mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
    const std::lock_guard lock(session_.calls);
    if (!session_.broken && requests_.empty()) channels_.free();
  }

  void issue(const std::shared_ptr<Operation>& operation) {
    throw_if_failed();
    {
      const std::lock_guard lock(queue_mutex_);
      operation->number = ++issued_;
      queue_.push_back(operation);
      busy_ = true;
    }
    // Started at once where nobody is inside MPI, so that it travels while this thread computes.
    if (session_.calls.try_lock()) {
      guarded([this] { start_queued(); });
      session_.calls.unlock();
    }
    wake_.notify_one();
  }

  void wait(Operation& operation) {
    if (is_done_within(deadline_, operation)) return;
    if (!failed_) {
      fail(ExitStatus::lost_rank,
           concat("rank ", session_.rank, " waited ", deadline_, " s for ", operation.text(), ": ",
                  where_the_others_are(operation.number)));
    }
    leave_buffers();
    throw_if_failed();
  }

  // The buffers of something under way are going to disappear: nothing may be progressed any more.
  // Ranks that have joined it may be reading them from here, which would end those (UCX:
  // "process_vm_readv returned -1"), so it gets a while.
  void abandon(Operation& operation) noexcept {
    constexpr double seconds = 2;
    if (is_done_within(std::min(seconds, deadline_), operation)) return;
    fail(ExitStatus::lost_rank, "a collective was given up because of another error");
    leave_buffers();
  }

 private:
  bool is_done_within(double seconds, Operation& operation) {
    const auto done = [&] { return operation.done.load(std::memory_order_acquire); };
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

  // After a failure nobody enters MPI or a sum again; returns when whoever is there has left.
  void leave_buffers() {
    if (session_.calls.try_lock_for(std::chrono::seconds(1))) session_.calls.unlock();
    while (computing_ > 0) sched_yield();
  }

  void run() {
    prepare_thread();
    Patience patience(10e-6, 0);
    Patience idle;
    while (true) {
      {
        std::unique_lock lock(queue_mutex_);
        if (!stop_ && (!busy_ || failed_)) {
          // MPI may still have to push out what it called complete: it is looked after, ever
          // seldomer.
          wake_.wait_for(lock,
                         Seconds(std::clamp(idle.waited() / 2, 1e-3, seconds_between_answers)));
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

  static void prepare_thread() {
    sigset_t all;  // signals are for the program's own threads
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    pthread_setname_np(pthread_self(), "lacuna-comm");
    prctl(PR_SET_TIMERSLACK, 1000);  // ns: short sleeps stay short
  }

  static constexpr int question_tag = 1;
  static constexpr int answer_tag = 2;
  static constexpr double seconds_between_answers = 0.05;

  void answer_now_and_then(bool idle) {
    const double since = Seconds(Clock::now() - last_answers_).count();
    if (failed_ || (!idle && since < seconds_between_answers)) return;
    if (!session_.calls.try_lock()) return;
    guarded([this] { answer_questions(); });
    session_.calls.unlock();
    last_answers_ = Clock::now();
  }

  // Tells the ranks that ask how many collectives this rank has issued. Messages of a few bytes:
  // they leave without waiting for the other side. Under Session::calls.
  void answer_questions() {
    MPI_Status from;
    while (probe(MPI_ANY_SOURCE, question_tag, &from)) {
      MPI_Recv(nullptr, 0, MPI_BYTE, from.MPI_SOURCE, question_tag, channels_.questions, &from);
      const uint64_t issued = issued_so_far();
      MPI_Send(&issued, 1, MPI_UINT64_T, from.MPI_SOURCE, answer_tag, channels_.questions);
    }
  }

  bool probe(int source, int tag, MPI_Status* status) {
    int found = 0;
    check_mpi(MPI_Iprobe(source, tag, channels_.questions, &found, status), "MPI_Iprobe");
    return found != 0;
  }

  uint64_t issued_so_far() {
    const std::lock_guard lock(queue_mutex_);
    return issued_;
  }

  // Asks every other rank; a sentence's end about those that have not issued collective `number`.
  std::string where_the_others_are(uint64_t number) {
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

  void ask() {
    for (int rank = 0; rank < session_.size; ++rank) {
      if (rank != session_.rank) {
        MPI_Send(nullptr, 0, MPI_BYTE, rank, question_tag, channels_.questions);
      }
    }
  }

  void take_answers(std::vector<int64_t>& issued) {
    MPI_Status from;
    while (probe(MPI_ANY_SOURCE, answer_tag, &from)) {
      uint64_t count = 0;
      MPI_Recv(&count, 1, MPI_UINT64_T, from.MPI_SOURCE, answer_tag, channels_.questions, &from);
      issued[static_cast<size_t>(from.MPI_SOURCE)] = static_cast<int64_t>(count);
    }
  }

  static std::string describe(const std::vector<int64_t>& issued, uint64_t number) {
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

  // One round: starts, tests and, outside the lock, computes what is ready. False when nothing
  // moved.
  bool progress() {
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
    todo->operation->work(*todo);
    --computing_;
    const std::lock_guard lock(session_.calls);
    guarded([&] { after_work(std::move(todo)); });
    return true;
  }

  // Runs action under Session::calls; what it throws fails the engine, since no caller is there.
  void guarded(const std::function<void()>& action) noexcept {
    try {
      if (!failed_) action();
    } catch (const Error& e) {
      fail(e.status(), e.what());
    } catch (const std::exception& e) {
      fail(ExitStatus::failed, e.what());
    }
  }

  bool start_queued() {
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

  void start_piece(const std::shared_ptr<Operation>& operation, size_t index, MPI_Comm channel) {
    auto piece = std::make_unique<Piece>();
    piece->operation = operation;
    piece->index = index;
    if (!spare_scratch_.empty()) {
      piece->scratch = std::move(spare_scratch_.back());
      spare_scratch_.pop_back();
    }
    if (operation->has_second()) second_order_.push_back(piece.get());
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(operation->first(*piece, channel, &request), operation->text().c_str());
    requests_.push_back(request);
    pieces_.push_back(std::move(piece));
  }

  bool test() {
    if (requests_.empty()) return false;
    completed_.resize(requests_.size());
    int count = 0;
    check_mpi(MPI_Testsome(as_int(requests_.size()), requests_.data(), &count, completed_.data(),
                           MPI_STATUSES_IGNORE),
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

  void after_call(std::unique_ptr<Piece> piece) {
    if (piece->stage == Piece::Stage::second_call) return finish(*piece);
    piece->stage = Piece::Stage::work;
    if (piece->operation->small) {
      piece->operation->work(*piece);
      finish(*piece);
    } else {
      to_compute_.push_back(std::move(piece));
    }
  }

  void after_work(std::unique_ptr<Piece> piece) {
    if (!piece->operation->has_second()) return finish(*piece);
    piece->stage = Piece::Stage::second_call_due;
    due_.push_back(std::move(piece));
    start_second_calls();
  }

  // Second calls in the order of the first ones.
  void start_second_calls() {
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
      check_mpi(piece->operation->second(*piece, channels_.second, &request),
                piece->operation->text().c_str());
      requests_.push_back(request);
      pieces_.push_back(std::move(piece));
    }
  }

  void finish(Piece& piece) {
    Operation& operation = *piece.operation;
    spare_scratch_.push_back(std::move(piece.scratch));
    if (!operation.small) --large_under_way_;
    if (--operation.pieces_left > 0) return;
    operation.done.store(true, std::memory_order_release);
    const std::lock_guard lock(queue_mutex_);
    if (++finished_ == issued_) busy_ = false;
  }

  void fail(ExitStatus status, const std::string& sentence) {
    const std::lock_guard lock(failure_mutex_);
    if (failed_) return;
    failure_ = {status, sentence};
    session_.broken = true;
    failed_ = true;
  }

  void throw_if_failed() {
    if (!failed_) return;
    const std::lock_guard lock(failure_mutex_);
    throw Error(failure_.status, failure_.sentence);
  }

  static constexpr size_t most_large_pieces = 4;  // under way; bounds scratch memory

  MpiSession::Impl& session_;
  const double deadline_;
  Channels channels_;

  // Shared with threads that issue.
  std::mutex queue_mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Operation>> queue_;
  uint64_t issued_ = 0;
  uint64_t finished_ = 0;
  bool busy_ = false;  // something was issued that has not finished
  bool stop_ = false;
  std::atomic<int> waiters_ = 0;
  Clock::time_point last_answers_{};  // of the communication thread

  // Under Session::calls.
  std::deque<std::shared_ptr<Operation>> small_;
  std::deque<std::shared_ptr<Operation>> large_;
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
  std::atomic<int> computing_ = 0;  // threads in an operation's work outside Session::calls

  std::thread thread_;
};

class OperationState : public Request::State {
 public:
  OperationState(std::shared_ptr<Engine> engine, std::shared_ptr<Operation> operation)
      : engine_(std::move(engine)), operation_(std::move(operation)) {}
  void wait() override { engine_->wait(*operation_); }
  void abandon() noexcept override { engine_->abandon(*operation_); }

 private:
  std::shared_ptr<Engine> engine_;
  std::shared_ptr<Operation> operation_;
};

class MpiCommunicator : public Communicator {
 public:
  MpiCommunicator(MpiSession& session, const MpiOptions& options)
      : rank_(session.rank()),
        size_(session.size()),
        small_bytes_(options.small_bytes),
        slice_bytes_(slice_bytes(options.slice_bytes, size_)),
        engine_(std::make_shared<Engine>(session.impl(), options.deadline_seconds)) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  Request all_gather(const void* mine, void* all, std::span<const size_t> bytes) override {
    LACUNA_CHECK(bytes.size() == ranks());
    const size_t total = sum_of(bytes);
    const size_t step = total <= largest_direct ? std::max<size_t>(1, total) : slice_bytes_;
    return issue(std::make_shared<AllGather>(mine, all, bytes, rank_, step), total);
  }

  using Communicator::all_reduce_sum;
  Request all_reduce_sum(void* data, size_t count, DType dtype) override {
    const size_t bytes = count * size_of(dtype);
    if (bytes * ranks() <= small_bytes_) {
      return issue(std::make_shared<SmallAllReduce>(data, count, dtype, size_), 0);
    }
    const size_t piece = slice_bytes_ / size_of(dtype) * ranks();
    return issue(std::make_shared<LargeAllReduce>(data, count, dtype, rank_, size_, piece),
                 bytes * ranks());
  }

  Request reduce_scatter_sum(const void* data, void* mine, std::span<const size_t> parts,
                             DType dtype) override {
    LACUNA_CHECK(parts.size() == ranks());
    const size_t step = slice_bytes_ / size_of(dtype);
    return issue(std::make_shared<ReduceScatter>(data, mine, parts, dtype, rank_, step),
                 sum_of(parts) * size_of(dtype));
  }

  Request broadcast(void* data, size_t bytes, int root) override {
    LACUNA_CHECK(root >= 0 && root < size_, "root ", root, " of ", size_, " ranks");
    return issue(std::make_shared<Broadcast>(data, bytes, root, slice_bytes_ * ranks()), bytes);
  }

  void barrier() override { issue(std::make_shared<Barrier>(), 0).wait(); }

 private:
  // A multiple of 64 such that a piece of every rank fits MPI's ints.
  static size_t slice_bytes(size_t wanted, int ranks) {
    const size_t most = static_cast<size_t>(INT_MAX) / 2 / static_cast<size_t>(ranks);
    return std::max<size_t>(64, std::min(wanted, most) / 64 * 64);
  }
  size_t ranks() const { return static_cast<size_t>(size_); }
  // total: bytes in all; the same on every rank, so that each takes the same channel.
  Request issue(std::shared_ptr<Operation> operation, size_t total) {
    operation->small = total <= small_bytes_ && operation->pieces() == 1;
    engine_->issue(operation);
    return Request(std::make_unique<OperationState>(engine_, std::move(operation)));
  }

  static constexpr size_t largest_direct = 1 << 20;
  int rank_;
  int size_;
  size_t small_bytes_;
  size_t slice_bytes_;
  std::shared_ptr<Engine> engine_;
};

}  // namespace

std::unique_ptr<Communicator> mpi_communicator(MpiSession& session, const MpiOptions& options) {
  if (session.size() == 1) return self_communicator();
  return std::make_unique<MpiCommunicator>(session, options);
}

}  // namespace lacuna
