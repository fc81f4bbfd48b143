// Instructions that only change the image config.
#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/flags.hpp"
#include "parser/hint.hpp"
#include "parser/instruction.hpp"
#include "parser/unicode.hpp"

namespace lade::parser {
namespace {

constexpr std::string_view kBlanks = "\t\n\v\f\r ";

std::chrono::nanoseconds parse_interval(std::string_view flag, const std::string& value) {
  if (value.empty()) return {};
  const auto interval = duration(value);
  if (interval != std::chrono::nanoseconds::zero() && interval < std::chrono::milliseconds(1)) {
    throw Error(fmt::format("interval {} cannot be less than 1ms", quoted(flag)));
  }
  return interval;
}

int parse_retries(const std::string& value) {
  if (value.empty()) return 0;
  int retries = 0;
  const auto begin = value.data() + (value.starts_with('+') ? 1 : 0);
  const auto end = value.data() + value.size();
  const auto [rest, status] = std::from_chars(begin, end, retries);
  if (status != std::errc() || rest != end) {
    throw Error(fmt::format("invalid value for --retries: {}", quoted(value)));
  }
  if (retries < 0) throw Error(fmt::format("--retries cannot be negative ({})", retries));
  return retries;
}

// HEALTHCHECK's arguments: NONE or CMD, and what follows as words of an exec form or as one script.
struct Test {
  std::string type;  // upper case
  bool exec_form = false;
  std::vector<std::string> words;
};

Test split_test(const std::string& rest) {
  Test test;
  const auto type_end = std::min(rest.find_first_of(kBlanks), rest.size());
  test.type = to_upper(rest.substr(0, type_end));
  const auto arguments =
      rest.substr(std::min(rest.find_first_not_of(kBlanks, type_end), rest.size()));
  if (auto words = exec_form(arguments)) {
    test.exec_form = true;
    test.words = std::move(*words);
  } else if (!arguments.empty()) {
    test.words.push_back(arguments);
  }
  return test;
}

void check_trigger(const std::string& keyword, const CommandText& trigger, char escape) {
  constexpr std::array kExecForms{"ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"};
  if (keyword == "ENV" || keyword == "LABEL") {
    key_values(trigger, escape);
  } else if (keyword == "HEALTHCHECK") {
    split_test(trigger.rest);
  } else if (std::find(kExecForms.begin(), kExecForms.end(), keyword) != kExecForms.end()) {
    exec_form(trigger.rest);
  }
}

}  // namespace

Workdir parse_workdir(const Request& request) {
  auto path = sole_argument(request);
  FlagReader().read(request.command.flags);
  return {std::move(path)};
}

User parse_user(const Request& request) {
  auto user = sole_argument(request);
  FlagReader().read(request.command.flags);
  return {std::move(user)};
}

Maintainer parse_maintainer(const Request& request) {
  auto name = sole_argument(request);
  FlagReader().read(request.command.flags);
  return {std::move(name)};
}

// Flags of STOPSIGNAL are dropped without a look, as BuildKit does.
Stopsignal parse_stopsignal(const Request& request) {
  return {sole_argument(request)};
}

Volume parse_volume(const Request& request) {
  auto paths = list_arguments(request);
  if (paths.empty()) throw Error("VOLUME requires at least one argument");
  FlagReader().read(request.command.flags);
  for (auto& path : paths) {
    path = std::string(trim_space(path));
    if (path.empty()) throw Error("VOLUME specified can not be an empty string");
  }
  return {std::move(paths)};
}

Expose parse_expose(const Request& request) {
  auto ports = blank_separated(request.command.rest);
  if (ports.empty()) throw Error("EXPOSE requires at least one argument");
  FlagReader().read(request.command.flags);
  std::sort(ports.begin(), ports.end());
  return {std::move(ports)};
}

Healthcheck parse_healthcheck(const Request& request) {
  const auto& rest = request.command.rest;
  if (rest.empty()) throw Error("HEALTHCHECK requires at least one argument");
  const auto test = split_test(rest);
  Healthcheck check;
  if (test.type == "NONE") {
    // What it turns off, it does not look at: flags are ignored.
    if (!test.words.empty()) throw Error("HEALTHCHECK NONE takes no arguments");
    check.test = {"NONE"};
    return check;
  }
  std::string interval, timeout, start_period, start_interval, retries;
  FlagReader()
      .text("interval", interval)
      .text("timeout", timeout)
      .text("start-period", start_period)
      .text("start-interval", start_interval)
      .text("retries", retries)
      .read(request.command.flags);
  if (test.type != "CMD") {
    throw error_with_hint(fmt::format("unknown type {} in HEALTHCHECK", quoted(test.type)),
                          "did you mean HEALTHCHECK CMD?");
  }
  if (test.words.empty()) throw Error("missing command after HEALTHCHECK CMD");
  check.test = {test.exec_form ? "CMD" : "CMD-SHELL"};
  check.test.insert(check.test.end(), test.words.begin(), test.words.end());
  check.interval = parse_interval("interval", interval);
  check.timeout = parse_interval("timeout", timeout);
  check.start_period = parse_interval("start-period", start_period);
  check.start_interval = parse_interval("start-interval", start_interval);
  check.retries = parse_retries(retries);
  return check;
}

// Of the trigger only the shape of its words is checked: whether its instruction and flags exist is
// for the build that runs it to say.
Onbuild parse_onbuild(const Request& request) {
  const auto& text = request.command.rest;
  if (text.empty()) throw Error("ONBUILD requires at least one argument");
  FlagReader().read(request.command.flags);
  const auto trigger = split_command(text, request.escape);
  const auto keyword = to_upper(trigger.keyword);
  if (keyword == "ONBUILD") {
    throw Error("chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  }
  if (keyword == "MAINTAINER" || keyword == "FROM") {
    throw Error(fmt::format("{} isn't allowed as an ONBUILD trigger", keyword));
  }
  check_trigger(keyword, trigger, request.escape);
  // As it stands in the line, trailing blanks included: it becomes part of the image config.
  const std::string_view line = request.line.text;
  const auto keyword_end = line.find_first_of(kBlanks);
  Onbuild onbuild{std::string(line.substr(line.find_first_not_of("\t\n\f\r ", keyword_end)))};
  for (const auto& heredoc : request.line.heredocs) {
    onbuild.trigger += "\n" + heredoc.content + heredoc.name;
  }
  return onbuild;
}

}  // namespace lade::parser
