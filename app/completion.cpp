#include "app/completion.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "app/build/build_input.hpp"
#include "app/commands.hpp"
#include "app/completion_scripts.hpp"
#include "base/command_line_known.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "parser/parse.hpp"
#include "snapshotter/images/stored_image.hpp"
#include "snapshotter/state.hpp"

namespace lade {
namespace {

using Words = std::vector<std::string>;

/// What an option's value or a positional word is.
struct Values {
  enum class Kind { nothing, files, directories, images, stages, build_args, fixed };
  Kind kind = Kind::nothing;
  std::vector<std::string_view> fixed = {};  ///< those that end in '=' go on
};

struct Rule {
  std::string_view name;  ///< of the option or positional word, in every command that has it
  Values values;
};

const std::vector<Rule>& rules() {
  using Kind = Values::Kind;
  static const std::vector<Rule> all = {
      // positional words
      {"CONTEXT", {Kind::directories}},
      {"IMAGE", {Kind::images}},
      {"NAME", {Kind::images}},
      {"SOURCE", {Kind::images}},
      {"FILE", {Kind::files}},
      {"TAR", {Kind::files}},
      {"SHELL", {Kind::fixed, {"bash", "zsh", "fish"}}},
      // options
      {"--root", {Kind::directories}},
      {"--file", {Kind::files}},
      {"--input", {Kind::files}},
      {"--iidfile", {Kind::files}},
      {"--metadata-file", {Kind::files}},
      {"--cidfile", {Kind::files}},
      {"--env-file", {Kind::files}},
      {"--volume", {Kind::directories}},
      {"--tag", {Kind::images}},
      {"--target", {Kind::stages}},
      {"--no-cache-filter", {Kind::stages}},
      {"--build-arg", {Kind::build_args}},
      {"--platform",
       {Kind::fixed, {"linux/amd64", "linux/arm64", "linux/arm/v7", "linux/riscv64"}}},
      {"--progress", {Kind::fixed, {"auto", "plain", "tty", "quiet", "none", "rawjson"}}},
      {"--pull", {Kind::fixed, {"missing", "always", "newer", "never"}}},
      {"--network", {Kind::fixed, {"default", "none", "host"}}},
      {"--allow", {Kind::fixed, {"network.host", "security.insecure"}}},
      {"--call", {Kind::fixed, {"build", "check", "outline", "targets"}}},
      {"--attest", {Kind::fixed, {"type=provenance", "type=sbom"}}},
      {"--ssh", {Kind::fixed, {"default"}}},
      {"--secret", {Kind::fixed, {"id="}}},
      {"--output",
       {Kind::fixed,
        {"type=image", "type=registry", "type=oci,dest=", "type=docker,dest=", "type=local,dest=",
         "type=tar,dest=", "type=cacheonly"}}},
      {"--cache-from", {Kind::fixed, {"type=registry,ref=", "type=local,src=", "type=s3,bucket="}}},
      {"--cache-to",
       {Kind::fixed, {"type=registry,ref=", "type=local,dest=", "type=s3,bucket=", "type=inline"}}},
      {"--resource",
       {Kind::fixed,
        {"memory=", "memory-swap=", "cpu-quota=", "cpu-period=", "cpu-shares=", "cpuset-cpus=",
         "cpuset-mems=", "pids="}}},
  };
  return all;
}

const Values* values_of(std::string_view name) {
  const auto& all = rules();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Rule& rule) { return rule.name == name; });
  return found == all.end() ? nullptr : &found->values;
}

/// One command line that ends where the cursor is.
class Completer {
 public:
  explicit Completer(const Words& words) : words_(words), partial_(words.back()) {}

  Completion run() {
    CommandLine app("", "lade");
    add_global_options(app, globals_);
    app.stop_at_first_word();
    if (!read(app, 1)) return std::move(out_);
    if (at_ == last()) {
      offer_commands(app);
      return std::move(out_);
    }
    const Command* command = find_command(words_[at_]);
    if (!command) return std::move(out_);
    CommandLine* line = &app.add_subcommand(command->name, command->summary);
    CommandAction action;
    command->add(*line, globals_, action);
    size_t from = at_ + 1;
    while (!line->subcommands().empty()) {
      if (!read(*line, from)) return std::move(out_);
      const auto below = line->subcommands();
      if (at_ == last()) {
        for (const CommandLine* sub : below) offer(sub->name(), sub->description());
        if (partial_.starts_with('-')) offer_options(*line);
        return std::move(out_);
      }
      const auto found = std::find_if(below.begin(), below.end(), [&](const CommandLine* sub) {
        return sub->name() == words_[at_];
      });
      if (found == below.end()) return std::move(out_);
      line = const_cast<CommandLine*>(*found);
      from = at_ + 1;
    }
    plain_ = 0;
    if (!read(*line, from)) return std::move(out_);
    if (partial_.starts_with('-') && !only_words_ && at_ == last()) {
      offer_options(*line);
    } else {
      offer_word(*line);
    }
    return std::move(out_);
  }

 private:
  size_t last() const { return words_.size() - 1; }

  /// Reads options of `line` and their values from word `from` on, up to the last word, or, where
  /// the line has commands or stops there, up to the first plain word: at_. False if the last word
  /// is an option's value, which is offered then.
  bool read(const CommandLine& line, size_t from) {
    const bool stops = line.stops() || !line.subcommands().empty();
    for (at_ = from; at_ < last(); ++at_) {
      const std::string& word = words_[at_];
      if (only_words_ || word.size() < 2 || word[0] != '-') {
        if (stops) return true;
        seen_.push_back(word);
        ++plain_;
        continue;
      }
      if (word == "--") {
        only_words_ = true;
        continue;
      }
      const KnownOption* option = waiting(line, word);
      if (!option) continue;
      ++at_;
      if (at_ == last()) {
        offer_values(option->name(), "");
        return false;
      }
      note(*option, words_[at_]);
    }
    const auto equals = partial_.find('=');
    if (!only_words_ && partial_.starts_with("--") && equals != std::string::npos) {
      const std::string prefix = partial_.substr(0, equals + 1);
      partial_ = partial_.substr(equals + 1);
      offer_values(prefix.substr(0, equals), prefix);
      return false;
    }
    return true;
  }

  /// The option whose value is the next word; null if `word` has all that it needs.
  const KnownOption* waiting(const CommandLine& line, const std::string& word) {
    if (word[1] == '-') {
      const auto equals = word.find('=');
      const KnownOption* option = line.find(word.substr(0, equals));
      if (!option || option->implied) return nullptr;
      if (equals == std::string::npos) return option;
      note(*option, word.substr(equals + 1));
      return nullptr;
    }
    for (size_t i = 1; i < word.size(); ++i) {
      const KnownOption* option = line.find(std::string{'-', word[i]});
      if (!option) return nullptr;
      if (option->implied) continue;
      const std::string rest = word.substr(i + 1);
      if (rest.empty()) return option;
      note(*option, rest[0] == '=' ? rest.substr(1) : rest);
      return nullptr;
    }
    return nullptr;
  }

  /// What other values depend on.
  void note(const KnownOption& option, const std::string& value) {
    if (option.name() == "--file") file_ = value;
    if (option.name() == "--root") globals_.root = value;
  }

  void offer(const std::string& word, std::string_view meaning, const std::string& prefix = {}) {
    if (!word.starts_with(partial_)) return;
    out_.words.emplace_back(prefix + word, meaning);
    out_.is_partial = out_.is_partial || word.ends_with('=');
  }

  void offer_commands(const CommandLine& app) {
    if (partial_.starts_with('-')) return offer_options(app);
    for (const auto& command : all_commands()) {
      if (command.group != CommandGroup::hidden) offer(command.name, command.summary);
    }
  }

  void offer_options(const CommandLine& line) {
    for (const auto& option : line.options()) {
      if (option->hidden) continue;
      for (const auto& name : option->names) {
        // A letter only where somebody has typed just the dash.
        if (name.starts_with("--") || partial_ == "-") offer(name, option->description);
      }
    }
  }

  void offer_word(const CommandLine& line) {
    // What follows the first word of such a command is another program's command line.
    if (line.stops()) return at_ == last() ? offer_values("IMAGE", "") : void();
    const auto& known = line.words();
    if (known.empty()) return;
    if (plain_ >= known.size() && !known.back()->takes_rest) return;
    offer_values(known[std::min(plain_, known.size() - 1)]->name(), "");
  }

  void offer_values(const std::string& name, const std::string& prefix) {
    const Values* values = values_of(name);
    if (!values) return;
    switch (values->kind) {
      case Values::Kind::nothing:
        return;
      case Values::Kind::files:
        out_.paths = Completion::Paths::files;
        return;
      case Values::Kind::directories:
        out_.paths = Completion::Paths::directories;
        return;
      case Values::Kind::fixed:
        for (const auto& word : values->fixed) offer(std::string(word), "", prefix);
        return;
      case Values::Kind::images:
        return offer_images(prefix);
      case Values::Kind::stages:
      case Values::Kind::build_args:
        return offer_of_dockerfile(values->kind == Values::Kind::stages, prefix);
    }
  }

  void offer_images(const std::string& prefix) {
    try {
      const std::string root = StateDir::default_root(globals_.root);
      if (!sys::lstatat(AT_FDCWD, root + "/lade.db")) return;  // nothing is made by looking
      const auto state = StateDir::open(root);
      std::set<std::string> names;
      for (const auto& image : state->images().list()) {
        if (!is_unnamed(image.name)) names.insert(Reference::parse(image.name).familiar());
      }
      for (const auto& name : names) offer(name, "", prefix);
    } catch (const Error&) {
    }
  }

  /// Stages, or the names of ARGs.
  void offer_of_dockerfile(bool stages, const std::string& prefix) {
    std::string path = file_;
    // Flags may come before the context: what stands there, if anything does.
    if (path.empty()) path = join_path(seen_.empty() ? "." : seen_.front(), "Dockerfile");
    try {
      const parser::Dockerfile file = parser::parse(read_local_dockerfile(path), nullptr);
      std::set<std::string> told;
      const auto arg = [&](const parser::Arg& instruction) {
        for (const auto& one : instruction.arguments) {
          if (told.insert(one.name).second) offer(one.name + "=", one.description, prefix);
        }
      };
      if (!stages) {
        for (const auto& meta : file.meta_args) arg(meta.arg);
      }
      for (const auto& stage : file.stages) {
        if (stages) {
          if (!stage.from.name.empty()) offer(stage.from.name, stage.from.description, prefix);
          continue;
        }
        for (const auto& command : stage.commands) {
          if (const auto* one = std::get_if<parser::Arg>(&command.body)) arg(*one);
        }
      }
    } catch (const Error&) {
    }
  }

  const Words& words_;
  std::string partial_;
  Completion out_;
  Globals globals_;
  size_t at_ = 0;
  size_t plain_ = 0;  ///< positional words before the last
  Words seen_;        ///< they themselves
  bool only_words_ = false;
  std::string file_;
};

void print(const Completion& completion) {
  for (const auto& [word, meaning] : completion.words) {
    fmt::print("{}{}\n", word, meaning.empty() ? "" : "\t" + meaning);
  }
  if (completion.paths == Completion::Paths::files) fmt::print(":files\n");
  if (completion.paths == Completion::Paths::directories) fmt::print(":directories\n");
  if (completion.is_partial) fmt::print(":partial\n");
}

}  // namespace

Completion complete(const std::vector<std::string>& words) {
  if (words.size() < 2) return {};
  return Completer(words).run();
}

std::vector<std::string> split_line(const std::string& line) {
  std::vector<std::string> out(1);
  char quote = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
      out.back() += line[++i];
    } else if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        out.back() += c;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (std::isspace(static_cast<unsigned char>(c))) {
      if (!out.back().empty()) out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

void add_complete_command(CommandLine& command, const Globals& /*globals*/, CommandAction& action) {
  command.leave_unread();
  command.callback([&command, &action] {
    action = [&command] {
      const auto& given = command.remaining();
      if (given.size() == 2 && given[0] == "line") {
        print(complete(split_line(given[1])));
      } else if (given.size() >= 2 && given[0] == "words") {
        print(complete({given.begin() + 1, given.end()}));
      }
      return 0;
    };
  });
}

void add_completion_command(CommandLine& command, const Globals& /*globals*/,
                            CommandAction& action) {
  auto shell = std::make_shared<std::string>();
  command.add_option("SHELL", *shell, "bash, zsh or fish").required();
  command.set_footer(
      "bash: lade completion bash > /etc/bash_completion.d/lade\n"
      "zsh:  lade completion zsh > \"${fpath[1]}/_lade\"\n"
      "fish: lade completion fish > ~/.config/fish/completions/lade.fish\n\n"
      "The package installs all three.");
  command.callback([shell, &action] {
    action = [shell] {
      const char* script = completion_script(*shell);
      if (!script) {
        throw Error(fmt::format("there are no completions for {}: bash, zsh and fish have them",
                                lade::quoted(*shell)),
                    ErrorKind::usage);
      }
      fmt::print("{}", script);
      return 0;
    };
  });
}

}  // namespace lade
