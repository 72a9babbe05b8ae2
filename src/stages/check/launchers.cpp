#include "stages/check/launchers.h"

#include <sys/wait.h>

#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "base/text.h"
#include "comm/mpi.h"
#include "stages/setup/versions.h"

namespace lacuna {

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

struct Answer {
  int status = -1;
  std::string text;  // of both streams
};

// What a command says. One that hangs, as srun may while its controller is down, is ended after
// five seconds.
Answer ask(const std::string& command) {
  Answer answer;
  FILE* pipe = popen(concat("timeout 5 ", command, " 2>&1 < /dev/null").c_str(), "r");
  if (pipe == nullptr) return answer;
  std::array<char, 4096> piece;
  while (const size_t got = std::fread(piece.data(), 1, piece.size(), pipe))
    answer.text.append(piece.data(), got);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) answer.status = WEXITSTATUS(status);
  return answer;
}

bool in_path(const std::string& program) {
  return ask(concat("sh -c 'command -v ", program, "'")).status == 0;
}

// As grep -w has it.
bool has_word(const std::string& text, const std::string& word) {
  const auto part_of_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
  };
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || !part_of_word(text[at - 1])) &&
        (end == text.size() || !part_of_word(text[end])))
      return true;
  }
  return false;
}

bool is_open_mpi(const std::string& text) { return text.find("Open MPI") != std::string::npos; }

// "MPI plugin types are... \n none \n pmi2" -> "none, pmi2"
std::string kinds_of(const std::string& offers) {
  std::vector<std::string> kinds;
  std::istringstream lines(offers);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word, more;
    words >> word;
    if (!word.empty() && !(words >> more)) kinds.push_back(word);
  }
  return join(kinds);
}

}  // namespace

LauncherFacts find_launcher_facts() {
  LauncherFacts facts;
  facts.mpi = mpi_version();
  facts.overruled = environment("LACUNA_LAUNCHER");
  facts.in_allocation = !environment("SLURM_JOB_ID").empty();
  if (processes_launched() > 0) return facts;
  facts.slurm = in_path("srun");
  if (facts.slurm) {
    const Answer list = ask("srun --mpi=list");
    facts.asked = list.status == 0;
    facts.offers = list.text;
  }
  if (const Answer version = ask("mpirun --version"); version.status == 0)
    facts.mpirun = version.text;
  return facts;
}

Launcher choose_launcher(const LauncherFacts& facts) {
  Launcher launcher;
  const bool open_mpi = is_open_mpi(facts.mpi);
  const std::string kinds = kinds_of(facts.offers);
  if (!facts.overruled.empty()) {
    launcher = {facts.overruled, "LACUNA_LAUNCHER says so", {}};
  } else if (!open_mpi) {
    launcher = {"mpiexec", concat("this program has ", facts.mpi), {}};
  } else if (has_word(facts.offers, "pmix")) {
    launcher = {
        "srun --mpi=pmix --kill-on-bad-exit=1", concat(facts.mpi, ", and this SLURM has PMIx"), {}};
  } else if (!facts.slurm && !facts.in_allocation) {
    launcher = {"mpirun", concat(facts.mpi, ", without SLURM"), {}};
  } else {
    launcher = {"mpirun --map-by slot:PE=$SLURM_CPUS_PER_TASK", facts.mpi, {}};
    if (facts.asked) {
      launcher.why += concat(", and this SLURM has no PMIx (", kinds, ")");
      launcher.warnings.push_back(
          "under mpirun a preemption ends the ranks before they can write, and the last checkpoint "
          "counts: set train.checkpoint_minutes to what you can bear to lose");
    } else if (facts.slurm) {
      launcher.warnings.push_back(
          "srun --mpi=list has not answered, so what this SLURM offers is not known: ask again "
          "where "
          "jobs are submitted");
    }
  }
  const bool by_mpirun = launcher.command.rfind("mpi", 0) == 0;
  if (by_mpirun && !facts.mpirun.empty() && is_open_mpi(facts.mpirun) != open_mpi) {
    launcher.warnings.push_back(
        concat("the mpirun in PATH says \"", facts.mpirun.substr(0, facts.mpirun.find('\n')),
               "\", and this program was built with ", facts.mpi, ": load the module of that MPI"));
  }
  return launcher;
}

std::string launch_line(const LauncherFacts& facts, const Launcher& launcher, int ranks,
                        const std::string& command) {
  // SLURM tells both srun and mpirun how many.
  if (facts.slurm || facts.in_allocation) return concat(launcher.command, " ", command);
  return concat(launcher.command, " -n ", ranks, " ", command);
}

}  // namespace lacuna
