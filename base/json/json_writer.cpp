#include "base/json/json_writer.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace lade {
namespace {

constexpr std::string_view kReplacement = "\\ufffd";

/// The length of the UTF-8 sequence at the start of `text`, 0 if there is no valid one (RFC 3629:
/// no overlong forms, no surrogates, nothing beyond U+10FFFF).
size_t utf8_length(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  if ((lead == 0xe0 && at(1) < 0xa0) || (lead == 0xed && at(1) > 0x9f) ||
      (lead == 0xf0 && at(1) < 0x90) || (lead == 0xf4 && at(1) > 0x8f)) {
    return 0;
  }
  return length;
}

/// The escape of an ASCII character that cannot stand for itself, or empty. Go escapes <, > and &
/// too, so that JSON may be embedded in HTML.
std::string ascii_escape(char c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '<':
    case '>':
    case '&':
      return fmt::format("\\u{:04x}", static_cast<int>(c));
    default:
      return static_cast<unsigned char>(c) < 0x20 ? fmt::format("\\u{:04x}", static_cast<int>(c))
                                                  : std::string();
  }
}

}  // namespace

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  write_text(name);
  out_ += indented_ ? ": " : ":";
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  separate();
  write_text(text);
  return *this;
}

JsonWriter& JsonWriter::value(int64_t number) {
  separate();
  out_ += std::to_string(number);
  return *this;
}

JsonWriter& JsonWriter::value(uint64_t number) {
  separate();
  out_ += std::to_string(number);
  return *this;
}

JsonWriter& JsonWriter::value(bool flag) {
  separate();
  out_ += flag ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::value(const std::vector<std::string>& texts) {
  begin_array();
  for (const auto& text : texts) value(text);
  return end_array();
}

JsonWriter& JsonWriter::value(const std::map<std::string, std::string>& members) {
  begin_object();
  for (const auto& [name, text] : members) member(name, text);
  return end_object();
}

JsonWriter& JsonWriter::begin(char bracket) {
  separate();
  out_ += bracket;
  ++depth_;
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::end(char bracket) {
  --depth_;
  if (!first_) new_line();
  out_ += bracket;
  first_ = false;
  return *this;
}

void JsonWriter::separate() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (depth_ == 0) return;
  if (!first_) out_ += ',';
  first_ = false;
  new_line();
}

void JsonWriter::new_line() {
  if (!indented_) return;
  out_ += '\n';
  out_.append(2 * depth_, ' ');
}

void JsonWriter::write_text(std::string_view text) {
  out_ += '"';
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const std::string_view symbol = text.substr(0, length);
    if (length == 0) {
      out_ += kReplacement;
    } else if (length == 1) {
      const std::string escape = ascii_escape(symbol[0]);
      out_ += escape.empty() ? symbol : escape;
    } else if (symbol == "\u2028" || symbol == "\u2029") {
      // Line separators end a line in JavaScript before ES2019.
      out_ += symbol == "\u2028" ? "\\u2028" : "\\u2029";
    } else {
      out_ += symbol;
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  out_ += '"';
}

}  // namespace lade
