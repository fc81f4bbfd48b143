// Values of options in the spellings docker has for them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/address_range.hpp"
#include "snapshotter/gc/space_limit.hpp"
#include "solver/graph/definition.hpp"
#include "solver/source/image.hpp"

namespace lade {

/// "64m", "1g", "512k", "1.5GiB", "1048576": bytes; units are powers of 1024. Throws Error.
uint64_t parse_bytes(const std::string& text);

/// A size as above, or a share of the disk: "40%". Throws Error.
DiskShare parse_disk_share(const std::string& text);

/// "nofile=1024:4096", "core=0", "nproc=-1" (no limit). Throws Error.
Ulimit parse_ulimit(const std::string& text);

/// The resources that a step may be limited in, by docker's names: "memory", "cpu-quota", ...
const std::vector<std::string>& resource_names();

/// Sets one of them. Memory may have a unit. Throws Error.
void set_resource(CgroupLimits& limits, const std::string& name, const std::string& value);

/// A limit of processes, above 0. `name` is what an error calls it. Throws Error.
int64_t parse_pids(const std::string& name, const std::string& text);

/// Throws Error for limits that do not go together.
void check_resources(const CgroupLimits& limits);

/// "3". Throws Error.
int parse_count(const std::string& text);

/// "90s", "1h30m", "500ms". Throws Error.
std::chrono::nanoseconds parse_duration(const std::string& text);

/// The "until" of filters: a duration before now, or a time ("2026-01-31", "2026-01-31T08:00:00Z",
/// seconds since 1970). Seconds since 1970. Throws Error.
int64_t parse_until(const std::string& text);

/// --ulimit, in order of their names; of those of one name the last holds. Throws Error.
std::vector<Ulimit> parse_ulimits(const std::vector<std::string>& texts);

/// --add-host: "NAME:ADDRESS" or with "=", more addresses or more such pairs after commas, IPv6
/// addresses maybe in brackets, "host-gateway" for this machine's: name and address of each. Throws
/// Error(usage).
std::vector<std::pair<std::string, std::string>> parse_hosts(const std::string& text);

/// --pull. Throws Error(usage).
PullPolicy parse_pull(const std::string& text);

/// --network. Throws Error(usage).
OpNetwork parse_network(const std::string& text);

/// --network-deny, each "CIDR[,CIDR...]". Throws Error(usage).
std::vector<AddressRange> parse_network_deny(const std::vector<std::string>& texts);

}  // namespace lade
