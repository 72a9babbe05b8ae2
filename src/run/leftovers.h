// What a process that was killed has left: a name that ends with its host and number is its own,
// and nobody's when it is gone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace lacuna {

// Of a process of this host; one that has ended and waits for its parent to ask for it is not
// alive.
bool is_alive(int64_t process);

// `prefix` with this process's host and number behind it.
std::filesystem::path own_name(const std::filesystem::path& prefix);

// Removes what has such a name, of a process of this host that is gone.
void remove_leftovers(const std::filesystem::path& prefix);

}  // namespace lacuna
