#include "stages/setup/load_configuration.h"

#include <cstdint>

#include "comm/agree.h"
#include "comm/communicator.h"

namespace lacuna {

std::string text_on_all_ranks(const std::string& file, Communicator& communicator) {
  const bool reads = communicator.rank() == 0;
  std::string text =
      agreed(communicator, [&] { return reads ? Configuration::read(file) : std::string(); });
  int64_t size = static_cast<int64_t>(text.size());
  communicator.broadcast(&size, sizeof size, 0).wait();
  text.resize(static_cast<size_t>(size));
  communicator.broadcast(text.data(), text.size(), 0).wait();
  return text;
}

Configuration load_configuration(const std::string& file, const Schema& schema,
                                 const std::vector<std::string>& overrides,
                                 Communicator& communicator) {
  const std::string text = text_on_all_ranks(file, communicator);
  return agreed(communicator,
                [&] { return Configuration::from_text(text, schema, file, overrides); });
}

}  // namespace lacuna
