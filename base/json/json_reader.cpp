#include "base/json/json_reader.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 32;

[[noreturn]] void corrupt(std::string message) {
  throw Error(std::move(message), ErrorKind::corrupt);
}

/// Watches the parser for what it would accept: deep nesting and duplicate keys.
class Watcher {
 public:
  explicit Watcher(const std::string& name) : name_(name) {}

  bool operator()(int depth, json::parse_event_t event, const json& value) {
    switch (event) {
      case json::parse_event_t::object_start:
        check_depth(depth);
        keys_.emplace_back();
        break;
      case json::parse_event_t::array_start:
        check_depth(depth);
        break;
      case json::parse_event_t::key:
        if (!keys_.back().insert(value.get<std::string>()).second) {
          corrupt(fmt::format("{} has the field {} twice", name_,
                              lade::quoted(value.get_ref<const std::string&>())));
        }
        break;
      case json::parse_event_t::object_end:
        keys_.pop_back();
        break;
      default:
        break;
    }
    return true;
  }

 private:
  void check_depth(int depth) const {
    if (depth >= kMaxDepth) {
      corrupt(fmt::format("{} is nested more than {} levels deep", name_, kMaxDepth));
    }
  }

  const std::string& name_;
  std::vector<std::set<std::string>> keys_;
};

bool is_web_page(std::string_view text) {
  return trim(text).starts_with('<');
}

/// How deep brackets nest, in text that need not be JSON.
size_t nesting(std::string_view text) {
  size_t depth = 0;
  size_t deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

std::string why_not_json(std::string_view text, size_t offset) {
  if (trim(text).empty()) return "is empty, not JSON";
  if (is_web_page(text)) return "is a web page, not JSON";
  const std::string_view before =
      text.substr(0, std::min(std::max<size_t>(offset, 1) - 1, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t start = before.rfind('\n') + 1;  // 0 if there is none
  return fmt::format("is not valid JSON (line {}, column {})", line, before.size() - start + 1);
}

std::string not_json_hint(std::string_view text) {
  return is_web_page(text) ? "a login page or a proxy may have answered in the server's place" : "";
}

nlohmann::json parse_foreign_json(std::string_view text) {
  constexpr size_t kMaxForeignDepth = 128;
  if (nesting(text) > kMaxForeignDepth) return json(json::value_t::discarded);
  return json::parse(text, nullptr, false);
}

JsonDocument::JsonDocument(std::string_view bytes, uint64_t limit, std::string name)
    : name_(std::move(name)) {
  if (bytes.size() > limit) {
    corrupt(fmt::format("{} has {} bytes, more than the {} allowed", name_, bytes.size(), limit));
  }
  try {
    // Called by reference: nlohmann copies the callback it is given.
    Watcher watcher(name_);
    json_ = std::make_unique<json>(
        json::parse(bytes, [&](int depth, json::parse_event_t event, json& value) {
          return watcher(depth, event, value);
        }));
  } catch (const json::parse_error& problem) {
    Error error(name_ + " " + why_not_json(bytes, problem.byte), ErrorKind::corrupt);
    error.set_hint(not_json_hint(bytes));
    throw error;
  } catch (const json::out_of_range&) {
    corrupt(name_ + " has a number that is out of range");
  }
  if (!json_->is_object()) corrupt(name_ + " is not a JSON object");
}

JsonDocument::~JsonDocument() = default;

JsonValue JsonDocument::root() const {
  return {json_.get(), "", name_};
}

JsonValue::JsonValue(const json* value, std::string path, std::string_view document)
    : value_(value && !value->is_null() ? value : nullptr),
      path_(std::move(path)),
      document_(document) {}

void JsonValue::fail(std::string_view problem) const {
  corrupt(fmt::format("{}: field {} {}", document_, lade::quoted(path_), problem));
}

const json& JsonValue::require(std::string_view type, bool matches) const {
  if (!value_) fail("is missing");
  if (!matches) fail(fmt::format("is not {}", type));
  return *value_;
}

JsonValue JsonValue::operator[](std::string_view key) const {
  const json& object = require("an object", value_ && value_->is_object());
  const auto member = object.find(key);
  return {member == object.end() ? nullptr : &*member,
          path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key), document_};
}

std::string JsonValue::string() const {
  return require("a string", value_ && value_->is_string()).get<std::string>();
}

int64_t JsonValue::integer() const {
  const json& number = require("an integer", value_ && value_->is_number_integer());
  if (number.is_number_unsigned() &&
      number.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()}) {
    fail("is too large");
  }
  return number.get<int64_t>();
}

uint64_t JsonValue::size() const {
  const int64_t value = integer();
  if (value < 0) fail("is negative");
  return static_cast<uint64_t>(value);
}

Digest JsonValue::digest() const {
  const std::string text = string();
  try {
    return Digest::parse(text);
  } catch (const Error& error) {
    fail("is not a usable digest: " + error.message());
  }
}

std::string JsonValue::string_or_empty() const {
  return present() ? string() : std::string();
}

bool JsonValue::boolean_or_false() const {
  return present() && require("a boolean", value_->is_boolean()).get<bool>();
}

int64_t JsonValue::integer_or_zero() const {
  return present() ? integer() : 0;
}

std::vector<std::string> JsonValue::strings() const {
  std::vector<std::string> out;
  each([&](const JsonValue& element) { out.push_back(element.string_or_empty()); });
  return out;
}

std::map<std::string, std::string> JsonValue::string_map() const {
  std::map<std::string, std::string> out;
  if (!present()) return out;
  for (const auto& [key, value] : require("an object", value_->is_object()).items()) {
    if (!value.is_null() && !value.is_string()) (*this)[key].fail("is not a string");
    out.emplace(key, value.is_null() ? std::string() : value.get<std::string>());
  }
  return out;
}

std::set<std::string> JsonValue::keys() const {
  std::set<std::string> out;
  if (!present()) return out;
  for (const auto& item : require("an object", value_->is_object()).items()) out.insert(item.key());
  return out;
}

void JsonValue::each(const std::function<void(const JsonValue&)>& body) const {
  if (!present()) return;
  size_t index = 0;
  for (const json& element : require("an array", value_->is_array())) {
    body({&element, fmt::format("{}[{}]", path_, index++), document_});
  }
}

}  // namespace lade
