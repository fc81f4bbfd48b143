// From one logical line to one instruction.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "parser/ast.hpp"
#include "parser/grammar.hpp"
#include "parser/lines.hpp"

namespace lade::parser {

/// A logical line on its way to becoming an instruction; lives as long as the line.
struct Request {
  const LogicalLine& line;
  CommandText command;
  char escape;
};

/// FROM begins a stage, everything else is a command of one.
using Instruction = std::variant<From, CommandBody>;

struct ParsedLine {
  Origin origin;
  Instruction instruction;
};

/// Throws Error with the line's range.
ParsedLine parse_line(const LogicalLine& line, char escape);

// The instructions, by topic: instruction_run.cpp, _copy.cpp, _values.cpp, _config.cpp. They throw
// Error without a range.
Run parse_run(const Request& request);
Cmd parse_cmd(const Request& request);
Entrypoint parse_entrypoint(const Request& request);
Shell parse_shell(const Request& request);
Copy parse_copy(const Request& request);
Add parse_add(const Request& request);
Env parse_env(const Request& request);
Label parse_label(const Request& request);
Arg parse_arg(const Request& request);
From parse_from(const Request& request);
Workdir parse_workdir(const Request& request);
User parse_user(const Request& request);
Volume parse_volume(const Request& request);
Expose parse_expose(const Request& request);
Stopsignal parse_stopsignal(const Request& request);
Healthcheck parse_healthcheck(const Request& request);
Onbuild parse_onbuild(const Request& request);
Maintainer parse_maintainer(const Request& request);

/// What a comment `# NAME text` among `comments` says about `name`; empty if there is none.
std::string description_of(const std::vector<std::string>& comments, std::string_view name);

/// The whole rest of the line; throws if it is empty.
std::string sole_argument(const Request& request);

/// The arguments of ENV and LABEL; names may still be empty.
std::vector<KeyValue> key_values(const CommandText& command, char escape);

/// The rest of the line as an exec form or as blank-separated words.
std::vector<std::string> list_arguments(const Request& request);

}  // namespace lade::parser
