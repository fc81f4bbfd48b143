#include "builder/report/lint_report.hpp"

#include <cstdio>
#include <exception>

#include <fmt/format.h>

#include "base/shown_text.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

constexpr size_t kLongestLine = 1000;

}  // namespace

std::string source_excerpt(const SourceRange& range) {
  if (!range.file || range.first_line <= 0) return {};
  const auto lines = split(range.file->text, '\n');
  const int count = static_cast<int>(lines.size());
  if (range.first_line > count) return {};
  int first = range.first_line;
  int last = std::min(std::max(range.last_line, range.first_line), count);
  // BuildKit's padding: lines on both sides in turn until there are two (around one line: four)
  // more.
  const int wanted = first == last ? 4 : 2;
  for (int padding = 0; padding < wanted; ++padding) {
    if (first > 1) {
      --first;
      ++padding;
    }
    if (last < count) {
      ++last;
      ++padding;
    }
  }
  const std::string rule(20, '-');
  std::string out = fmt::format("{}:{}\n{}\n", range.file->name, range.first_line, rule);
  for (int number = first; number <= last; ++number) {
    const bool named = number >= range.first_line && number <= range.last_line;
    out += fmt::format(" {:3} | {} {}\n", number, named ? ">>>" : "   ",
                       elided(lines[static_cast<size_t>(number - 1)], kLongestLine));
  }
  return out + rule + "\n";
}

std::string warnings_text(const std::vector<parser::Warning>& warnings, bool expand) {
  if (warnings.empty()) return {};
  std::string out =
      fmt::format("\n {} warning{} found{}:\n", warnings.size(), warnings.size() == 1 ? "" : "s",
                  expand ? "" : " (use --debug to expand)");
  for (const auto& warning : warnings) {
    out += fmt::format(" - {}: {}", warning.rule->name, warning.message);
    if (warning.range.first_line > 0) out += fmt::format(" (line {})", warning.range.first_line);
    out += '\n';
    if (!expand) continue;
    out += fmt::format("{}\n", warning.rule->description);
    if (!warning.rule->url.empty()) out += fmt::format("More info: {}\n", warning.rule->url);
    out += source_excerpt(warning.range) + "\n";
  }
  return out;
}

WarningsAtEnd::~WarningsAtEnd() {
  try {
    const std::string text = warnings_text(linter_.warnings(), expand_);
    std::fwrite(text.data(), 1, text.size(), stderr);
  } catch (const std::exception&) {
    // No memory for a courtesy.
  }
}

}  // namespace lade
