#include "comm/mpi_session.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/stop_signals.h"
#include "comm/agree.h"

namespace lacuna {

std::string mpi_error_text(int code) {
  char text[MPI_MAX_ERROR_STRING + 1] = {};
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) return concat("error ", code);
  return {text, static_cast<size_t>(length)};
}

// The first line or sentence of what the library says.
std::string mpi_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);  // allowed before MPI_Init
  const std::string all(text.data());
  return all.substr(0, all.find_first_of(",\n"));
}

void check_mpi(int code, const char* call) {
  if (code != MPI_SUCCESS) {
    throw Error(ExitStatus::failed, concat(call, " failed: ", mpi_error_text(code)));
  }
}

namespace {

int number_in(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? 0 : std::atoi(value);
}

}  // namespace

int processes_launched() {
  int most = 0;
  for (const char* name : {"PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS"}) {
    most = std::max(most, number_in(name));
  }
  if (most == 0) most = number_in("SLURM_STEP_NUM_TASKS");
  if (most == 0 && std::getenv("PMIX_RANK") != nullptr) most = 1;
  return most;
}

namespace {

int lowest_rank_on_node(int rank) {
  MPI_Comm node = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node),
            "MPI_Comm_split_type");
  int leader = rank;
  check_mpi(MPI_Allreduce(&rank, &leader, 1, MPI_INT, MPI_MIN, node), "MPI_Allreduce");
  MPI_Comm_free(&node);
  return leader;
}

}  // namespace

MpiSession::MpiSession() : impl_(std::make_unique<Impl>()) {
  const int started = processes_launched();  // before MPI sets variables of its own
  int level = 0;
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level), "MPI_Init_thread");
  if (level < MPI_THREAD_SERIALIZED) {
    MPI_Finalize();
    throw Error(
        ExitStatus::failed,
        "this MPI was built without MPI_THREAD_SERIALIZED, which Lacuna needs: use a build of "
        "MPI with thread support");
  }
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &impl_->rank);
  MPI_Comm_size(MPI_COMM_WORLD, &impl_->size);
  impl_->exceptions_at_start = std::uncaught_exceptions();
  impl_->launched = started > 0 || impl_->size > 1;
  if (impl_->size == 1 && started > 1) {
    MPI_Finalize();
    bad_input("the launcher started ", started,
              " processes, but each sees only itself: it belongs to another MPI than the one this "
              "program was built with; use that MPI's mpirun, or srun --mpi=pmix if it has PMIx");
  }
  impl_->node_leader = lowest_rank_on_node(impl_->rank);
}

MpiSession::~MpiSession() {
  if (std::uncaught_exceptions() > impl_->exceptions_at_start || impl_->broken) {
    if (impl_->size > 1) abort_all(ExitStatus::failed);
  }
  MPI_Finalize();
}

int MpiSession::rank() const { return impl_->rank; }
int MpiSession::size() const { return impl_->size; }
int MpiSession::node_leader() const { return impl_->node_leader; }
bool MpiSession::launched() const { return impl_->launched; }
bool MpiSession::broken() const { return impl_->broken; }

namespace {

// A launcher that hears of an abort may end before it has passed on what its ranks wrote last
// (MPICH's does): what is in the pipe to it must have been read.
void wait_until_read(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0 || !S_ISFIFO(status.st_mode)) return;
  int unread = 0;
  for (int tries = 0; tries < 2000; ++tries) {
    if (ioctl(descriptor, FIONREAD, &unread) != 0 || unread == 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace

void MpiSession::abort_all(ExitStatus status) noexcept {
  std::fflush(nullptr);
  alarm(10);  // whatever MPI does, this process ends
  wait_until_read(STDERR_FILENO);
  // The communication thread never stays in MPI for long; if it does, MPI is lost anyway.
  (void)impl_->calls.try_lock_for(std::chrono::seconds(1));
  MPI_Abort(MPI_COMM_WORLD, static_cast<int>(status));
  std::_Exit(static_cast<int>(status));
}

namespace {

void print_error(const char* sentence) {
  std::fflush(stdout);
  std::fputs(error_message(sentence).c_str(), stderr);
  std::fflush(stderr);
}

// Ranks that fail alone at the same moment would each print: the lower one goes first, and its
// abort ends the others before they speak, or sends them a signal that the program notes. Whether
// that has come.
bool lower_ranks_speak(int rank) {
  const double wait = 0.2 * std::min(rank, 5);
  std::this_thread::sleep_for(std::chrono::duration<double>(wait));
  const std::optional<NotedSignal> signal = noted_signal();
  return signal && signal->seconds_ago < wait;
}

int end_alone(const char* sentence, ExitStatus status,
              std::optional<MpiSession>& session) noexcept {
  if (session && session->size() > 1) {
    if (!lower_ranks_speak(session->rank())) print_error(sentence);
    session->abort_all(status);
  }
  print_error(sentence);
  session.reset();
  return static_cast<int>(status);
}

}  // namespace

int end_after(std::exception_ptr error, std::optional<MpiSession>& session) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const AgreedError& e) {
    if (!session || session->rank() == 0) print_error(e.what());
    if (session && session->broken()) {
      // Requests were under way: finalising would wait for them.
      if (session->rank() != 0) std::this_thread::sleep_for(std::chrono::seconds(2));
      session->abort_all(e.status());
    }
    session.reset();
    return static_cast<int>(e.status());
  } catch (const Error& e) {
    return end_alone(e.what(), e.status(), session);
  } catch (const std::filesystem::filesystem_error& e) {
    return end_alone(error_of(e).what(), ExitStatus::bad_input, session);
  } catch (const std::bad_alloc&) {
    return end_alone("out of memory", ExitStatus::failed, session);
  } catch (const std::exception& e) {
    return end_alone(e.what(), ExitStatus::failed, session);
  } catch (...) {
    return end_alone("an exception of unknown type", ExitStatus::failed, session);
  }
}

}  // namespace lacuna
