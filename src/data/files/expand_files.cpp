#include "data/files/expand_files.h"

#include <glob.h>
#include <unistd.h>

#include <set>

#include "base/error.h"
#include "io/hdf5.h"

namespace lacuna {

std::vector<std::string> expand_files(const std::vector<std::string>& patterns,
                                      const std::string& key) {
  std::set<std::string> paths;
  for (const std::string& pattern : patterns) {
    if (access(pattern.c_str(), F_OK) == 0) {  // a name may hold * or [ itself
      paths.insert(pattern);
      continue;
    }
    glob_t found{};
    const int status = glob(pattern.c_str(), 0, nullptr, &found);
    for (size_t i = 0; status == 0 && i < found.gl_pathc; ++i) paths.insert(found.gl_pathv[i]);
    globfree(&found);
    if (status == 0) continue;
    if (pattern.find_first_of("*?[") != std::string::npos) {
      bad_input("no file matches ", pattern, " of ", key);
    }
    hdf5::File::open(pattern);  // throws: says what is wrong with it
  }
  if (paths.empty()) bad_input(key, " names no file");
  return {paths.begin(), paths.end()};
}

}  // namespace lacuna
