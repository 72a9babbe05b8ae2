// The command line of one stage: what it may hold, and what a user gave.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace lacuna {

// An option "--name ARGUMENT", or a switch "--name" when there is no argument.
struct Option {
  std::string name;
  std::string argument;  // "DIR"; what the help shows for the value
  std::string doc;       // one sentence
  bool required = false;
  bool repeated = false;                  // may be given several times
  std::string default_value = {};         // of an option that is not given; "" is none
  std::vector<std::string> choices = {};  // values that are accepted, if not all
  bool or_number = false;                 // a whole number is accepted beside the choices
};

struct Syntax {
  std::string stage;     // "embed"
  std::string argument;  // "RUN": the one argument that is no option
  std::string argument_doc;
  std::string summary;  // one line
  std::vector<Option> options;
};

// What was given for one stage. Asking for an option that the syntax lacks is a defect.
class Arguments {
 public:
  bool help() const { return help_; }  // --help: then nothing else was checked
  const std::string& argument() const { return argument_; }
  // Whether the option was given (for switches: is on).
  bool given(std::string_view option) const;
  // The value given or the default, which may be "".
  const std::string& value(std::string_view option) const;
  const std::vector<std::string>& values(std::string_view option) const;

 private:
  friend Arguments parse_arguments(const Syntax&, const std::vector<std::string>&);
  struct Held {
    std::vector<std::string> values;
    bool given = false;
  };
  const Held& held(std::string_view option) const;
  std::map<std::string, Held, std::less<>> options_;
  std::string argument_;
  bool help_ = false;
};

// Parses the words behind the stage's name. Error bad_input with all problems, one line each; what
// is unknown gets the nearest known. Several words may follow an option "--set" that is repeated:
// "--set a=1 b=2" is "--set a=1 --set b=2".
Arguments parse_arguments(const Syntax& syntax, const std::vector<std::string>& words);

// The text of "lacuna STAGE --help".
std::string help_text(const Syntax& syntax);

}  // namespace lacuna
