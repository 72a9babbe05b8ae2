#include "data/load/loader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "data/load/block_reader.h"

namespace lacuna {

namespace {

constexpr int64_t most_items_ahead = 1 << 17;

// Adds the time of its scope.
class ScopedTimer {
 public:
  explicit ScopedTimer(std::atomic<int64_t>& total) : total_(total) {}
  ~ScopedTimer() {
    const auto spent = std::chrono::steady_clock::now() - begin_;
    total_ += std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count();
  }

 private:
  std::atomic<int64_t>& total_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

struct Job;

// A block in memory, or on its way there.
struct Resident {
  int64_t number = 0;
  BlockRows rows;
  int64_t bytes = 0;
  size_t tasks_left = 0;
  bool ready = false;
  int pins = 0;   // planned batches that are not made yet
  int holds = 0;  // windows of lanes that still need it
  std::vector<Job*> waiting;
  bool idle() const { return pins == 0 && holds == 0; }
};

// A batch from plan to consumption.
struct Job {
  int64_t position = 0, count = 0;
  std::vector<Item> items;
  std::vector<Resident*> of_item;
  std::unordered_set<Resident*> pinned;
  Batch batch;
  size_t blocks_missing = 0;
  size_t pieces_left = 0;
  bool started = false, done = false;
};

struct LaneWindow {
  int64_t epoch = -1, window = -1;
  std::unordered_set<Resident*> blocks;
};

}  // namespace

class Loader::Pipeline {
 public:
  Pipeline(const Dataset& dataset, std::unique_ptr<Sampler> sampler, RecipePointer recipe,
           const LoaderOptions& options);
  ~Pipeline();
  std::optional<Batch> next();
  LoaderTimes times() const;

 private:
  using Guard = std::unique_lock<std::mutex>;

  std::unique_ptr<Job> plan();
  void pin(Job& job, Resident& block);
  void pin_residents(Job& job);
  void enter_windows(const Job& job);
  std::vector<int64_t> missing_blocks(const Job& job) const;
  int64_t block_bytes(int64_t number) const;
  bool make_room(int64_t bytes);
  std::vector<Resident*> adopt(Job& job, const std::vector<int64_t>& missing);
  void unpin(Job& job);
  void release(Resident& block);
  Batch empty_batch(const Job& job) const;
  void make_rows(Job& job, size_t first, size_t last, Scratch& scratch);
  size_t rows_per_piece(const Job& job) const;

  std::optional<Batch> next_here();
  std::optional<Batch> next_from_workers();

  void plan_and_read();  // the thread that calls HDF5
  void work();           // a worker
  void load(Resident& block);
  void weigh(Resident& block);
  void completed(Resident& block);
  void start_ready_jobs();
  void fail();
  bool may_plan() const;

  const Dataset& dataset_;
  std::unique_ptr<Sampler> sampler_;
  RecipePointer recipe_;
  LoaderOptions options_;
  BlockReader reader_;
  int64_t position_;
  int64_t end_;
  int64_t budget_;  // bytes of blocks

  mutable std::mutex mutex_;
  std::condition_variable for_planner_, for_workers_, for_consumer_;
  std::unordered_map<int64_t, std::unique_ptr<Resident>> resident_;
  std::deque<int64_t> idle_;  // numbers of blocks, longest idle first; entries may be out of date
  int64_t resident_bytes_ = 0;
  std::vector<BlockRows> spare_;  // memory of blocks that went, for those that come
  std::vector<LaneWindow> lanes_;
  std::deque<std::unique_ptr<Job>> jobs_;
  // The planner's own until it joins jobs_; a member because blocks on their way point to it, also
  // when the planner stops.
  std::unique_ptr<Job> planned_;
  int64_t items_ahead_ = 0;
  int jobs_pinning_ = 0;
  struct LoadTask {
    Resident* block;
    BlockReader::Task task;
  };
  struct RowPiece {
    Job* job;
    size_t first, last;
  };
  std::deque<LoadTask> loads_;
  std::deque<RowPiece> pieces_;
  bool planned_all_ = false;
  bool stop_ = false;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;

  std::atomic<int64_t> read_ns_{0}, make_ns_{0}, wait_ns_{0};
};

Loader::Pipeline::Pipeline(const Dataset& dataset, std::unique_ptr<Sampler> sampler,
                           RecipePointer recipe, const LoaderOptions& options)
    : dataset_(dataset),
      sampler_(std::move(sampler)),
      recipe_(std::move(recipe)),
      options_(options),
      reader_(dataset, chunk_cache_of(options.buffer), options.copies),
      position_(options.position),
      end_(std::min(options.end, sampler_->end())),
      budget_(blocks_of(options.buffer)) {
  LACUNA_CHECK(options.batch > 0 && options.threads > 0 && options.prefetch > 0);
  if (options_.workers == 0) return;
  threads_.emplace_back([this] { plan_and_read(); });
  for (int i = 0; i < options_.workers; ++i) threads_.emplace_back([this] { work(); });
}

Loader::Pipeline::~Pipeline() {
  {
    const Guard guard(mutex_);
    stop_ = true;
  }
  for_planner_.notify_all();
  for_workers_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

LoaderTimes Loader::Pipeline::times() const {
  const auto seconds = [](const std::atomic<int64_t>& ns) {
    return static_cast<double>(ns) * 1e-9;
  };
  return {seconds(read_ns_), seconds(make_ns_), seconds(wait_ns_)};
}

// ---- planning: the items of a batch, its blocks, and which blocks may go

std::unique_ptr<Job> Loader::Pipeline::plan() {
  if (position_ >= end_) return nullptr;
  auto job = std::make_unique<Job>();
  job->position = position_;
  job->count = std::min(options_.batch, end_ - position_);
  job->items = sampler_->items(position_, job->count, options_.rank, options_.ranks);
  position_ += job->count;
  return job;
}

// The blocks of the job that are in memory already stay until it is made.
void Loader::Pipeline::pin(Job& job, Resident& block) {
  if (!job.pinned.insert(&block).second) return;
  ++block.pins;
  if (!block.ready) {
    ++job.blocks_missing;
    block.waiting.push_back(&job);
  }
}

void Loader::Pipeline::pin_residents(Job& job) {
  for (const Item& item : job.items) {
    const auto found = resident_.find(item.block);
    if (found != resident_.end()) pin(job, *found->second);
  }
}

// A lane that comes to its next window no longer needs the blocks of the one before.
void Loader::Pipeline::enter_windows(const Job& job) {
  for (const Item& item : job.items) {
    const auto lane = static_cast<size_t>(item.lane);
    if (lane >= lanes_.size()) lanes_.resize(lane + 1);
    LaneWindow& now = lanes_[lane];
    if (now.epoch == item.epoch && now.window == item.window) continue;
    for (Resident* block : now.blocks) {
      --block->holds;
      release(*block);
    }
    now = {item.epoch, item.window, {}};
  }
}

std::vector<int64_t> Loader::Pipeline::missing_blocks(const Job& job) const {
  std::vector<int64_t> missing;  // in the order in which the batch needs them
  std::unordered_set<int64_t> seen;
  for (const Item& item : job.items) {
    if (!resident_.contains(item.block) && seen.insert(item.block).second) {
      missing.push_back(item.block);
    }
  }
  return missing;
}

int64_t Loader::Pipeline::block_bytes(int64_t number) const { return dataset_.block_bytes(number); }

// Lets idle blocks go until `bytes` more fit; false if they do not.
bool Loader::Pipeline::make_room(int64_t bytes) {
  while (resident_bytes_ + bytes > budget_ && !idle_.empty()) {
    const auto found = resident_.find(idle_.front());
    idle_.pop_front();
    if (found == resident_.end() || !found->second->idle() || !found->second->ready) continue;
    resident_bytes_ -= found->second->bytes;
    spare_.push_back(std::move(found->second->rows));
    resident_.erase(found);
  }
  return resident_bytes_ + bytes <= budget_;
}

// Makes the missing blocks resident, pins them, and ties all blocks to their lanes' windows;
// returns those that are to be loaded.
std::vector<Resident*> Loader::Pipeline::adopt(Job& job, const std::vector<int64_t>& missing) {
  std::vector<Resident*> to_load;
  for (const int64_t number : missing) {
    auto block = std::make_unique<Resident>();
    block->number = number;
    block->bytes = block_bytes(number);
    resident_bytes_ += block->bytes;
    if (!spare_.empty()) {
      block->rows = std::move(spare_.back());
      spare_.pop_back();
    }
    pin(job, *block);
    to_load.push_back(block.get());
    resident_.emplace(number, std::move(block));
  }
  spare_.clear();
  for (const Item& item : job.items) {
    Resident* block = resident_.at(item.block).get();
    job.of_item.push_back(block);
    LaneWindow& lane = lanes_[static_cast<size_t>(item.lane)];
    const bool current = lane.epoch == item.epoch && lane.window == item.window;
    if (current && lane.blocks.insert(block).second) ++block->holds;
  }
  ++jobs_pinning_;
  return to_load;
}

void Loader::Pipeline::release(Resident& block) {
  if (block.idle()) idle_.push_back(block.number);
}

void Loader::Pipeline::unpin(Job& job) {
  for (Resident* block : job.pinned) {
    --block->pins;
    release(*block);
  }
  job.pinned.clear();
  --jobs_pinning_;
}

// ---- rows

Batch Loader::Pipeline::empty_batch(const Job& job) const {
  Batch batch;
  batch.position = job.position;
  batch.global_count = job.count;
  batch.epoch = job.position / sampler_->samples();
  for (const Item& item : job.items) {
    batch.samples.push_back(item.sample);
    batch.keys.push_back(
        {options_.seed, static_cast<uint64_t>(item.epoch), static_cast<uint64_t>(item.sample)});
    batch.rows.push_back(item.row);
  }
  for (size_t i = 0; i < job.items.size() && dataset_.has_extents(0); ++i) {
    const Item& item = job.items[i];
    batch.at.push_back(
        job.of_item[i]->rows.in_file(0, item.sample - dataset_.block(item.block).first));
  }
  for (const OutputField& field : recipe_->outputs()) {
    batch.add(field.name, HostTensor(field.dtype, field.shape.behind(batch.local_count())));
  }
  return batch;
}

void Loader::Pipeline::make_rows(Job& job, size_t first, size_t last, Scratch& scratch) {
  const ScopedTimer timer(make_ns_);
  const std::vector<OutputField>& outputs = recipe_->outputs();
  std::vector<Extent> stored(dataset_.fields().size());
  std::vector<void*> to(outputs.size());
  for (size_t i = first; i < last; ++i) {
    const Item& item = job.items[i];
    const Resident& block = *job.of_item[i];
    const int64_t row = item.sample - dataset_.block(item.block).first;
    for (size_t f = 0; f < stored.size(); ++f) {
      stored[f] = block.rows.extent(f, row);
    }
    for (size_t o = 0; o < to.size(); ++o) {
      const auto bytes = static_cast<size_t>(outputs[o].shape.count()) * size_of(outputs[o].dtype);
      to[o] = static_cast<std::byte*>(job.batch.field(o).data()) + i * bytes;
    }
    recipe_->make(stored, job.batch.keys[i], to, scratch);
  }
}

// Several pieces for each thread, so that all end at about the same time.
size_t Loader::Pipeline::rows_per_piece(const Job& job) const {
  const auto threads = static_cast<size_t>(std::max(options_.workers, options_.threads));
  return std::clamp<size_t>(job.items.size() / (8 * threads), 1, 64);
}

// ---- without workers: next() does it all

std::optional<Batch> Loader::Pipeline::next_here() {
  const ScopedTimer timer(wait_ns_);
  std::unique_ptr<Job> job = plan();
  if (!job) return std::nullopt;
  pin_residents(*job);
  enter_windows(*job);
  const std::vector<int64_t> missing = missing_blocks(*job);
  int64_t bytes = 0;
  for (const int64_t number : missing) bytes += block_bytes(number);
  make_room(bytes);
  const std::vector<Resident*> to_load = adopt(*job, missing);
  {
    const ScopedTimer reading(read_ns_);
    std::vector<BlockReader::Task> tasks;
    for (Resident* block : to_load) {
      for (BlockReader::Task& task : reader_.start(block->number, block->rows)) {
        tasks.push_back(std::move(task));
      }
    }
    run_tasks(tasks, options_.threads);
    for (Resident* block : to_load) {
      reader_.finish(block->number, block->rows);
      weigh(*block);
      block->ready = true;
      block->waiting.clear();
    }
  }
  job->batch = empty_batch(*job);
  const size_t step = rows_per_piece(*job);
  const auto pieces = static_cast<int64_t>((job->items.size() + step - 1) / step);
  std::exception_ptr error;
  std::mutex error_mutex;
#pragma omp parallel num_threads(options_.threads) if (options_.threads > 1 && pieces > 1)
  {
    Scratch scratch;
#pragma omp for schedule(dynamic)
    for (int64_t p = 0; p < pieces; ++p) {
      try {
        const size_t first = static_cast<size_t>(p) * step;
        make_rows(*job, first, std::min(first + step, job->items.size()), scratch);
      } catch (...) {
        const Guard guard(error_mutex);
        if (!error) error = std::current_exception();
      }
    }
  }
  if (error) std::rethrow_exception(error);
  unpin(*job);
  return std::move(job->batch);
}

// ---- with workers

std::optional<Batch> Loader::Pipeline::next_from_workers() {
  const ScopedTimer timer(wait_ns_);
  Guard guard(mutex_);
  for_consumer_.wait(
      guard, [&] { return error_ || (jobs_.empty() ? planned_all_ : jobs_.front()->done); });
  if (error_) std::rethrow_exception(error_);
  if (jobs_.empty()) return std::nullopt;
  const std::unique_ptr<Job> job = std::move(jobs_.front());
  jobs_.pop_front();
  items_ahead_ -= static_cast<int64_t>(job->items.size());
  start_ready_jobs();
  for_planner_.notify_one();
  return std::move(job->batch);
}

std::optional<Batch> Loader::Pipeline::next() {
  return options_.workers == 0 ? next_here() : next_from_workers();
}

bool Loader::Pipeline::may_plan() const {
  return static_cast<int64_t>(jobs_.size()) <= options_.prefetch || items_ahead_ < most_items_ahead;
}

void Loader::Pipeline::plan_and_read() {
  try {
    for (;;) {
      planned_ = plan();
      std::vector<Resident*> to_load;
      {
        Guard guard(mutex_);
        if (!planned_) {
          planned_all_ = true;
          for_consumer_.notify_all();
          return;
        }
        for_planner_.wait(guard, [&] { return stop_ || error_ || may_plan(); });
        pin_residents(*planned_);
        enter_windows(*planned_);
        const std::vector<int64_t> missing = missing_blocks(*planned_);
        int64_t bytes = 0;
        for (const int64_t number : missing) bytes += block_bytes(number);
        for_planner_.wait(
            guard, [&] { return stop_ || error_ || make_room(bytes) || jobs_pinning_ == 0; });
        if (stop_ || error_) return;
        to_load = adopt(*planned_, missing);
        items_ahead_ += static_cast<int64_t>(planned_->items.size());
        jobs_.push_back(std::move(planned_));
        if (to_load.empty()) start_ready_jobs();
      }
      for (Resident* block : to_load) load(*block);
    }
  } catch (...) {
    fail();
  }
}

// Reads what the library must read, and hands the rest to the workers.
void Loader::Pipeline::load(Resident& block) {
  std::vector<BlockReader::Task> tasks;
  {
    const ScopedTimer timer(read_ns_);
    tasks = reader_.start(block.number, block.rows);
    if (tasks.empty()) reader_.finish(block.number, block.rows);
  }
  const Guard guard(mutex_);
  block.tasks_left = tasks.size();
  if (tasks.empty()) completed(block);
  for (BlockReader::Task& task : tasks) loads_.push_back({&block, std::move(task)});
  for_workers_.notify_all();
}

// What a block takes is known when its offsets are read.
void Loader::Pipeline::weigh(Resident& block) {
  const int64_t bytes = block.rows.bytes();
  resident_bytes_ += bytes - block.bytes;
  block.bytes = bytes;
}

void Loader::Pipeline::completed(Resident& block) {
  weigh(block);
  block.ready = true;
  for (Job* job : block.waiting) --job->blocks_missing;
  block.waiting.clear();
  start_ready_jobs();
}

void Loader::Pipeline::start_ready_jobs() {
  int ahead = 0;
  for (const std::unique_ptr<Job>& job : jobs_) {
    if (++ahead > options_.prefetch + 1) return;
    if (job->started) continue;
    if (job->blocks_missing > 0) return;  // in order, so that the first is never starved
    job->started = true;
    job->batch = empty_batch(*job);
    const size_t step = rows_per_piece(*job);
    job->pieces_left = (job->items.size() + step - 1) / step;
    for (size_t first = 0; first < job->items.size(); first += step) {
      pieces_.push_back({job.get(), first, std::min(first + step, job->items.size())});
    }
    if (job->pieces_left == 0) {
      job->done = true;
      unpin(*job);
      for_consumer_.notify_all();
    }
    for_workers_.notify_all();
  }
}

void Loader::Pipeline::work() {
  ReadScratch read_scratch;
  Scratch row_scratch;
  try {
    Guard guard(mutex_);
    for (;;) {
      for_workers_.wait(guard,
                        [&] { return stop_ || error_ || !pieces_.empty() || !loads_.empty(); });
      if (stop_ || error_) return;
      if (!pieces_.empty()) {
        const RowPiece piece = pieces_.front();
        pieces_.pop_front();
        guard.unlock();
        make_rows(*piece.job, piece.first, piece.last, row_scratch);
        guard.lock();
        if (--piece.job->pieces_left == 0) {
          piece.job->done = true;
          unpin(*piece.job);
          for_consumer_.notify_all();
          for_planner_.notify_all();
        }
      } else {
        const LoadTask load = std::move(loads_.front());
        loads_.pop_front();
        guard.unlock();
        {
          const ScopedTimer timer(read_ns_);
          load.task.run(read_scratch);
        }
        guard.lock();
        if (--load.block->tasks_left == 0) {
          guard.unlock();
          reader_.finish(load.block->number, load.block->rows);
          guard.lock();
          completed(*load.block);
        }
      }
    }
  } catch (...) {
    fail();
  }
}

void Loader::Pipeline::fail() {
  const Guard guard(mutex_);
  if (!error_) error_ = std::current_exception();
  for_planner_.notify_all();
  for_workers_.notify_all();
  for_consumer_.notify_all();
}

Loader::Loader(const Dataset& dataset, std::unique_ptr<Sampler> sampler, RecipePointer recipe,
               const LoaderOptions& options)
    : pipeline_(
          std::make_unique<Pipeline>(dataset, std::move(sampler), std::move(recipe), options)) {}

Loader::~Loader() = default;

std::optional<Batch> Loader::next() { return pipeline_->next(); }

LoaderTimes Loader::times() const { return pipeline_->times(); }

}  // namespace lacuna
