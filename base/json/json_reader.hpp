// Reading JSON documents that somebody else wrote: every mistake in them is an Error(corrupt) that
// names the field, never a crash. nlohmann::json stays behind this header, which keeps it out of
// everybody's compile time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/digest.hpp"

namespace lade {

/// A value of a document and its place ("config.Env[3]"). `null` counts as absent. Borrows from its
/// JsonDocument, which must outlive it.
class JsonValue {
 public:
  JsonValue(const nlohmann::json* value, std::string path, std::string_view document);

  bool present() const { return value_ != nullptr; }
  /// A member; this value must be an object. An absent one gives an absent value.
  JsonValue operator[](std::string_view key) const;

  // These throw Error(corrupt) if the value is absent or of another type.
  std::string string() const;
  int64_t integer() const;
  uint64_t size() const;  ///< a number of bytes: not negative
  Digest digest() const;

  // These give an empty value if it is absent; a null element is an empty string, as in Go.
  std::string string_or_empty() const;
  bool boolean_or_false() const;
  int64_t integer_or_zero() const;
  std::vector<std::string> strings() const;
  std::map<std::string, std::string> string_map() const;
  std::set<std::string> keys() const;
  /// Calls `body` for each element of an array.
  void each(const std::function<void(const JsonValue&)>& body) const;

  /// Error(corrupt): "`document`: field 'path' `problem`".
  [[noreturn]] void fail(std::string_view problem) const;

 private:
  const nlohmann::json& require(std::string_view type, bool matches) const;

  const nlohmann::json* value_;
  std::string path_;
  std::string_view document_;
};

/// What is wrong with text that is not JSON, without a word of it, as it may be secret: "is not
/// valid JSON (line 2, column 7)", "is a web page, not JSON". `offset`: of the byte, from 1 on, at
/// which a parser stopped.
std::string why_not_json(std::string_view text, size_t offset);
/// What to do about that; empty where we do not know.
std::string not_json_hint(std::string_view text);

/// Of whatever form; discarded (`is_discarded()`) if it is malformed or nests more than 128 levels.
/// Everything foreign that is no JsonDocument goes through this: copying and writing a value
/// recurse a level a level.
nlohmann::json parse_foreign_json(std::string_view text);

class JsonDocument {
 public:
  /// Parses `bytes`, which `name` ("image config") calls in errors. Throws Error(corrupt) for more
  /// than `limit` bytes, malformed JSON, text that is not UTF-8, more than 32 nested levels, a key
  /// that occurs twice in an object (two readers might take either), or a root that is no object.
  JsonDocument(std::string_view bytes, uint64_t limit, std::string name);
  ~JsonDocument();
  JsonDocument(const JsonDocument&) = delete;
  JsonDocument& operator=(const JsonDocument&) = delete;

  JsonValue root() const;

 private:
  std::string name_;
  std::unique_ptr<nlohmann::json> json_;
};

}  // namespace lade
