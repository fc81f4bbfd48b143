// Instructions that name values: ENV, LABEL, ARG and FROM.
#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/flags.hpp"
#include "parser/hint.hpp"
#include "parser/instruction.hpp"

namespace lade::parser {
namespace {

constexpr std::string_view kLineBlanks = "\t\v\f\r ";

// `name value with blanks`, from the time before "=". The value is all the rest as it stands.
KeyValue parse_old_form(const std::string& rest, std::string_view keyword) {
  const auto name_end = rest.find_first_of(kLineBlanks);
  if (name_end == std::string::npos) {
    throw error_with_hint(fmt::format("{} must have two arguments", keyword),
                          fmt::format("{} name=value", keyword));
  }
  const auto value = rest.find_first_not_of(kLineBlanks, name_end);
  return {rest.substr(0, name_end), rest.substr(value), true};
}

std::vector<KeyValue> parse_key_values(const Request& request, std::string_view keyword) {
  FlagReader().read(request.command.flags);
  auto values = key_values(request.command, request.escape);
  if (values.empty()) throw Error(fmt::format("{} requires at least one argument", keyword));
  for (const auto& value : values) {
    if (value.key.empty()) throw Error(fmt::format("{} names can not be blank", keyword));
  }
  return values;
}

bool is_stage_name(std::string_view name) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto is_inner = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(), is_inner);
}

}  // namespace

// The first word decides which form the whole line has.
std::vector<KeyValue> key_values(const CommandText& command, char escape) {
  const auto words = quoted_words(command.rest, escape);
  std::vector<KeyValue> values;
  if (words.empty()) return values;
  if (words.front().find('=') == std::string::npos) {
    return {parse_old_form(command.rest, to_upper(command.keyword))};
  }
  for (const auto& word : words) {
    const auto equals = word.find('=');
    if (equals == std::string::npos) {
      throw Error(
          fmt::format("can't find = in {}: it must be of the form name=value", quoted(word)));
    }
    values.push_back({word.substr(0, equals), word.substr(equals + 1), false});
  }
  return values;
}

Env parse_env(const Request& request) {
  return {parse_key_values(request, "ENV")};
}

Label parse_label(const Request& request) {
  return {parse_key_values(request, "LABEL")};
}

// Flags of ARG are dropped without a look, as BuildKit does.
Arg parse_arg(const Request& request) {
  Arg arg;
  for (const auto& word : quoted_words(request.command.rest, request.escape)) {
    const auto equals = word.find('=');
    if (equals == 0) throw Error("ARG names can not be blank");
    ArgDeclaration declaration{word.substr(0, equals), std::nullopt, {}};
    if (equals != std::string::npos) declaration.value = word.substr(equals + 1);
    declaration.description = description_of(request.line.comments, declaration.name);
    arg.arguments.push_back(std::move(declaration));
  }
  if (arg.arguments.empty()) throw Error("ARG requires at least one argument");
  return arg;
}

From parse_from(const Request& request) {
  const auto words = blank_separated(request.command.rest);
  From from;
  if (words.size() == 3 && to_lower(words[1]) == "as") {
    from.as_keyword = words[1];
    from.name_as_written = words[2];
    from.name = to_lower(words[2]);
    if (!is_stage_name(from.name)) {
      throw error_with_hint(
          fmt::format("invalid name for build stage: {}", quoted(words[2])),
          "stage names begin with a letter and go on with letters, digits, '-', '_', '.'");
    }
  } else if (words.size() != 1) {
    throw error_with_hint("FROM requires either one or three arguments",
                          "FROM image, or FROM image AS name");
  }
  FlagReader().text("platform", from.platform).read(request.command.flags);
  from.image = words.front();
  from.description = description_of(request.line.comments, from.name);
  return from;
}

}  // namespace lade::parser
