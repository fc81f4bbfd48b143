#include "parser/dockerignore.hpp"

#include "base/error.hpp"
#include "base/source_range.hpp"
#include "base/text.hpp"
#include "parser/unicode.hpp"

namespace lade::parser {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// One line as a pattern; empty if it is none.
std::string to_pattern(std::string_view line) {
  if (line.starts_with('#')) return {};
  line = trim_space(line);
  if (line.empty()) return {};
  const bool exception = line.starts_with('!');
  if (exception) line = trim_space(line.substr(1));
  std::string pattern = line.empty() ? std::string() : clean_path(line);
  if (pattern.size() > 1 && pattern.front() == '/') pattern.erase(0, 1);
  return exception ? "!" + pattern : pattern;
}

}  // namespace

Dockerignore Dockerignore::parse(std::string text, std::string name) {
  const auto file =
      std::make_shared<const SourceFile>(SourceFile{std::move(name), std::move(text)});
  Dockerignore result;
  std::string_view rest = file->text;
  if (rest.starts_with(kByteOrderMark)) rest.remove_prefix(kByteOrderMark.size());
  for (int number = 1; !rest.empty(); ++number) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    auto pattern = to_pattern(line);
    if (pattern.empty()) continue;
    try {
      PatternMatcher check({pattern});
    } catch (Error& error) {
      error.add_range({file, number, number});
      throw;
    }
    result.patterns_.push_back(std::move(pattern));
    result.lines_.push_back(number);
  }
  result.matcher_ = PatternMatcher(result.patterns_);
  return result;
}

}  // namespace lade::parser
