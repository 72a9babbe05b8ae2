// lacuna-fuzz: mutated files for every reader of the program (docs/testing.md).
//
//   lacuna-fuzz [TARGET...] [--inputs N] [--first K] [--seed S] [--jobs J] [--hang SECONDS]
//   lacuna-fuzz TARGET --replay K [--seed S]         reads input K in this process
//   lacuna-fuzz TARGET --write K FOLDER [--seed S]   writes the files of input K
//   lacuna-fuzz --list
//
// Ends with status 1 when a file made our code crash or hang.
#include <charconv>
#include <iomanip>
#include <iostream>
#include <map>
#include <optional>

#include "fuzz/contain.h"
#include "fuzz/mutate.h"

// What a user gives in ASAN_OPTIONS and UBSAN_OPTIONS comes on top, such as symbolize=1 for
// --replay: names are found by the parent (contain.cpp), which is much quicker.
extern "C" const char* __asan_default_options() {
  return "symbolize=0:detect_leaks=0:handle_abort=1:allocator_may_return_null=1:max_allocation_"
         "size_mb=1024:"
         "quarantine_size_mb=16:detect_stack_use_after_return=0";
}
extern "C" const char* __ubsan_default_options() { return "print_stacktrace=1:symbolize=0"; }

namespace lacuna::fuzz {

namespace {

struct Command {
  std::vector<const Target*> targets;
  Options options;
  std::optional<uint64_t> replay, write;
  std::string folder;
  bool list = false;
};

uint64_t number_of(const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    bad_input(text, " is no whole number");
  return number;
}

Command command_of(const std::vector<std::string>& words) {
  Command command;
  size_t at = 0;
  const auto next = [&] {
    if (at == words.size()) bad_input(words.back(), " needs a value");
    return words[at++];
  };
  while (at < words.size()) {
    const std::string word = next();
    if (word == "--inputs") {
      command.options.inputs = number_of(next());
    } else if (word == "--first") {
      command.options.first = number_of(next());
    } else if (word == "--seed") {
      command.options.seed = number_of(next());
    } else if (word == "--jobs") {
      command.options.jobs = std::max(1, static_cast<int>(number_of(next())));
    } else if (word == "--hang") {
      command.options.most_seconds = static_cast<double>(number_of(next()));
    } else if (word == "--replay") {
      command.replay = number_of(next());
    } else if (word == "--write") {
      command.write = number_of(next());
      command.folder = next();
    } else if (word == "--list") {
      command.list = true;
    } else if (const Target* target = find_target(word)) {
      command.targets.push_back(target);
    } else {
      bad_input("there is no target ", word, "; --list tells which there are");
    }
  }
  if (command.targets.empty())
    for (const Target& target : targets()) command.targets.push_back(&target);
  if ((command.replay || command.write) && command.targets.size() != 1)
    bad_input("--replay and --write need one target");
  return command;
}

void print(const char* what, const std::map<std::string, Occurrence>& all) {
  for (const auto& [where, occurrence] : all)
    std::cout << "  " << what << ": " << where << ", " << occurrence.count << " times, first input "
              << occurrence.first << "\n";
}

// Whether nothing of it is ours.
bool report(const Target& target, const Options& options, const Tally& tally) {
  std::cout << target.name << ": " << options.inputs << " inputs, " << tally.read << " read, "
            << tally.refused << " refused; in our frames " << count_of(tally.crashes)
            << " crashes and " << count_of(tally.hangs) << " hangs; in HDF5's "
            << count_of(tally.crashes_of_hdf5) << " and " << count_of(tally.hangs_of_hdf5)
            << ", contained; " << std::fixed << std::setprecision(0) << tally.seconds << " s\n";
  print("crash", tally.crashes);
  print("hang", tally.hangs);
  print("crash of HDF5", tally.crashes_of_hdf5);
  print("hang of HDF5", tally.hangs_of_hdf5);
  std::cout << tally.first_log << std::flush;
  return tally.crashes.empty() && tally.hangs.empty();
}

std::vector<Input> seeds_of(const Target& target) {
  const ScratchFolder folder;
  return target.seeds(folder.path());
}

int run(const Command& command) {
  bool good = true;
  for (const Target* target : command.targets) {
    if (command.list) {
      std::cout << target->name << ": " << target->what << "\n";
      continue;
    }
    const std::vector<Input> seeds = seeds_of(*target);
    const auto input = [&](uint64_t number) {
      return mutated(*target, seeds, command.options.seed, number);
    };
    if (command.write) {
      write_input(input(*command.write), command.folder);
    } else if (command.replay) {
      const ScratchFolder folder;
      const std::string said = read_one(*target, input(*command.replay), folder.path());
      std::cout << (said.empty() ? "read" : said) << "\n";
    } else {
      // Every seed itself is read, or what is measured is nothing.
      const ScratchFolder folder;
      for (const Input& seed : seeds) {
        const std::string said = read_one(*target, seed, folder.path());
        LACUNA_CHECK(said.empty(), target->name, ": ", said);
      }
      good &= report(*target, command.options, read_all(*target, seeds, command.options));
    }
  }
  return good ? 0 : 1;
}

}  // namespace

}  // namespace lacuna::fuzz

// Not all is caught: see read_one().
int main(int argc, char** argv) {
  using namespace lacuna;
  try {
    return fuzz::run(fuzz::command_of({argv + 1, argv + argc}));
  } catch (const Error& error) {
    std::cerr << error_message(error.what());
    return static_cast<int>(error.status());
  }
}
