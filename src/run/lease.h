// Lease: that one program at a time works on a run or an output, whatever hosts they are on and
// however the last one ended. A file `<what>.lease` says who works there and counts its heartbeats;
// no clock is compared.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "run/attempts.h"

namespace lacuna {

// Beside it, wherever links lead: one place has one lease, however it is written.
std::filesystem::path lease_file(const std::filesystem::path& what);

struct LeaseTimes {
  double beat = 5;     // seconds between two heartbeats
  double expiry = 30;  // without one, the holder is gone
};

// Who holds a lease, as its file says.
struct LeaseHolder {
  Runner runner;
  int64_t beats = 0;
};
// None where there is no lease, or its file is being made.
std::optional<LeaseHolder> read_lease(const std::filesystem::path& what);

// Kept by one rank.
class Lease {
 public:
  // Whether a holder is known not to live: SLURM has restarted its job, which is ours, or it was a
  // process of this host.
  static bool is_gone(const Runner& holder, const Runner& here);

  using Say = std::function<void(const std::string&)>;

  // Takes the lease, at once where it is free or its holder is gone. Otherwise watches the holder,
  // which `say` is told: Error bad_input when its heart beats; taken over when it does not for the
  // expiry. With
  // `make_folders`, those above `what` are made, and go again if nothing else came into them.
  // `lost`: called by another thread when somebody else has taken over, after which nothing may be
  // written.
  Lease(std::filesystem::path what, bool make_folders, const Say& say,
        std::function<void(const std::string&)> lost, LeaseTimes times = {});
  // Gives it back.
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

 private:
  void take(const Say& say);
  bool watch(const LeaseHolder& holder, const Say& say) const;
  bool create() const;
  bool overwrite() const;
  // What a text is called until it is whole, with this process behind it.
  std::filesystem::path beats_prefix() const;
  bool is_mine() const;
  void beat();
  std::string text() const;

  std::filesystem::path what_, file_;
  std::function<void(const std::string&)> lost_;
  LeaseTimes times_;
  Runner runner_;
  int64_t beats_ = 0;
  std::filesystem::path made_;  // the outermost folder that was made for the file
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace lacuna
