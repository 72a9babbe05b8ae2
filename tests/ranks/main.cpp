#define CATCH_CONFIG_RUNNER
#include "ranks/world.h"

#include <catch2/catch.hpp>

#include <cstdio>
#include <optional>

namespace lacuna {
namespace {

std::optional<MpiSession> the_session;
std::unique_ptr<Communicator> the_world;

// Other ranks would wait for the one that failed.
class EndAllRanks : public Catch::TestEventListenerBase {
 public:
  using TestEventListenerBase::TestEventListenerBase;
  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    if (stats.totals.assertions.failed == 0) return;
    std::fprintf(stderr, "rank %d of %d failed in: %s\n", session().rank(), session().size(),
                 stats.testInfo.name.c_str());
    session().abort_all(ExitStatus::failed);
  }
};
CATCH_REGISTER_LISTENER(EndAllRanks)

}  // namespace

MpiSession& session() { return *the_session; }
Communicator& world() { return *the_world; }

}  // namespace lacuna

int main(int argc, char** argv) {
  using namespace lacuna;
  int failed = 0;
  try {
    the_session.emplace();
    the_world = mpi_communicator(*the_session);
    failed = Catch::Session().run(argc, argv);
  } catch (...) {
    the_world.reset();
    return end_after(std::current_exception(), the_session);
  }
  the_world.reset();
  the_session.reset();
  return failed;
}
