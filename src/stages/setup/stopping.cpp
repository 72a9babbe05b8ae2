#include "stages/setup/stopping.h"

#include "base/text.h"

namespace lacuna {

Option max_hours_option() {
  return {.name = "max-hours",
          .argument = "H",
          .doc =
              "Stops early, to be continued, before so many hours have passed since the start; "
              "0.5 is allowed."};
}

namespace {

double max_hours(const Arguments& arguments) {
  if (!arguments.given("max-hours")) return 0;
  const std::string& text = arguments.value("max-hours");
  const auto hours = as_number<double>(text);
  if (!hours || !(*hours > 0)) bad_input("--max-hours is ", text, "; it must be a number above 0");
  return *hours;
}

}  // namespace

EarlyStop early_stop_of(const Arguments& arguments, const TrainOptions& options,
                        StageContext& context) {
  return {options.stop_signals, max_hours(arguments), context.started, context.communicator};
}

}  // namespace lacuna
