#include "base/command_line.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include <fmt/format.h>

#include "base/command_line_known.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

[[noreturn]] void throw_wrong(std::string message, std::string hint = {}) {
  Error error(std::move(message), ErrorKind::usage);
  error.set_hint(std::move(hint));
  throw error;
}

bool read_bool(const std::string& name, const std::string& value) {
  for (const char* word : {"1", "t", "T", "true", "True", "TRUE"}) {
    if (value == word) return true;
  }
  for (const char* word : {"0", "f", "F", "false", "False", "FALSE"}) {
    if (value == word) return false;
  }
  throw_wrong(fmt::format("{}: {} is neither true nor false", name, quoted(value)));
}

int read_int(const std::string& name, const std::string& value) {
  int number = 0;
  const char* first = value.data() + (value.starts_with('+') ? 1 : 0);
  const char* last = value.data() + value.size();
  const auto [end, error] = std::from_chars(first, last, number);
  if (error != std::errc() || end != last) {
    throw_wrong(fmt::format("{}: {} is not a number", name, quoted(value)));
  }
  return number;
}

}  // namespace

// -- what there is

CommandLine::Option CommandLine::Option::required() {
  known_->required = true;
  return *this;
}

CommandLine::Option CommandLine::Option::excludes(Option other) {
  known_->excluded.push_back(other.known_);
  return *this;
}

CommandLine::Option CommandLine::Option::hidden() {
  known_->hidden = true;
  return *this;
}

CommandLine::Option CommandLine::Option::inherited() {
  known_->inherited = true;
  return *this;
}

CommandLine::CommandLine(std::string description, std::string program)
    : description_(std::move(description)), program_(std::move(program)) {}

CommandLine::~CommandLine() = default;

KnownOption& CommandLine::add(const std::string& names, const std::string& description) {
  auto known = std::make_unique<KnownOption>();
  known->names = split(names, ',');
  known->description = description;
  known->type = "string";
  std::string& last = known->names.back();
  if (const auto brace = last.find('{'); brace != std::string::npos) {
    known->implied = last.substr(brace + 1, last.size() - brace - 2);
    last.resize(brace);
  }
  auto& list = names.starts_with('-') ? options_ : words_;
  list.push_back(std::move(known));
  return *list.back();
}

CommandLine::Option CommandLine::add_option(const std::string& names, std::string& value,
                                            const std::string& description) {
  KnownOption& known = add(names, description);
  known.set = [&value](const std::string& given) { value = given; };
  return Option(known);
}

CommandLine::Option CommandLine::add_option(const std::string& names,
                                            std::optional<std::string>& value,
                                            const std::string& description) {
  KnownOption& known = add(names, description);
  known.set = [&value](const std::string& given) { value = given; };
  return Option(known);
}

CommandLine::Option CommandLine::add_option(const std::string& names, int& value,
                                            const std::string& description) {
  KnownOption& known = add(names, description);
  known.type = "int";
  known.set = [&value, &known](const std::string& given) { value = read_int(known.name(), given); };
  return Option(known);
}

CommandLine::Option CommandLine::add_option(const std::string& name,
                                            std::vector<std::string>& values,
                                            const std::string& description) {
  KnownOption& known = add(name, description);
  known.takes_rest = true;
  known.set = [&values](const std::string& given) { values.push_back(given); };
  return Option(known);
}

CommandLine::Option CommandLine::add_list(const std::string& names,
                                          std::vector<std::string>& values,
                                          const std::string& description) {
  KnownOption& known = add(names, description);
  known.type = "list";
  known.set = [&values](const std::string& given) { values.push_back(given); };
  return Option(known);
}

CommandLine::Option CommandLine::add_flag(const std::string& names, bool& value,
                                          const std::string& description) {
  KnownOption& known = add(names, description);
  known.is_flag = true;
  known.implied = "true";
  known.set = [&value, &known](const std::string& given) {
    value = read_bool(known.name(), given);
  };
  return Option(known);
}

CommandLine::Option CommandLine::add_flag(const std::string& names, std::string& value,
                                          const std::string& description) {
  return add_option(names, value, description);
}

CommandLine& CommandLine::add_subcommand(const std::string& name, const std::string& description) {
  auto command = std::make_unique<CommandLine>(description, program_ + " " + name);
  command->name_ = name;
  command->parent_ = this;
  command->set_help_flag("-h,--help", "Print this help");
  subcommands_.push_back(std::move(command));
  return *subcommands_.back();
}

void CommandLine::callback(std::function<void()> chosen) {
  chosen_ = std::move(chosen);
}

void CommandLine::set_help_flag(const std::string& names, const std::string& description) {
  std::erase_if(options_, [](const auto& option) { return option->name() == "--help"; });
  add_flag(names, wants_help_, description);
}

void CommandLine::set_version_flag(const std::string& names, const std::string& version,
                                   const std::string& description) {
  version_ = version;
  add_flag(names, wants_version_, description);
}

// -- what is given

KnownOption* CommandLine::find(std::string_view name) const {
  for (const CommandLine* line = this; line; line = line->parent_) {
    for (const auto& option : line->options_) {
      if (line != this && !option->inherited) continue;
      const auto& names = option->names;
      if (std::find(names.begin(), names.end(), name) != names.end()) return option.get();
    }
  }
  return nullptr;
}

CommandLine* CommandLine::find_subcommand(std::string_view name) const {
  for (const auto& command : subcommands_) {
    if (command->name_ == name) return command.get();
  }
  return nullptr;
}

/// One pass over the words.
class CommandLine::Reader {
 public:
  Reader(const CommandLine& line, const std::vector<std::string>& words)
      : line_(line), words_(words) {}

  /// The words that are neither options nor their values.
  std::vector<std::string> run() {
    std::vector<std::string> plain;
    const bool stops = line_.stops_ || !line_.subcommands_.empty();
    while (at_ < words_.size()) {
      const std::string& word = words_[at_];
      const bool is_plain = word.size() < 2 || word[0] != '-';
      if (is_plain && stops) break;
      ++at_;
      if (word == "--") break;
      if (is_plain) {
        plain.push_back(word);
      } else if (word[1] == '-') {
        read_name(word);
      } else {
        read_letters(word);
      }
    }
    plain.insert(plain.end(), words_.begin() + static_cast<ptrdiff_t>(at_), words_.end());
    return plain;
  }

 private:
  void read_name(const std::string& word) {
    const auto equals = word.find('=');
    const std::string name = word.substr(0, equals);
    KnownOption* known = line_.find(name);
    if (!known || name.size() < 3) throw_unknown(name, word);
    if (equals != std::string::npos) {
      set(*known, word.substr(equals + 1));
    } else {
      set(*known, known->implied ? *known->implied : next(name));
    }
  }

  /// "-it", "-tNAME", "-t=NAME".
  void read_letters(const std::string& word) {
    for (size_t i = 1; i < word.size(); ++i) {
      const std::string name = {'-', word[i]};
      KnownOption* known = line_.find(name);
      if (!known) throw_unknown(name, word);
      const std::string rest = word.substr(i + 1);
      if (rest.size() > 1 && rest[0] == '=') return set(*known, rest.substr(1));
      if (known->implied) {
        set(*known, *known->implied);
        continue;
      }
      return set(*known, rest.empty() ? next(name) : rest);
    }
  }

  const std::string& next(const std::string& name) {
    if (at_ == words_.size()) throw_wrong(name + " needs a value", line_.help_hint());
    return words_[at_++];
  }

  static void set(KnownOption& known, const std::string& value) {
    known.set(value);
    known.given = true;
  }

  [[noreturn]] void throw_unknown(const std::string& name, const std::string& word) {
    std::vector<std::string> names;
    for (const CommandLine* line = &line_; line; line = line->parent_) {
      for (const auto& option : line->options_) {
        if (option->hidden || (line != &line_ && !option->inherited)) continue;
        names.insert(names.end(), option->names.begin(), option->names.end());
      }
    }
    const std::string meant = name.size() > 2 ? nearest(name, names) : "";
    const std::string in = name.size() == 2 && word.size() > 2 ? " in " + quoted(word) : "";
    throw_wrong(fmt::format("there is no option {}{}", quoted(name), in),
                meant.empty() ? line_.help_hint() : "did you mean " + meant + "?");
  }

  const CommandLine& line_;
  const std::vector<std::string>& words_;
  size_t at_ = 0;
};

std::string CommandLine::help_hint() const {
  return program_ + " --help lists the options";
}

void CommandLine::place(const std::vector<std::string>& words) {
  size_t at = 0;
  for (const auto& known : words_) {
    if (at == words.size() && known->required) {
      throw_wrong(known->name() + " is missing", "usage: " + usage());
    }
    if (at == words.size()) return;
    do {
      known->set(words[at++]);
    } while (known->takes_rest && at < words.size());
  }
  if (at < words.size()) {
    throw_wrong("unexpected argument " + quoted(words[at]), "usage: " + usage());
  }
}

void CommandLine::check_exclusions() const {
  for (const auto& option : options_) {
    for (const KnownOption* other : option->excluded) {
      if (!option->given || !other->given) continue;
      throw_wrong(fmt::format("{} and {} cannot be given together", option->name(), other->name()));
    }
  }
}

bool CommandLine::parse(const std::vector<std::string>& words) {
  std::vector<std::string> plain = unread_ ? words : Reader(*this, words).run();
  if (wants_help_ || wants_version_) {
    const std::string text = wants_help_ ? help() : version_ + "\n";
    std::fwrite(text.data(), 1, text.size(), stdout);
    return false;
  }
  if (!subcommands_.empty()) {
    if (plain.empty()) throw_wrong(program_ + " needs a command", program_ + " --help lists them");
    CommandLine* command = find_subcommand(plain[0]);
    if (!command) throw_unknown_command(plain[0]);
    return command->parse({plain.begin() + 1, plain.end()});
  }
  check_exclusions();
  if (stops_ || unread_) {
    remaining_ = std::move(plain);
  } else {
    place(plain);
  }
  if (chosen_) chosen_();
  return true;
}

void CommandLine::throw_unknown_command(const std::string& name) const {
  std::vector<std::string> names;
  for (const auto& command : subcommands_) names.push_back(command->name_);
  const std::string meant = nearest(name, names);
  throw_wrong(fmt::format("{} has no command {}", program_, quoted(name)),
              meant.empty() ? program_ + " --help lists the commands"
                            : fmt::format("did you mean {} {}?", program_, meant));
}

}  // namespace lade
