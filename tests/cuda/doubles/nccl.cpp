// NCCL between the threads of one process. A call puts two things on its stream: what brings this
// rank's operand, and what goes on once all ranks have brought theirs. As in NCCL, ranks must make
// the same calls in the same order (NCCL User Guide, "Collective operations"); others are errors.
#include "nccl.h"

#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<char>;

struct Round {
  std::string call;
  std::vector<std::unique_ptr<Bytes>> brought;  // by rank
  int taken = 0;
};

// What the ranks of one communicator share.
struct Meeting {
  std::mutex mutex;
  int ranks = 0;
  std::map<uint64_t, Round> rounds;

  void bring(uint64_t number, int rank, const std::string& call, const void* data, size_t bytes) {
    const std::lock_guard lock(mutex);
    Round& round = rounds[number];
    if (round.brought.empty()) {
      round.call = call;
      round.brought.resize(static_cast<size_t>(ranks));
    }
    if (round.call != call)
      throw cuda_double::Violation("ranks call different collectives: " + round.call + " and " +
                                   call);
    const char* first = static_cast<const char*>(data);
    round.brought[static_cast<size_t>(rank)] = std::make_unique<Bytes>(first, first + bytes);
  }
  bool complete(uint64_t number) {
    const std::lock_guard lock(mutex);
    for (const auto& part : rounds[number].brought) {
      if (part == nullptr) return false;
    }
    return !rounds[number].brought.empty();
  }
  template <typename Use>
  void take(uint64_t number, const Use& use) {
    const std::lock_guard lock(mutex);
    use(rounds[number].brought);
    if (++rounds[number].taken == ranks) rounds.erase(number);
  }
};

std::mutex& registry_mutex() {
  static std::mutex instance;
  return instance;
}
std::map<int, std::weak_ptr<Meeting>>& registry() {
  static std::map<int, std::weak_ptr<Meeting>> instance;
  return instance;
}
std::atomic<bool> rank_is_lost = false;

size_t size_of(ncclDataType_t type) { return type == ncclInt8 ? 1 : type == ncclFloat32 ? 4 : 8; }

template <typename T>
void add(void* to, const void* from, size_t count) {
  T* sum = static_cast<T*>(to);
  const T* term = static_cast<const T*>(from);
  for (size_t i = 0; i < count; ++i) sum[i] += term[i];
}

void add(void* to, const Bytes& from, ncclDataType_t type) {
  const size_t count = from.size() / size_of(type);
  if (type == ncclFloat32) add<float>(to, from.data(), count);
  if (type == ncclFloat64) add<double>(to, from.data(), count);
  if (type == ncclInt64) add<int64_t>(to, from.data(), count);
}

}  // namespace

struct ncclComm {
  std::shared_ptr<Meeting> meeting;
  int rank = 0;
  std::shared_ptr<uint64_t> calls = std::make_shared<uint64_t>(0);  // that have run on the device
  std::shared_ptr<int> recorded = std::make_shared<int>(0);  // with a use for each recorded call
  cudaStream_t own = nullptr;                                // of a planted fault
};

namespace {

using Parts = std::vector<std::unique_ptr<Bytes>>;

void put(ncclComm_t comm, cudaStream_t stream, const std::string& call, const void* from,
         size_t bytes, void* to, size_t to_bytes, std::function<void(const Parts&)> use) {
  if ((from != nullptr && !cuda_double::is_device_memory(from, bytes)) ||
      (to != nullptr && !cuda_double::is_device_memory(to, to_bytes)))
    throw cuda_double::Violation("a collective was given memory that is not the device's");
  if (cuda_double::planted() == cuda_double::Fault::stream_of_sums &&
      call.rfind("all_reduce", 0) == 0) {
    if (comm->own == nullptr) cudaStreamCreateWithFlags(&comm->own, cudaStreamNonBlocking);
    stream = comm->own;
  }
  const auto calls = comm->calls;
  const auto number =
      std::make_shared<uint64_t>(0);  // told when it runs: a recorded call runs often
  const auto meeting = comm->meeting;
  const auto use_of_recording = cuda_double::is_recorded(stream) ? comm->recorded : nullptr;
  const int rank = comm->rank;
  cuda_double::enqueue(stream, "a collective", [=] {
    *number = (*calls)++;
    meeting->bring(*number, rank, call, from, from == nullptr ? 0 : bytes);
  });
  cuda_double::enqueue_when(
      stream, "a collective", [=] { return meeting->complete(*number); },
      [=, use = std::move(use)] {
        (void)use_of_recording;
        meeting->take(*number, use);
      });
}

std::string text(const char* name, size_t count, ncclDataType_t type, int root = -1) {
  return std::string(name) + " of " + std::to_string(count) + " of type " + std::to_string(type) +
         " root " + std::to_string(root);
}

}  // namespace

namespace cuda_double {
void lose_a_rank(bool yes) { rank_is_lost = yes; }
}  // namespace cuda_double

extern "C" {

const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclRemoteError ? "remote process exited or there was a network error"
                                   : "no error";
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static std::atomic<int> next = 0;
  const int number = ++next;
  std::memcpy(id->internal, &number, sizeof(number));
  return ncclSuccess;
}
ncclResult_t ncclCommInitRank(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank) {
  int number = 0;
  std::memcpy(&number, id.internal, sizeof(number));
  const std::lock_guard lock(registry_mutex());
  auto meeting = registry()[number].lock();
  if (meeting == nullptr) {
    meeting = std::make_shared<Meeting>();
    meeting->ranks = ranks;
    registry()[number] = meeting;
  }
  *comm = new ncclComm;
  (*comm)->meeting = meeting;
  (*comm)->rank = rank;
  return ncclSuccess;
}
// NCCL User Guide, "Using NCCL with CUDA Graphs": it waits until the graphs that hold the
// communicator are gone.
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  cuda_double::finish_all();  // what was launched holds it as well
  if (comm->recorded.use_count() > 1)
    throw cuda_double::Violation(
        "a communicator is destroyed while a recorded step holds it: NCCL waits for ever");
  if (comm->own != nullptr) cudaStreamDestroy(comm->own);
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* error) {
  *error = rank_is_lost ? ncclRemoteError : ncclSuccess;
  return ncclSuccess;
}
ncclResult_t ncclGroupStart() { return ncclSuccess; }
ncclResult_t ncclGroupEnd() { return ncclSuccess; }

ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, ncclDataType_t type,
                           ncclRedOp_t, ncclComm_t comm, cudaStream_t stream) {
  const size_t bytes = count * size_of(type);
  put(comm, stream, text("all_reduce", count, type), from, bytes, to, bytes,
      [=](const Parts& parts) {
        std::memset(to, 0, bytes);
        for (const auto& part : parts) add(to, *part, type);
      });
  return ncclSuccess;
}
ncclResult_t ncclReduce(const void* from, void* to, size_t count, ncclDataType_t type, ncclRedOp_t,
                        int root, ncclComm_t comm, cudaStream_t stream) {
  const size_t bytes = count * size_of(type);
  const bool mine = comm->rank == root;
  put(comm, stream, text("reduce", count, type, root), from, bytes, mine ? to : nullptr, bytes,
      [=](const Parts& parts) {
        if (!mine) return;
        std::memset(to, 0, bytes);
        for (const auto& part : parts) add(to, *part, type);
      });
  return ncclSuccess;
}
ncclResult_t ncclAllGather(const void* from, void* to, size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  const size_t bytes = count * size_of(type);
  const auto ranks = static_cast<size_t>(comm->meeting->ranks);
  put(comm, stream, text("all_gather", count, type), from, bytes, to, bytes * ranks,
      [=](const Parts& parts) {
        for (size_t r = 0; r < parts.size(); ++r)
          std::memcpy(static_cast<char*>(to) + r * bytes, parts[r]->data(), bytes);
      });
  return ncclSuccess;
}
// Only root's operand is read.
ncclResult_t ncclBroadcast(const void* from, void* to, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  const size_t bytes = count * size_of(type);
  put(comm, stream, text("broadcast", count, type, root), comm->rank == root ? from : nullptr,
      bytes, to, bytes, [=](const Parts& parts) {
        std::memcpy(to, parts[static_cast<size_t>(root)]->data(), bytes);
      });
  return ncclSuccess;
}
}
