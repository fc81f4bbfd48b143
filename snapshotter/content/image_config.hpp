// The image configuration (image-spec: config.md, and Docker's additions to it).
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.hpp"
#include "snapshotter/content/descriptor.hpp"

namespace lade {

/// PATH where an image sets none.
inline constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A point in time with nanoseconds, RFC 3339 in JSON.
struct Timestamp {
  int64_t seconds = 0;
  int32_t nanoseconds = 0;
  static Timestamp now();
  /// nullopt for anything but RFC 3339; an offset is converted to UTC, digits past nanoseconds are
  /// cut.
  static std::optional<Timestamp> parse(std::string_view rfc3339);
  std::string str()
      const;  ///< as Go writes it: "2026-01-02T03:04:05.123456789Z", no trailing zeros
  auto operator<=>(const Timestamp&) const = default;
};

struct Healthcheck {
  std::vector<std::string> test;  ///< {"NONE"}, {"CMD", ...}, {"CMD-SHELL", "..."}
  int64_t interval_ns = 0;        ///< 0: not set, for all of these
  int64_t timeout_ns = 0;
  int64_t start_period_ns = 0;
  int64_t start_interval_ns = 0;
  int64_t retries = 0;
  bool operator==(const Healthcheck&) const = default;
};

/// The "config" object: what a container of the image starts with.
struct ContainerConfig {
  std::string user;
  std::set<std::string> exposed_ports;  ///< "80/tcp"
  std::vector<std::string> env;         ///< "K=V", in order of definition
  /// Absent and empty differ while a Dockerfile is lowered (`CMD []` overrides the parent's); in
  /// JSON both are left out, as BuildKit does. Parsing keeps an explicit [].
  std::optional<std::vector<std::string>> entrypoint;
  std::optional<std::vector<std::string>> cmd;
  std::optional<Healthcheck> healthcheck;
  std::set<std::string> volumes;
  std::string working_dir;
  std::map<std::string, std::string> labels;
  std::string stop_signal;
  std::optional<int64_t> stop_timeout;
  std::vector<std::string> on_build;
  std::optional<std::vector<std::string>> shell;
  bool args_escaped = false;

  /// Sets or replaces `name`; a new one goes to the end.
  void set_env(std::string_view name, std::string_view value);
  std::optional<std::string> get_env(std::string_view name) const;
};

struct HistoryEntry {
  std::optional<Timestamp> created;
  std::string created_by;
  std::string author;
  std::string comment;
  bool empty_layer = false;
};

struct ImageConfig {
  Platform platform;
  std::optional<Timestamp> created;
  std::string author;
  ContainerConfig config;
  std::vector<DiffId> diff_ids;  ///< bottom first
  std::vector<HistoryEntry> history;

  /// Parses untrusted bytes (at most 8 MiB); unknown fields are dropped. os, architecture and
  /// rootfs are required. Throws Error(corrupt).
  static ImageConfig parse(std::string_view bytes);
  /// Deterministic JSON, byte for byte what BuildKit's image exporter writes, but for an image
  /// without layers or history, where it writes null instead of the [] that the specification asks
  /// for.
  std::string serialize() const;
};

}  // namespace lade
