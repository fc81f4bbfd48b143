#include "base/man_page.hpp"

#include <fmt/format.h>

#include "base/command_line_known.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

/// Text that troff shows as it is.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";  // a hyphen would not be found by those who search for an option
    } else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) {
      out += std::string("\\&") + c;
    } else {
      out += c;
    }
  }
  return out;
}

std::string bold(std::string_view text) {
  return "\\fB" + escaped(text) + "\\fR";
}

/// "-f, --file string", names bold, the value's type in italics.
std::string option_label(const KnownOption& option) {
  std::string out;
  for (const auto& name : option.names) out += (out.empty() ? "" : ", ") + bold(name);
  if (option.is_flag) return out;
  const std::string type = "\\fI" + escaped(option.type) + "\\fR";
  return out + (option.implied ? "[=" + type + "]" : " " + type);
}

std::string entry(const std::string& label, const std::string& text) {
  return ".TP\n" + label + "\n" + (text.empty() ? "\\&" : escaped(text)) + "\n";
}

}  // namespace

std::string man_page(const CommandLine& line, const ManPage& page) {
  std::string out = fmt::format(".TH {} {} \"\" \"{}\" \"lade\"\n", escaped(page.name),
                                page.section, escaped(page.version));
  out += fmt::format(".SH NAME\n{} \\- {}\n", escaped(page.name), escaped(line.description()));
  out += fmt::format(".SH SYNOPSIS\n{}\n", bold(line.usage()));
  if (!line.words().empty()) {
    out += ".SH ARGUMENTS\n";
    for (const auto& word : line.words()) {
      out += entry("\\fI" + escaped(word->name()) + "\\fR", word->description);
    }
  }
  if (!page.commands.empty()) {
    out += ".SH COMMANDS\n";
    for (const auto& [name, summary] : page.commands) out += entry(bold(name), summary);
  }
  out += ".SH OPTIONS\n";
  for (const auto& option : line.options()) {
    if (!option->hidden) out += entry(option_label(*option), option->description);
  }
  if (!line.footer().empty()) out += ".PP\n" + escaped(line.footer()) + "\n";
  for (const auto& [title, paragraphs] : page.sections) {
    out += ".SH " + to_upper(title) + "\n";
    for (const auto& paragraph : paragraphs) out += ".PP\n" + escaped(paragraph) + "\n";
  }
  if (!page.see_also.empty()) {
    out += ".SH \"SEE ALSO\"\n";
    for (size_t i = 0; i < page.see_also.size(); ++i) {
      const std::string& other = page.see_also[i];
      const size_t parenthesis = other.find('(');
      out += fmt::format(".BR {} {}{}\n", escaped(other.substr(0, parenthesis)),
                         other.substr(parenthesis), i + 1 < page.see_also.size() ? "," : "");
    }
  }
  return out;
}

}  // namespace lade
