#include "builder/options/csv.hpp"

#include "base/error.hpp"

namespace lade {

std::vector<std::string> parse_csv(const std::string& text) {
  std::vector<std::string> fields(1);
  bool in_quotes = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_quotes) {
      if (c != '"') {
        fields.back() += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        fields.back() += text[++i];
      } else {
        in_quotes = false;
      }
    } else if (c == '"' && fields.back().empty()) {
      in_quotes = true;
    } else if (c == ',') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  if (in_quotes) throw Error("a quote does not end in " + lade::quoted(text), ErrorKind::usage);
  return fields;
}

}  // namespace lade
