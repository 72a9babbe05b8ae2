#include "simt.h"

#include <array>
#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <memory>
#include <random>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace simt {

namespace {

constexpr unsigned warp_size = 32;
constexpr uint64_t nothing = ~uint64_t{0};  // a NaN of every float type
constexpr size_t stack_bytes = size_t{128} << 10;

std::mt19937_64& generator() {
  thread_local std::mt19937_64 engine(1);
  return engine;
}

// What a sanitizer must know of switches between stacks.
struct Stack {
  const void* bottom = nullptr;
  size_t size = 0;
  void* fake = nullptr;

  // A stack that was another fibre's still bears the marks of its variables.
  void begin(const boost::context::stack_context& memory) {
    bottom = static_cast<char*>(memory.sp) - memory.size;
    size = memory.size;
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(bottom, size);
#endif
  }
  void leave_for(const Stack& other, bool for_ever = false) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(for_ever ? nullptr : &fake, other.bottom, other.size);
#else
    (void)other;
    (void)for_ever;
#endif
  }
  void arrive(Stack* from) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake, from == nullptr ? nullptr : &from->bottom,
                                    from == nullptr ? nullptr : &from->size);
#else
    (void)from;
#endif
  }
};

enum class Waits { no, at_barrier, for_lanes, ended };

struct Thread {
  boost::context::fiber fiber;  // where it goes on, or, while it runs, where the scheduler does
  Stack stack;
  uint3 index;
  Waits waits = Waits::no;
  Place place;
  unsigned mask = 0, source = 0;
  uint64_t value = 0;
};

std::string text(const Place& place) {
  return std::string(place.file) + ":" + std::to_string(place.line);
}

bool same(const Place& a, const Place& b) {
  return a.line == b.line && std::strcmp(a.file, b.file) == 0;
}

// What ends the threads of a block in which a rule was broken.
struct Abandoned {};

class Block {
 public:
  Block(const dim3& threads, const std::function<void()>& body) : body_(body) {
    threads_.resize(size_t{threads.x} * threads.y * threads.z);
    alive_ = threads_.size();
    for (size_t i = 0; i < threads_.size(); ++i) {
      Thread& thread = threads_[i];
      thread.index = {static_cast<unsigned>(i % threads.x),
                      static_cast<unsigned>(i / threads.x % threads.y),
                      static_cast<unsigned>(i / threads.x / threads.y)};
      ready_.push_back(i);
    }
  }

  void run();
  void wait(Waits waits, const Place& place);
  uint64_t exchange(unsigned mask, uint64_t value, unsigned source, const Place& place);
  size_t running() const { return running_; }

 private:
  void run_threads();
  void start(size_t i);
  void resume(size_t i);
  void release(size_t i) {
    threads_[i].waits = Waits::no;
    ready_.push_back(i);
  }
  void release_barrier();
  void release_lanes(size_t arrived);
  [[noreturn]] void nobody_can_go_on() const;

  const std::function<void()>& body_;
  std::vector<Thread> threads_;
  std::vector<size_t> ready_;
  std::vector<size_t> at_barrier_;
  size_t alive_ = 0;
  size_t running_ = 0;
  bool abandoned_ = false;
  std::string broken_;
  Stack scheduler_;
};

thread_local Block* block_now = nullptr;

boost::context::pooled_fixedsize_stack& stacks() {
  thread_local boost::context::pooled_fixedsize_stack allocator(stack_bytes);
  return allocator;
}

void Block::start(size_t i) {
  Thread& thread = threads_[i];
  const boost::context::stack_context memory = stacks().allocate();
  thread.stack.begin(memory);
  const auto body = [this, i](boost::context::fiber&& scheduler) {
    Thread& self = threads_[i];
    self.stack.arrive(&scheduler_);
    self.fiber = std::move(scheduler);
    try {
      body_();
    } catch (const Abandoned&) {
    }
    self.waits = Waits::ended;
    self.stack.leave_for(scheduler_, true);
    return std::move(self.fiber);
  };
  thread.fiber = boost::context::fiber(std::allocator_arg,
                                       boost::context::preallocated(memory.sp, memory.size, memory),
                                       stacks(), body);
}

void Block::resume(size_t i) {
  Thread& thread = threads_[i];
  if (!thread.fiber) start(i);
  running_ = i;
  threadIdx = thread.index;
  scheduler_.leave_for(thread.stack);
  boost::context::fiber back = std::move(thread.fiber).resume();
  scheduler_.arrive(nullptr);
  if (thread.waits != Waits::ended) thread.fiber = std::move(back);
}

void Block::wait(Waits waits, const Place& place) {
  Thread& thread = threads_[running_];
  const uint3 index = thread.index;
  thread.waits = waits;
  thread.place = place;
  thread.stack.leave_for(scheduler_);
  boost::context::fiber scheduler = std::move(thread.fiber).resume();
  thread.stack.arrive(&scheduler_);
  thread.fiber = std::move(scheduler);
  threadIdx = index;
  if (abandoned_) throw Abandoned();
}

void Block::release_barrier() {
  const Place& first = threads_[at_barrier_.front()].place;
  for (const size_t i : at_barrier_) {
    if (!same(threads_[i].place, first))
      throw Violation("threads of a block wait at different barriers: " + text(first) + " and " +
                      text(threads_[i].place));
  }
  for (const size_t i : at_barrier_) release(i);
  at_barrier_.clear();
}

// Once all lanes of the mask have come, each gets the value of its source.
void Block::release_lanes(size_t arrived) {
  const size_t warp = arrived / warp_size * warp_size;
  const Thread& first = threads_[arrived];
  if ((first.mask >> (arrived - warp) & 1u) == 0)
    throw Violation("a lane is not in its own mask at " + text(first.place));
  for (unsigned lane = 0; lane < warp_size; ++lane) {
    if ((first.mask >> lane & 1u) == 0) continue;
    if (warp + lane >= threads_.size() || threads_[warp + lane].waits == Waits::ended)
      throw Violation("a mask names a lane that has ended or never was, at " + text(first.place));
    const Thread& other = threads_[warp + lane];
    if (other.waits != Waits::for_lanes) return;
    if (other.mask != first.mask || !same(other.place, first.place))
      throw Violation("lanes of one mask are at different places or have different masks: " +
                      text(first.place) + " and " + text(other.place));
  }
  const unsigned mask = first.mask;
  std::array<uint64_t, warp_size> values{};
  for (unsigned lane = 0; lane < warp_size; ++lane)
    values[lane] = (mask >> lane & 1u) != 0 ? threads_[warp + lane].value : nothing;
  for (unsigned lane = 0; lane < warp_size; ++lane) {
    if ((mask >> lane & 1u) == 0) continue;
    Thread& thread = threads_[warp + lane];
    thread.value = values[thread.source % warp_size];
    release(warp + lane);
  }
}

void Block::nobody_can_go_on() const {
  std::string message = "the threads of a block wait for each other for ever:";
  const Place* last = nullptr;
  for (const Thread& thread : threads_) {
    if (thread.waits == Waits::ended || (last != nullptr && same(*last, thread.place))) continue;
    last = &thread.place;
    message +=
        std::string(thread.waits == Waits::at_barrier ? " at the barrier " : " for lanes at ") +
        text(thread.place);
  }
  throw Violation(message);
}

// Threads that still wait when a rule is broken are brought to an end one by one: the sanitizer
// does not bear that a stack is unwound from another one.
void Block::run() {
  try {
    run_threads();
  } catch (const Violation& violation) {
    abandoned_ = true;
    broken_ = violation.what();
  }
  if (!abandoned_) return;
  for (size_t i = 0; i < threads_.size(); ++i) {
    if (threads_[i].fiber) resume(i);
  }
  throw Violation(broken_);
}

void Block::run_threads() {
  while (alive_ > 0) {
    if (ready_.empty()) nobody_can_go_on();
    std::swap(ready_[generator()() % ready_.size()], ready_.back());
    const size_t i = ready_.back();
    ready_.pop_back();
    resume(i);
    switch (threads_[i].waits) {
      case Waits::ended:
        --alive_;
        break;
      case Waits::at_barrier:
        at_barrier_.push_back(i);
        break;
      case Waits::for_lanes:
        release_lanes(i);
        break;
      case Waits::no:
        break;
    }
    if (!at_barrier_.empty() && at_barrier_.size() == alive_) release_barrier();
  }
}

uint64_t Block::exchange(unsigned mask, uint64_t value, unsigned source, const Place& place) {
  Thread& thread = threads_[running_];
  thread.mask = mask;
  thread.source = source;
  thread.value = value;
  wait(Waits::for_lanes, place);
  return thread.value;
}

}  // namespace

void set_seed(uint64_t seed) { generator().seed(seed); }

void run_grid(const dim3& blocks, const dim3& threads, const std::function<void()>& thread) {
  const size_t per_block = size_t{threads.x} * threads.y * threads.z;
  if (per_block == 0 || per_block > 1024 || threads.z > 64 || blocks.x == 0 || blocks.y == 0 ||
      blocks.z == 0 || blocks.x > 0x7fffffffu || blocks.y > 65535 || blocks.z > 65535)
    throw Violation("a grid's size is 0 or beyond what the hardware takes");  // table 21
  blockDim = threads;
  gridDim = blocks;
  for (unsigned z = 0; z < blocks.z; ++z) {
    for (unsigned y = 0; y < blocks.y; ++y) {
      for (unsigned x = 0; x < blocks.x; ++x) {
        blockIdx = {x, y, z};
        Block block(threads, thread);
        block_now = &block;
        block.run();
        block_now = nullptr;
      }
    }
  }
}

void barrier(const Place& place) { block_now->wait(Waits::at_barrier, place); }

uint64_t exchange(unsigned mask, uint64_t value, unsigned source, const Place& place) {
  return block_now->exchange(mask, value, source, place);
}

unsigned lane() { return static_cast<unsigned>(block_now->running() % warp_size); }

}  // namespace simt
