#include "backend/cuda/nccl_communicator.h"

#ifdef LACUNA_HAVE_NCCL
#include <nccl.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "base/error.h"

namespace lacuna {

namespace {

void check(ncclResult_t result, const char* doing) {
  if (result == ncclSuccess || result == ncclInProgress) return;
  throw Error(ExitStatus::failed, concat("NCCL fails at ", doing, ": ", ncclGetErrorString(result),
                                         "; NCCL_DEBUG=WARN says more"));
}

ncclDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return ncclFloat64;
    case DType::f32:
      return ncclFloat32;
    case DType::i64:
      return ncclInt64;
    default:
      break;
  }
  LACUNA_CHECK(false, "a sum of ", name_of(dtype));
  return ncclFloat32;
}

class DeviceCommunicator final : public NcclCommunicator {
 public:
  DeviceCommunicator(Communicator& host, const cuda::Stream& kernels, const cuda::Stream& stream,
                     double deadline)
      : host_(host), kernels_(kernels), stream_(stream), deadline_(deadline) {
    ncclUniqueId id{};
    if (host.rank() == 0) check(ncclGetUniqueId(&id), "starting");
    host.broadcast(&id, sizeof(id), 0).wait();
    check(ncclCommInitRank(&comm_, host.size(), id, host.rank()), "connecting the ranks");
  }
  // Collective over the ranks of a node (NCCL API, ncclCommDestroy): not where one has failed.
  ~DeviceCommunicator() override {
    if (comm_ != nullptr && !lost_ && !cuda::is_failing()) ncclCommDestroy(comm_);
  }

  int rank() const override { return host_.rank(); }
  int size() const override { return host_.size(); }

  Request all_gather(const void* mine, void* all, std::span<const size_t> bytes) override {
    return run("all_gather", [&] {
      if (std::adjacent_find(bytes.begin(), bytes.end(), std::not_equal_to<>()) == bytes.end()) {
        check(ncclAllGather(mine, all, bytes[0], ncclInt8, comm_, stream_.get()), "all_gather");
        return;
      }
      char* to = static_cast<char*>(all);
      for (size_t r = 0; r < bytes.size(); to += bytes[r++]) {
        if (bytes[r] == 0) continue;
        check(
            ncclBroadcast(mine, to, bytes[r], ncclInt8, static_cast<int>(r), comm_, stream_.get()),
            "all_gather");
      }
    });
  }
  Request all_reduce_sum(void* data, size_t count, DType dtype) override {
    const Term term{data, data, count};
    return all_reduce_sum({&term, 1}, dtype);
  }
  Request all_reduce_sum(std::span<const Term> terms, DType dtype) override {
    return run("all_reduce_sum", [&] {
      for (const Term& term : terms) {
        if (term.count == 0) continue;
        check(ncclAllReduce(term.from, term.to, term.count, type_of(dtype), ncclSum, comm_,
                            stream_.get()),
              "all_reduce_sum");
      }
    });
  }
  Request reduce_scatter_sum(const void* data, void* mine, std::span<const size_t> parts,
                             DType dtype) override {
    return run("reduce_scatter_sum", [&] {
      const auto* from = static_cast<const char*>(data);
      for (size_t r = 0; r < parts.size(); from += parts[r++] * size_of(dtype)) {
        if (parts[r] == 0) continue;
        check(ncclReduce(from, mine, parts[r], type_of(dtype), ncclSum, static_cast<int>(r), comm_,
                         stream_.get()),
              "reduce_scatter_sum");
      }
    });
  }
  Request scatter_sums(std::span<const Term> terms, DType dtype) override {
    return run("scatter_sums", [&] {
      for_slices(terms, dtype, [&](const Term& term, size_t first, size_t count, int rank) {
        check(ncclReduce(static_cast<const char*>(term.from) + first, term.to, count,
                         type_of(dtype), ncclSum, rank, comm_, stream_.get()),
              "scatter_sums");
      });
    });
  }
  Request gather_slices(std::span<const Term> terms, DType dtype) override {
    return run("gather_slices", [&] {
      for_slices(terms, dtype, [&](const Term& term, size_t first, size_t count, int rank) {
        check(ncclBroadcast(static_cast<const char*>(term.from) + first,
                            static_cast<char*>(term.to) + first, count, type_of(dtype), rank, comm_,
                            stream_.get()),
              "gather_slices");
      });
    });
  }
  Request broadcast(void* data, size_t bytes, int root) override {
    return run("broadcast", [&] {
      check(ncclBroadcast(data, data, bytes, ncclInt8, root, comm_, stream_.get()), "broadcast");
    });
  }
  void barrier() override { host_.barrier(); }

  void look_after(double seconds) override {
    if (lost_) return;
    ncclResult_t state = ncclSuccess;
    check(ncclCommGetAsyncError(comm_, &state), "asking for errors");
    if (state != ncclSuccess && state != ncclInProgress)
      give_up(concat("lost a rank (", ncclGetErrorString(state), ")"));
    if (seconds > deadline_) give_up(concat("waits for a rank since ", deadline_, " seconds"));
  }

 private:
  // The end of a collective on the stream; waiting holds the kernels back, not the host.
  class Done final : public Request::State {
   public:
    Done(DeviceCommunicator& owner, std::unique_ptr<cuda::Event> event)
        : owner_(owner), event_(std::move(event)) {}
    ~Done() override { owner_.spare_.push_back(std::move(event_)); }
    void wait() override { event_->hold(owner_.kernels_); }

   private:
    DeviceCommunicator& owner_;
    std::unique_ptr<cuda::Event> event_;
  };

  template <typename Issue>
  Request run(const char* name, const Issue& issue) {
    LACUNA_CHECK(!lost_, name, " after a rank was lost");
    auto event = take_event();
    event->record(kernels_);
    event->hold(stream_);
    check(ncclGroupStart(), name);
    issue();
    check(ncclGroupEnd(), name);
    event->record(stream_);
    return Request(std::make_unique<Done>(*this, std::move(event)));
  }
  // f(term, byte at which a rank's slice begins, its elements, rank). A reduction and a broadcast
  // for each, in one group, for slices may differ in length, and ncclReduceScatter's and
  // ncclAllGather's may not.
  template <typename F>
  void for_slices(std::span<const Term> terms, DType dtype, const F& f) const {
    for (const Term& term : terms) {
      for (int r = 0; r < size(); ++r) {
        const size_t begin = slice_begin(term.count, r, size());
        const size_t count = slice_begin(term.count, r + 1, size()) - begin;
        if (count > 0) f(term, begin * size_of(dtype), count, r);
      }
    }
  }
  std::unique_ptr<cuda::Event> take_event() {
    if (spare_.empty()) return std::make_unique<cuda::Event>();
    auto event = std::move(spare_.back());
    spare_.pop_back();
    return event;
  }

  // No ncclCommAbort: while a recorded step holds the communicator it would wait for ever (NCCL
  // User Guide, "Using NCCL with CUDA Graphs"). What the device still waits for ends with the
  // process.
  [[noreturn]] void give_up(const std::string& why) {
    lost_ = true;
    throw Error(ExitStatus::lost_rank,
                concat("NCCL ", why, "; see that all ranks and their network ",
                       "are well, then continue the run"));
  }

  Communicator& host_;
  const cuda::Stream& kernels_;
  const cuda::Stream& stream_;
  double deadline_;
  ncclComm_t comm_ = nullptr;
  bool lost_ = false;  // given up
  std::vector<std::unique_ptr<cuda::Event>> spare_;
};

}  // namespace

std::unique_ptr<NcclCommunicator> nccl_communicator(Communicator& host, const cuda::Stream& kernels,
                                                    const cuda::Stream& stream, double deadline) {
  return std::make_unique<DeviceCommunicator>(host, kernels, stream, deadline);
}

}  // namespace lacuna
#else
namespace lacuna {

std::unique_ptr<NcclCommunicator> nccl_communicator(Communicator&, const cuda::Stream&,
                                                    const cuda::Stream&, double) {
  return nullptr;
}

}  // namespace lacuna
#endif
