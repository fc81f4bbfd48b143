#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/json/json_reader.hpp"
#include "base/json/json_writer.hpp"

namespace lade {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string written(std::string_view text) {
  return JsonWriter().value(text).take();
}

TEST(JsonWriter, EscapesTextAsGoDoes) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"plain", R"("plain")"},
      {"<a> & \"b\" \\", R"("\u003ca\u003e \u0026 \"b\" \\")"},
      {"\b\f\n\r\t", R"("\b\f\n\r\t")"},
      {std::string_view("\0\x1f\x7f", 3), "\"\\u0000\\u001f\x7f\""},
      {"\u2027\u2028\u2029\u202a", "\"\u2027\\u2028\\u2029\u202a\""},
      {"snow \u2603 \U0001F600", "\"snow \u2603 \U0001F600\""},
      {"a/b'c", R"("a/b'c")"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(written(text), expected);
}

TEST(JsonWriter, ReplacesEachByteThatIsNotUtf8) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"a\xff"
       "b",
       R"("a\ufffdb")"},
      {"\xc3", R"("\ufffd")"},
      {"\xc0\x80", R"("\ufffd\ufffd")"},
      {"\xe0\x80\x80", R"("\ufffd\ufffd\ufffd")"},
      {"\xed\xa0\x80", R"("\ufffd\ufffd\ufffd")"},
      {"\xf4\x90\x80\x80", R"("\ufffd\ufffd\ufffd\ufffd")"},
      {"\xf0\x9f\x98", R"("\ufffd\ufffd\ufffd")"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(written(text), expected);
}

TEST(JsonWriter, IndentsAsMarshalIndent) {
  JsonWriter out(JsonWriter::Style::indented);
  out.begin_object().member("n", int64_t{-2}).key("list").begin_array().value("a");
  out.begin_object().end_object().end_array().key("none").begin_array().end_array();
  out.member("map", std::map<std::string, std::string>{{"b", "2"}, {"a", "1"}}).end_object();
  EXPECT_EQ(out.take(),
            "{\n  \"n\": -2,\n  \"list\": [\n    \"a\",\n    {}\n  ],\n  \"none\": [],\n"
            "  \"map\": {\n    \"a\": \"1\",\n    \"b\": \"2\"\n  }\n}");
}

TEST(JsonWriter, WritesScalarsCompactly) {
  JsonWriter out;
  out.begin_object().member("t", true).member("s", "x").member("u", UINT64_MAX);
  out.member_unless_empty("none", std::string()).end_object();
  EXPECT_EQ(out.take(), R"({"t":true,"s":"x","u":18446744073709551615})");
}

std::string json_failure(std::string_view json,
                         const std::function<void(const JsonValue&)>& read = {}) {
  try {
    const JsonDocument document(json, 1024, "thing");
    if (read) read(document.root());
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    return error.message();
  }
  return "no error";
}

TEST(JsonReader, RefusesWhatIsNoSoundObject) {
  EXPECT_EQ(json_failure(""), "thing is empty, not JSON");
  EXPECT_EQ(json_failure("{\"a\":1"), "thing is not valid JSON (line 1, column 7)");
  EXPECT_EQ(json_failure("{\n \"a\": secret}\n"), "thing is not valid JSON (line 2, column 7)");
  EXPECT_EQ(json_failure("\n <!DOCTYPE html><html>Please log in</html>"),
            "thing is a web page, not JSON");
  EXPECT_THAT(json_failure("{\"a\":\"\xff\"}"), HasSubstr("thing is not valid JSON"));
  EXPECT_THAT(json_failure("{} {}"), HasSubstr("thing is not valid JSON"));
  EXPECT_EQ(json_failure("[]"), "thing is not a JSON object");
  EXPECT_EQ(json_failure("null"), "thing is not a JSON object");
  EXPECT_EQ(json_failure(R"({"a":1,"b":{"a":2},"a":3})"), "thing has the field 'a' twice");
  EXPECT_EQ(json_failure(R"({"b":{"a":2,"a":2}})"), "thing has the field 'a' twice");
  EXPECT_EQ(json_failure("{\"a\":\"" + std::string(1024, 'x') + "\"}"),
            "thing has 1032 bytes, more than the 1024 allowed");
}

TEST(JsonReader, BoundsTheDepth) {
  const auto nested = [](int levels) {
    return "{\"a\":" + std::string(levels, '[') + std::string(levels, ']') + "}";
  };
  EXPECT_EQ(json_failure(nested(31)), "no error");
  EXPECT_EQ(json_failure(nested(32)), "thing is nested more than 32 levels deep");
}

TEST(JsonReader, ShortensAndEscapesTheInputInErrors) {
  const std::string message = json_failure("\"" + std::string(900, 'a') + "\x1b[31m");
  EXPECT_LT(message.size(), 300u);
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
}

TEST(JsonReader, NamesTheFieldThatHasTheWrongType) {
  EXPECT_EQ(json_failure(R"({"a":{"b":[1]}})", [](auto& root) { root["a"]["b"].strings(); }),
            "thing: field 'a.b[0]' is not a string");
  EXPECT_EQ(json_failure(R"({"a":{"k":1}})", [](auto& root) { root["a"].string_map(); }),
            "thing: field 'a.k' is not a string");
  EXPECT_EQ(json_failure(R"({"a":null})", [](auto& root) { root["a"].string(); }),
            "thing: field 'a' is missing");
  EXPECT_EQ(json_failure(R"({"a":[]})", [](auto& root) { root["a"]["b"]; }),
            "thing: field 'a' is not an object");
  EXPECT_EQ(json_failure(R"({"a":1.0})", [](auto& root) { root["a"].integer(); }),
            "thing: field 'a' is not an integer");
  EXPECT_EQ(json_failure(R"({"a":9223372036854775808})", [](auto& root) { root["a"].integer(); }),
            "thing: field 'a' is too large");
  EXPECT_EQ(json_failure(R"({"a":-1})", [](auto& root) { root["a"].size(); }),
            "thing: field 'a' is negative");
  EXPECT_EQ(json_failure(R"({"a":"md5:12"})", [](auto& root) { root["a"].digest(); }),
            "thing: field 'a' is not a usable digest: invalid digest 'md5:12': expected sha256: "
            "and 64 hex digits");
}

TEST(JsonReader, TakesNullForAbsent) {
  const JsonDocument document(R"({"a":null,"l":["x",null],"m":{"k":null}})", 100, "thing");
  const JsonValue root = document.root();
  EXPECT_FALSE(root["a"].present());
  EXPECT_EQ(root["a"].string_or_empty(), "");
  EXPECT_FALSE(root["a"].boolean_or_false());
  EXPECT_EQ(root["a"].integer_or_zero(), 0);
  EXPECT_TRUE(root["a"].strings().empty());
  EXPECT_TRUE(root["a"].keys().empty());
  EXPECT_THAT(root["l"].strings(), ElementsAre("x", ""));
  EXPECT_EQ(root["m"].string_map().at("k"), "");
}

TEST(ForeignJson, IsBoundedInDepth) {
  const auto nested = [](size_t levels) {
    return std::string(levels, '[') + std::string(levels, ']');
  };
  EXPECT_TRUE(parse_foreign_json(nested(128)).is_array());
  EXPECT_TRUE(parse_foreign_json(nested(129)).is_discarded());
  // Copying or writing these would overflow the stack.
  EXPECT_TRUE(parse_foreign_json(nested(1'000'000)).is_discarded());
  std::string objects;
  for (int i = 0; i < 200'000; ++i) objects += R"({"a":)";
  EXPECT_TRUE(parse_foreign_json(objects).is_discarded());
  EXPECT_TRUE(parse_foreign_json("{").is_discarded());
  // Brackets in strings nest nothing.
  EXPECT_TRUE(parse_foreign_json(R"(["\"\\)" + std::string(1000, '[') + R"("])").is_array());
}

TEST(ForeignJson, NumbersOutOfRangeAreMistakesInIt) {
  for (const char* text : {"7e888", R"({"a":1e999})", R"({"a":[-1e999]})"}) {
    try {
      const JsonDocument document(text, 1000, "the document");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt);
      EXPECT_THAT(error.message(), HasSubstr("the document has a number that is out of range"));
    }
    EXPECT_TRUE(parse_foreign_json(text).is_discarded());
  }
}

}  // namespace
}  // namespace lade
