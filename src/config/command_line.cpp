#include "config/command_line.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <cctype>
#include <sstream>

#include "base/text.h"

namespace lacuna {
namespace {

namespace po = boost::program_options;

using Words = std::vector<std::string>;

std::string usage(const Syntax& syntax) {
  std::string text = concat("lacuna ", syntax.stage, " ", syntax.argument);
  for (const Option& option : syntax.options) {
    std::string part = concat("--", option.name);
    if (!option.argument.empty()) part += " " + option.argument;
    text += option.required ? " " + part : concat(" [", part, option.repeated ? " ...]" : "]");
  }
  return text;
}

std::string doc_with_default(const Option& option) {
  if (option.default_value.empty()) return option.doc;
  return concat(option.doc, " [", option.default_value, "]");
}

po::options_description described(const Syntax& syntax) {
  po::options_description all("Options", 100, 50);
  for (const Option& option : syntax.options) {
    if (option.argument.empty()) {
      all.add_options()(option.name.c_str(), po::bool_switch(), option.doc.c_str());
    } else {
      all.add_options()(option.name.c_str(), po::value<Words>()->value_name(option.argument),
                        doc_with_default(option).c_str());
    }
  }
  all.add_options()("help,h", po::bool_switch(), "Show this.");
  return all;
}

bool is_setting(const std::string& word) {
  const size_t equals = word.find('=');
  return equals != std::string::npos && equals > 0 &&
         std::all_of(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(equals), [](char c) {
           return std::islower(static_cast<unsigned char>(c)) ||
                  std::isdigit(static_cast<unsigned char>(c)) || c == '.' || c == '_';
         });
}

// "--set a=1 b=2" -> "--set a=1 --set b=2".
Words separate_settings(const Words& words) {
  Words separate;
  bool behind_setting = false;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--set" && i + 1 < words.size()) {
      separate.insert(separate.end(), {words[i], words[i + 1]});
      ++i;
      behind_setting = true;
    } else if (behind_setting && is_setting(words[i])) {
      separate.insert(separate.end(), {"--set", words[i]});
    } else {
      separate.push_back(words[i]);
      behind_setting = false;
    }
  }
  return separate;
}

Words option_names(const Syntax& syntax) {
  Words names = {"--help"};
  for (const Option& option : syntax.options) names.push_back("--" + option.name);
  return names;
}

// The sentence for an option that does not exist.
std::string unknown_option(const Syntax& syntax, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  const Words known = option_names(syntax);
  const std::string near = nearest(name, known);
  return concat(
      syntax.stage, " has no option ", name,
      near.empty() ? concat("; it has ", join(known)) : concat("; did you mean ", near, "?"));
}

bool is_number(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

// What is wrong with the values of an option, or "".
std::string value_problem(const Option& option, const Words& values) {
  if (values.size() > 1 && !option.repeated) {
    return concat("--", option.name, " is given ", values.size(), " times (", join(values),
                  "); give it once");
  }
  for (const std::string& value : values) {
    if (value.empty()) return concat("--", option.name, " is empty; give it ", option.argument);
    if (value.rfind("--", 0) == 0) {
      return concat("--", option.name, " needs a value (", option.argument, "), but ", value,
                    " follows");
    }
    if (option.choices.empty() || (option.or_number && is_number(value))) continue;
    if (std::count(option.choices.begin(), option.choices.end(), value) > 0) continue;
    const std::string near = nearest(value, option.choices);
    return concat("--", option.name, " is ", value, "; it must be ", join(option.choices, " or "),
                  option.or_number ? " or a number" : "",
                  near.empty() ? "" : concat("; did you mean ", near, "?"));
  }
  return "";
}

// Sorts what Boost recognised: values by option, unknown options, and other words.
struct Sorted {
  std::map<std::string, Words> values;
  Words unknown, others;
};

Sorted sort_words(const Syntax& syntax, const Words& words) {
  namespace style = po::command_line_style;
  const po::options_description known = described(syntax);
  const auto parsed = po::command_line_parser(separate_settings(words))
                          .options(known)
                          .style(style::unix_style & ~style::allow_guessing)
                          .allow_unregistered()
                          .run();
  Sorted sorted;
  for (const auto& option : parsed.options) {
    if (option.unregistered) {
      sorted.unknown.push_back(option.original_tokens.front());
    } else if (option.position_key >= 0) {
      sorted.others.insert(sorted.others.end(), option.value.begin(), option.value.end());
    } else {
      Words& values = sorted.values[option.string_key];
      values.insert(values.end(), option.value.begin(), option.value.end());
    }
  }
  return sorted;
}

Sorted sort_words_or_explain(const Syntax& syntax, const Words& words) {
  try {
    return sort_words(syntax, words);
  } catch (const po::error_with_option_name& error) {
    const std::string name = error.get_option_name();
    for (const Option& option : syntax.options) {
      if (name != "--" + option.name) continue;
      if (option.argument.empty()) bad_input(name, " takes no value; give it alone");
      bad_input(name, " needs a value: ", name, " ", option.argument);
    }
    bad_input(error.what(), "; see lacuna ", syntax.stage, " --help");
  } catch (const po::error& error) {
    bad_input(error.what(), "; see lacuna ", syntax.stage, " --help");
  }
}

}  // namespace

const Arguments::Held& Arguments::held(std::string_view option) const {
  const auto found = options_.find(option);
  LACUNA_CHECK(found != options_.end(), "no option --", option);
  return found->second;
}

bool Arguments::given(std::string_view option) const { return held(option).given; }

const std::string& Arguments::value(std::string_view option) const {
  static const std::string none;
  const Words& all = held(option).values;
  return all.empty() ? none : all.front();
}

const Words& Arguments::values(std::string_view option) const { return held(option).values; }

Arguments parse_arguments(const Syntax& syntax, const Words& words) {
  Arguments arguments;
  const Sorted sorted = sort_words_or_explain(syntax, words);
  if (sorted.values.count("help") > 0) {
    arguments.help_ = true;
    return arguments;
  }
  Words problems;
  for (const std::string& word : sorted.unknown) problems.push_back(unknown_option(syntax, word));
  if (sorted.others.empty() && sorted.unknown.empty()) {
    problems.push_back(concat(syntax.argument, " is missing: ", usage(syntax)));
  } else if (sorted.others.size() > 1 && sorted.unknown.empty()) {
    problems.push_back(concat(syntax.stage, " takes one ", syntax.argument, ", but there are ",
                              sorted.others.size(), " (", join(sorted.others), ")"));
  } else if (!sorted.others.empty()) {
    arguments.argument_ = sorted.others.front();
  }
  for (const Option& option : syntax.options) {
    auto& held = arguments.options_[option.name];
    const auto found = sorted.values.find(option.name);
    held.given = found != sorted.values.end();
    if (held.given) {
      held.values = found->second;
      const std::string problem = option.argument.empty() ? "" : value_problem(option, held.values);
      if (!problem.empty()) problems.push_back(problem);
    } else if (option.required) {
      problems.push_back(
          concat("--", option.name, " ", option.argument, " is missing: ", option.doc));
    } else if (!option.default_value.empty()) {
      held.values = {option.default_value};
    }
  }
  if (!problems.empty()) bad_input(join(problems, "\n"));
  return arguments;
}

std::string help_text(const Syntax& syntax) {
  std::ostringstream text;
  text << usage(syntax) << "\n\n"
       << syntax.summary << "\n\n  " << syntax.argument << "  " << syntax.argument_doc << "\n\n"
       << described(syntax);
  return std::move(text).str();
}

}  // namespace lacuna
