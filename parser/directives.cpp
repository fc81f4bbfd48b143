#include "parser/directives.hpp"

#include <algorithm>
#include <set>

#include "parser/grammar.hpp"

namespace lade::parser {

std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return text;
}

std::string_view first_word(std::string_view value) {
  return value.substr(0, value.find(' '));
}

std::optional<Directive> find_directive(const std::shared_ptr<const SourceFile>& file,
                                        std::string_view key, std::string_view comment) {
  std::string_view text = without_byte_order_mark(file->text);
  std::set<std::string> seen;
  for (int number = 1; !text.empty(); ++number) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (number == 1 && line.starts_with("#!")) continue;
    if (!line.starts_with(comment)) return std::nullopt;
    auto found = directive(line.substr(comment.size()));
    if (!found || (found->key != "syntax" && found->key != "check" && found->key != "escape") ||
        !seen.insert(found->key).second) {
      return std::nullopt;
    }
    if (found->key == key) return Directive{std::move(found->value), {file, number, number}};
  }
  return std::nullopt;
}

}  // namespace lade::parser
