#include <algorithm>
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/log.h"
#include "comm/communicator.h"
#include "fuzz/target.h"
#include "stages/list.h"
#include "stages/setup/invocation.h"

namespace lacuna::fuzz {
namespace fs = std::filesystem;

std::span<const Target> targets() {
  static const std::vector<Target> all = {
      configuration_target(),   grid_target(),    data_target(),     checkpoint_target(),
      representations_target(), trials_target(),  progress_target(), attempts_target(),
      lease_target(),           metrics_target(), plans_target()};
  return all;
}

const Target* find_target(std::string_view name) {
  static const Target planted = planted_target();
  if (name == planted.name) return &planted;
  const auto all = targets();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const Target& target) { return target.name == name; });
  return found == all.end() ? nullptr : &*found;
}

Input one_file(std::string name, std::string content) {
  return {{.name = std::move(name), .content = std::move(content)}};
}

std::string content_of(const fs::path& file) {
  std::ostringstream content;
  content << std::ifstream(file, std::ios::binary).rdbuf();
  return std::move(content).str();
}

std::string small_experiment() {
  return "[objective]\nname = \"simclr\"\n[data]\nfiles = \"data.h5\"\ndataset = \"images\"\n"
         "label = \"label\"\n[train]\nbatch = 4\nepochs = 3\n";
}

std::string run_stage(const std::vector<std::string>& words) {
  static const std::vector<Stage> known = stages();
  const auto communicator = self_communicator();
  Log log(-1, false, false, 10);
  StageContext context{*communicator, log, nullptr};
  std::ostringstream printed;
  std::streambuf* const before = std::cout.rdbuf(printed.rdbuf());
  struct Restore {
    std::streambuf* before;
    ~Restore() { std::cout.rdbuf(before); }
  } const restore{before};
  const Invocation asked = interpret(known, words);
  asked.stage->run(asked.arguments, context);
  return printed.str();
}

}  // namespace lacuna::fuzz
