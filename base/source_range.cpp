#include "base/source_range.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/shown_text.hpp"

namespace lade {
namespace {

constexpr size_t kLongestLine = 1000;

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    lines.push_back(line);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

}  // namespace

std::string to_string(const SourceRange& range) {
  const std::string name = range.file ? range.file->name : "<unknown>";
  if (range.first_line <= 0) return name;
  if (range.last_line <= range.first_line) return fmt::format("{}:{}", name, range.first_line);
  return fmt::format("{}:{}-{}", name, range.first_line, range.last_line);
}

std::string excerpt(const SourceRange& range, int around) {
  if (!range.file || range.first_line <= 0) return {};
  const auto lines = lines_of(range.file->text);
  const int count = static_cast<int>(lines.size());
  const int first = std::max(1, range.first_line - around);
  const int last = std::min(count, std::max(range.last_line, range.first_line) + around);
  std::string out;
  for (int number = first; number <= last; ++number) {
    const bool named = number >= range.first_line && number <= range.last_line;
    out += fmt::format("{:4} | {} {}\n", number, named ? ">>>" : "   ",
                       elided(lines[static_cast<size_t>(number - 1)], kLongestLine));
  }
  return out;
}

}  // namespace lade
