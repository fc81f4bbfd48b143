#include "builder/options/build_values.hpp"

#include <charconv>
#include <map>
#include <optional>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "builder/options/host_gateway.hpp"
#include "builder/options/usage.hpp"
#include "parser/grammar.hpp"
#include "solver/ops/ulimit.hpp"

namespace lade {
namespace {

constexpr int64_t kMost = 9'000'000'000'000'000'000;

bool is_address(const std::string& text) {
  in6_addr bytes{};
  return ::inet_pton(AF_INET, text.c_str(), &bytes) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &bytes) == 1;
}

std::string without_brackets(const std::string& text) {
  const bool has = text.size() > 2 && text.starts_with('[') && text.ends_with(']');
  return has ? text.substr(1, text.size() - 2) : text;
}

/// All of `text` as a number, or nothing.
template <class Number>
std::optional<Number> whole_number(std::string_view text) {
  Number value{};
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = result.ptr == text.data() + text.size();
  if (text.empty() || result.ec != std::errc() || !whole) return std::nullopt;
  return value;
}

template <class Number>
Number positive(const std::string& name, const std::string& text, std::optional<Number> value) {
  if (!value || *value <= Number{0}) {
    throw Error(fmt::format("invalid {} value {}: it must be above 0", name, lade::quoted(text)));
  }
  return *value;
}

/// "0-3,5", as the kernel lists CPUs and memory nodes.
const std::string& cpu_list(const std::string& name, const std::string& text) {
  for (const auto& range : split(text, ',')) {
    const auto dash = range.find('-');
    const auto first = whole_number<uint32_t>(range.substr(0, dash));
    const auto last =
        dash == std::string::npos ? first : whole_number<uint32_t>(range.substr(dash + 1));
    if (first && last && *first <= *last) continue;
    throw Error(
        fmt::format("invalid {} value {}: it must be a list like 0-3,5", name, lade::quoted(text)));
  }
  return text;
}

}  // namespace

uint64_t parse_bytes(const std::string& text) {
  const auto bytes = parser::byte_size(text);
  if (!bytes) throw Error(lade::quoted(text) + " is not a size like 64m or 1g");
  if (*bytes >= kMost) throw Error(lade::quoted(text) + " is too large");
  return static_cast<uint64_t>(*bytes);
}

DiskShare parse_disk_share(const std::string& text) {
  if (!text.ends_with('%')) return {.bytes = parse_bytes(text)};
  const auto percent = whole_number<unsigned>(text.substr(0, text.size() - 1));
  if (!percent || *percent < 1 || *percent > 100) {
    throw Error(lade::quoted(text) + " is not a share of the disk between 1% and 100%");
  }
  return {.percent = *percent};
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

const std::vector<std::string>& resource_names() {
  static const std::vector<std::string> names = {"memory",      "memory-swap", "cpu-shares",
                                                 "cpu-period",  "cpu-quota",   "cpuset-cpus",
                                                 "cpuset-mems", "pids"};
  return names;
}

void set_resource(CgroupLimits& limits, const std::string& name, const std::string& value) {
  if (name == "memory") {
    limits.memory = static_cast<int64_t>(positive(name, value, std::optional(parse_bytes(value))));
  } else if (name == "memory-swap") {
    limits.memory_swap =
        value == "-1"
            ? -1
            : static_cast<int64_t>(positive(name, value, std::optional(parse_bytes(value))));
  } else if (name == "cpu-shares") {
    limits.cpu_shares = positive(name, value, whole_number<uint64_t>(value));
  } else if (name == "cpu-period") {
    limits.cpu_period = positive(name, value, whole_number<uint64_t>(value));
  } else if (name == "pids") {
    limits.pids = parse_pids(name, value);
  } else if (name == "cpu-quota") {
    limits.cpu_quota = positive(name, value, whole_number<int64_t>(value));
  } else if (name == "cpuset-cpus") {
    limits.cpuset_cpus = cpu_list(name, value);
  } else if (name == "cpuset-mems") {
    limits.cpuset_mems = cpu_list(name, value);
  } else {
    Error error("unknown resource " + lade::quoted(name));
    if (const auto meant = nearest(name, resource_names()); !meant.empty()) {
      error.set_hint("did you mean " + meant + "?");
    }
    throw error;
  }
}

int64_t parse_pids(const std::string& name, const std::string& text) {
  return positive(name, text, whole_number<int64_t>(text));
}

void check_resources(const CgroupLimits& limits) {
  if (limits.memory_swap <= 0) return;
  if (limits.memory == 0) throw Error("memory-swap is a limit of memory and swap: it needs memory");
  if (limits.memory_swap < limits.memory) {
    throw Error("memory-swap is a limit of memory and swap: it cannot be below memory");
  }
}

int parse_count(const std::string& text) {
  const auto count = whole_number<int>(text);
  if (!count || *count < 0) throw Error(lade::quoted(text) + " is not a number of attempts");
  return *count;
}

int64_t parse_until(const std::string& text) {
  constexpr size_t kDate = std::string_view("2026-01-31").size();
  const std::string time = text.size() == kDate ? text + "T00:00:00Z" : text;
  if (const auto parsed = Timestamp::parse(time)) return parsed->seconds;
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size()) return seconds;
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(parse_duration(text));
  return Timestamp::now().seconds - age.count();
}

std::vector<Ulimit> parse_ulimits(const std::vector<std::string>& texts) {
  std::map<std::string, Ulimit> limits;
  for (const auto& text : texts) {
    Ulimit limit = parse_ulimit(text);
    limits[limit.name] = std::move(limit);
  }
  std::vector<Ulimit> out;
  for (auto& [name, limit] : limits) out.push_back(std::move(limit));
  return out;
}

std::vector<std::pair<std::string, std::string>> parse_hosts(const std::string& text) {
  const auto fail = [&](const std::string& wrong) {
    throw Error(fmt::format("--add-host: {} in {}", wrong, quoted(text)), ErrorKind::usage);
  };
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& part : split(text, ',')) {
    std::string name = out.empty() ? "" : out.back().first;
    std::string address = without_brackets(part);
    if (out.empty() || !is_address(address)) {
      // The equals sign first: what follows it may be an IPv6 address.
      const auto equals = part.find('=');
      const auto separator = equals != std::string::npos ? equals : part.find(':');
      if (separator == std::string::npos || separator == 0 || separator + 1 == part.size()) {
        fail(quoted(part) + " is not of the form NAME:ADDRESS");
      }
      name = part.substr(0, separator);
      address = without_brackets(part.substr(separator + 1));
    }
    if (address == "host-gateway") {
      address = of_option("--add-host", host_gateway_address);
    } else if (!is_address(address)) {
      fail(quoted(address) + " is not an IP address");
    }
    out.emplace_back(std::move(name), std::move(address));
  }
  return out;
}

PullPolicy parse_pull(const std::string& text) {
  if (text == "missing" || text == "false") return PullPolicy::missing;
  if (text == "always" || text == "true") return PullPolicy::always;
  if (text == "never") return PullPolicy::never;
  if (text == "newer") return PullPolicy::newer;
  throw Error(fmt::format("--pull={} is not one of: missing, always, never, newer", text),
              ErrorKind::usage);
}

OpNetwork parse_network(const std::string& text) {
  if (text == "default" || text.empty()) return OpNetwork::sandbox;
  if (text == "none") return OpNetwork::none;
  if (text == "host") return OpNetwork::host;
  throw Error(fmt::format("--network {} is not one of: default, none, host", text),
              ErrorKind::usage);
}

std::chrono::nanoseconds parse_duration(const std::string& text) {
  std::chrono::nanoseconds duration{};
  try {
    duration = parser::duration(text);
  } catch (const Error&) {
    // Said below.
  }
  if (duration.count() <= 0 || duration.count() > kMost) {
    throw Error(lade::quoted(text) + " is not a duration like 90s or 10m");
  }
  return duration;
}

std::vector<AddressRange> parse_network_deny(const std::vector<std::string>& texts) {
  std::vector<AddressRange> out;
  of_option("--network-deny", [&] {
    for (const auto& text : texts) {
      for (const auto& range : split(text, ',')) out.push_back(AddressRange::parse(range));
    }
  });
  return out;
}

}  // namespace lade
