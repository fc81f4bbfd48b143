// --help.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/command_line.hpp"
#include "base/command_line_known.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

std::string section(const char* title, const Rows& rows) {
  if (rows.empty()) return {};
  size_t width = 0;
  for (const auto& row : rows) width = std::max(width, row.first.size());
  std::string out = fmt::format("\n{}:\n", title);
  for (const auto& [left, right] : rows) {
    // No blanks at the end of a line that has nothing on its right.
    out += right.empty() ? fmt::format("  {}\n", left)
                         : fmt::format("  {:<{}}  {}\n", left, width, right);
  }
  return out;
}

/// "-f, --file string"; names without a letter stand below those of others.
std::string label(const KnownOption& option) {
  const bool has_letter = option.names.front().size() == 2;
  std::string out = (has_letter ? "" : "    ") + join(option.names, ", ");
  if (option.is_flag) return out;
  return out + (option.implied ? "[=" + option.type + "]" : " " + option.type);
}

}  // namespace

std::string CommandLine::usage() const {
  std::string out = program_ + " ";
  if (!usage_.empty()) return out + usage_;
  out += "[OPTIONS]";
  if (!subcommands_.empty()) out += " COMMAND";
  for (const auto& word : words_) {
    const std::string name = word->name() + (word->takes_rest ? "..." : "");
    out += word->required ? " " + name : " [" + name + "]";
  }
  return out;
}

std::string CommandLine::help() const {
  Rows words;
  for (const auto& word : words_) words.emplace_back(word->name(), word->description);
  Rows commands;
  for (const auto& command : subcommands_) {
    commands.emplace_back(command->name_, command->description_);
  }
  Rows options;
  for (const auto& option : options_) {
    if (!option->hidden) options.emplace_back(label(*option), option->description);
  }
  std::string out = fmt::format("Usage: {}\n\n{}\n", usage(), description_);
  out += section("Arguments", words);
  out += summary_;
  out += section("Commands", commands) + section("Options", options);
  if (!footer_.empty()) out += "\n" + footer_ + "\n";
  return out;
}

std::vector<std::string> CommandLine::option_names() const {
  std::vector<std::string> out;
  for (const auto& option : options_) {
    out.insert(out.end(), option->names.begin(), option->names.end());
  }
  return out;
}

std::vector<const CommandLine*> CommandLine::subcommands() const {
  std::vector<const CommandLine*> out;
  for (const auto& command : subcommands_) out.push_back(command.get());
  return out;
}

}  // namespace lade
