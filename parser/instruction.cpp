#include "parser/instruction.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/hint.hpp"
#include "parser/unicode.hpp"

namespace lade::parser {
namespace {

using Parser = Instruction (*)(const Request&);

template <auto parse>
Instruction command(const Request& request) {
  return CommandBody(parse(request));
}

struct Keyword {
  std::string_view name;
  Parser parse;
};

constexpr std::array<Keyword, 18> kKeywords{{
    {"ADD", command<parse_add>},
    {"ARG", command<parse_arg>},
    {"CMD", command<parse_cmd>},
    {"COPY", command<parse_copy>},
    {"ENTRYPOINT", command<parse_entrypoint>},
    {"ENV", command<parse_env>},
    {"EXPOSE", command<parse_expose>},
    {"FROM", [](const Request& request) { return Instruction(parse_from(request)); }},
    {"HEALTHCHECK", command<parse_healthcheck>},
    {"LABEL", command<parse_label>},
    {"MAINTAINER", command<parse_maintainer>},
    {"ONBUILD", command<parse_onbuild>},
    {"RUN", command<parse_run>},
    {"SHELL", command<parse_shell>},
    {"STOPSIGNAL", command<parse_stopsignal>},
    {"USER", command<parse_user>},
    {"VOLUME", command<parse_volume>},
    {"WORKDIR", command<parse_workdir>},
}};

Parser find_parser(const std::string& written) {
  const auto upper = to_upper(written);
  std::vector<std::string> names;
  for (const auto& keyword : kKeywords) {
    if (keyword.name == upper) return keyword.parse;
    names.emplace_back(keyword.name);
  }
  throw error_with_nearest(fmt::format("unknown instruction: {}", quoted(written)), upper, names);
}

}  // namespace

ParsedLine parse_line(const LogicalLine& line, char escape) {
  try {
    Request request{line, split_command(line.text, escape), escape};
    Instruction instruction = find_parser(request.command.keyword)(request);
    return {{line.range, request.command.keyword, std::string(trim_space(line.text)),
             std::move(request.command.flags), line.comments},
            std::move(instruction)};
  } catch (Error& error) {
    error.add_range(line.range);
    throw;
  }
}

std::string description_of(const std::vector<std::string>& comments, std::string_view name) {
  if (name.empty()) return {};
  const auto prefix = std::string(name) + " ";
  const auto comment = std::find_if(comments.begin(), comments.end(), [&](const std::string& text) {
    return text.starts_with(prefix);
  });
  return comment == comments.end() ? std::string() : comment->substr(prefix.size());
}

std::string sole_argument(const Request& request) {
  if (request.command.rest.empty()) {
    throw Error(fmt::format("{} requires exactly one argument", to_upper(request.command.keyword)));
  }
  return request.command.rest;
}

std::vector<std::string> list_arguments(const Request& request) {
  if (auto words = exec_form(request.command.rest)) return std::move(*words);
  return blank_separated(request.command.rest);
}

}  // namespace lade::parser
