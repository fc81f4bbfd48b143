// Writing JSON byte for byte as Go's encoding/json does (Marshal and MarshalIndent). Go wrote
// nearly all images there are, so that equal documents get equal digests only if the bytes agree.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lade {

/// Builds one document front to back. The caller keeps begin and end in balance; members appear in
/// the order they are written.
class JsonWriter {
 public:
  enum class Style {
    compact,   ///< json.Marshal
    indented,  ///< json.MarshalIndent with two spaces
  };
  explicit JsonWriter(Style style = Style::compact) : indented_(style == Style::indented) {}

  JsonWriter& begin_object() { return begin('{'); }
  JsonWriter& end_object() { return end('}'); }
  JsonWriter& begin_array() { return begin('['); }
  JsonWriter& end_array() { return end(']'); }
  JsonWriter& key(std::string_view name);

  /// Text that is not UTF-8 becomes U+FFFD, as in Go.
  JsonWriter& value(std::string_view text);
  JsonWriter& value(int64_t number);
  JsonWriter& value(uint64_t number);
  JsonWriter& value(bool flag);
  /// Without this a string literal would convert to bool.
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::vector<std::string>& texts);
  JsonWriter& value(const std::map<std::string, std::string>& members);

  template <class Value>
  JsonWriter& member(std::string_view name, const Value& contents) {
    return key(name).value(contents);
  }
  /// Go's `omitempty`: writes nothing for an empty string, array or map.
  template <class Value>
  JsonWriter& member_unless_empty(std::string_view name, const Value& contents) {
    return contents.empty() ? *this : member(name, contents);
  }

  std::string take() { return std::move(out_); }

 private:
  JsonWriter& begin(char bracket);
  JsonWriter& end(char bracket);
  void separate();
  void new_line();
  void write_text(std::string_view text);

  std::string out_;
  size_t depth_ = 0;
  bool indented_;
  bool first_ = true;       ///< nothing stands yet between the innermost brackets
  bool after_key_ = false;  ///< the next value belongs to a key
};

}  // namespace lade
