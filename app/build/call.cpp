#include "app/build/call.hpp"

#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "builder/options/csv.hpp"
#include "parser/grammar.hpp"

namespace lade {
namespace {

const std::vector<std::pair<std::string, CallMethod>> kMethods{
    {"build", CallMethod::build},     {"check", CallMethod::check},
    {"outline", CallMethod::outline}, {"targets", CallMethod::targets},
    {"lint", CallMethod::check},      {"subrequests.describe", CallMethod::describe}};

CallMethod method_of(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [known, method] : kMethods) {
    if (known == name) return method;
    names.push_back(known);
  }
  Error error(fmt::format("--call: {} is not one of: build, check, outline, targets", quoted(name)),
              ErrorKind::usage);
  if (const auto meant = nearest(name, names); !meant.empty()) {
    error.set_hint("did you mean " + meant + "?");
  }
  throw error;
}

}  // namespace

Call parse_call(const std::string& text) {
  Call call;
  bool named = false;
  for (const auto& field : parse_csv(text)) {
    const auto equals = field.find('=');
    if (equals == std::string::npos) {
      if (std::exchange(named, true)) {
        throw Error(fmt::format("--call: {} names two methods", quoted(text)), ErrorKind::usage);
      }
      call.method = method_of(field);
      continue;
    }
    const std::string key = field.substr(0, equals);
    const std::string value = field.substr(equals + 1);
    if (key == "format") {
      if (value != "json" && value != "text") {
        throw Error(fmt::format("--call: format {} is not one of: text, json", quoted(value)),
                    ErrorKind::usage);
      }
      call.json = value == "json";
    } else if (key == "ignorestatus") {
      const auto ignore = parser::boolean(value);
      if (!ignore) {
        throw Error(fmt::format("--call: ignorestatus {} is not true or false", quoted(value)),
                    ErrorKind::usage);
      }
      call.ignore_status = *ignore;
    } else {
      throw Error(fmt::format("--call has no option {}", quoted(key)), ErrorKind::usage);
    }
  }
  return call;
}

}  // namespace lade
