#include "app/build_values.hpp"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "solver/ulimit.hpp"

namespace lade {
namespace {

/// All of `text` as a number, or nothing.
template <class Number>
std::optional<Number> whole_number(std::string_view text) {
  Number value{};
  const auto end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (text.empty() || result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

}  // namespace

uint64_t parse_bytes(const std::string& text) {
  const auto unit_at = text.find_first_not_of("0123456789.");
  const auto number = whole_number<double>(text.substr(0, unit_at));
  std::string unit =
      unit_at == std::string::npos ? "" : to_lower(std::string(trim(text.substr(unit_at))));
  if (unit.ends_with("ib")) {
    unit.resize(unit.size() - 2);
  } else if (unit.ends_with('b')) {
    unit.pop_back();
  }
  constexpr std::string_view kUnits = "kmgtp";
  const size_t power = unit.empty() ? 0 : kUnits.find(unit) + 1;
  if (!number || unit.size() > 1 || (!unit.empty() && power == 0)) {
    throw Error(lade::quoted(text) + " is not a size like 64m or 1g");
  }
  const double bytes = *number * std::pow(1024.0, static_cast<double>(power));
  if (!(bytes < 9e18)) throw Error(lade::quoted(text) + " is too large");
  return static_cast<uint64_t>(bytes);
}

Ulimit parse_ulimit(const std::string& text) {
  const auto equals = text.find('=');
  Ulimit limit;
  limit.name = text.substr(0, equals);
  if (equals == std::string::npos || limit.name.empty()) {
    throw Error(lade::quoted(text) + " is not of the form NAME=SOFT[:HARD]");
  }
  if (!ulimit_resource(limit.name)) {
    Error error("there is no limit " + lade::quoted(limit.name));
    if (const auto meant = nearest(limit.name, ulimit_names()); !meant.empty()) {
      error.set_hint("did you mean " + meant + "?");
    }
    throw error;
  }
  const auto values = split(text.substr(equals + 1), ':');
  const auto soft = whole_number<int64_t>(values.front());
  const auto hard = values.size() == 2 ? whole_number<int64_t>(values.back()) : soft;
  if (values.size() > 2 || !soft || !hard || *soft < -1 || *hard < -1) {
    throw Error(lade::quoted(text) + ": limits are numbers, or -1 for none");
  }
  if (*hard != -1 && (*soft == -1 || *soft > *hard)) {
    throw Error(fmt::format("{}: the soft limit is above the hard one", lade::quoted(text)));
  }
  limit.soft = *soft;
  limit.hard = *hard;
  return limit;
}

int parse_count(const std::string& text) {
  const auto count = whole_number<int>(text);
  if (!count || *count < 0) throw Error(lade::quoted(text) + " is not a number of attempts");
  return *count;
}

std::chrono::nanoseconds parse_duration(const std::string& text) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"ms", 1e6}, {"us", 1e3}, {"ns", 1}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  std::string_view rest = text;
  double total = 0;
  while (!rest.empty()) {
    const auto unit_at = std::min(rest.find_first_not_of("0123456789."), rest.size());
    const auto number = whole_number<double>(rest.substr(0, unit_at));
    rest.remove_prefix(unit_at);
    double factor = 0;
    for (const auto& [unit, nanoseconds] : kUnits) {
      if (factor != 0 || !rest.starts_with(unit)) continue;
      factor = nanoseconds;
      rest.remove_prefix(unit.size());
    }
    if (!number || factor == 0) total = -1;
    if (total < 0) break;
    total += *number * factor;
  }
  if (text.empty() || total <= 0 || total > 9e18) {
    throw Error(lade::quoted(text) + " is not a duration like 90s or 10m");
  }
  return std::chrono::nanoseconds(static_cast<int64_t>(total));
}

}  // namespace lade
