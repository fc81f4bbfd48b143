#include "parser/flags.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/hint.hpp"

namespace lade::parser {
namespace {

bool parse_boolean(const std::string& flag, const std::optional<std::string>& value) {
  if (!value) return true;
  const auto lower = to_lower(*value);
  if (lower == "true") return true;
  if (lower == "false") return false;
  if (lower.empty()) throw Error(fmt::format("missing a value on flag: --{}", flag));
  throw Error(fmt::format("expecting boolean value for flag --{}, not {}", flag, quoted(*value)));
}

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace

FlagReader& FlagReader::add(std::string name, Target target) {
  flags_.push_back({std::move(name), target});
  return *this;
}

FlagReader& FlagReader::text(std::string name, std::string& value) {
  return add(std::move(name), &value);
}
FlagReader& FlagReader::list(std::string name, std::vector<std::string>& values) {
  return add(std::move(name), &values);
}
FlagReader& FlagReader::boolean(std::string name, bool& value) {
  return add(std::move(name), &value);
}
FlagReader& FlagReader::boolean(std::string name, std::optional<bool>& value) {
  return add(std::move(name), &value);
}

FlagReader::Flag& FlagReader::find(const std::string& name) {
  std::vector<std::string> names;
  for (auto& flag : flags_) {
    if (flag.name == name) return flag;
    names.push_back(flag.name);
  }
  throw error_with_nearest(fmt::format("unknown flag: --{}", name), name, names, "--");
}

void FlagReader::read(const std::vector<std::string>& flags) {
  for (const auto& written : flags) {
    const auto equals = written.find('=');
    const auto name = written.substr(2, equals == std::string::npos ? equals : equals - 2);
    std::optional<std::string> value;
    if (equals != std::string::npos) value = written.substr(equals + 1);

    auto& flag = find(name);
    const bool repeatable = std::holds_alternative<std::vector<std::string>*>(flag.target);
    if (flag.used && !repeatable) {
      throw Error(fmt::format("duplicate flag specified: --{}", name));
    }
    flag.used = true;
    const auto required = [&] {
      if (!value) throw Error(fmt::format("missing a value on flag: --{}", name));
      return *value;
    };
    std::visit(Overloaded{
                   [&](std::string* target) { *target = required(); },
                   [&](std::vector<std::string>* target) { target->push_back(required()); },
                   [&](bool* target) { *target = parse_boolean(name, value); },
                   [&](std::optional<bool>* target) { *target = parse_boolean(name, value); },
               },
               flag.target);
  }
}

}  // namespace lade::parser
