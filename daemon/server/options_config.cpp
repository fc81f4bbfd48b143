// buildkitd.toml. What is in it and not read here is an error that names it.
#include <chrono>
#include <functional>

#include <fmt/format.h>
#include <unistd.h>

#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/user_namespace.hpp"
#include "builder/options/build_values.hpp"
#include "daemon/server/options.hpp"

namespace lade {
namespace {

constexpr int64_t kMegabyte = 1'000'000;

/// One table, of which everything must be asked for.
class Table {
 public:
  Table(const toml::table& table, std::string path, const std::string& file)
      : table_(table), path_(std::move(path)), file_(file) {}

  const toml::node* take(const std::string& key) {
    asked_.insert(key);
    return table_.get(key);
  }
  std::optional<std::string> text(const std::string& key) {
    const auto* node = take(key);
    if (!node) return std::nullopt;
    const auto value = node->value_exact<std::string>();
    if (!value) fail(key, "is not a string");
    return value;
  }
  std::optional<bool> flag(const std::string& key) {
    const auto* node = take(key);
    if (!node) return std::nullopt;
    const auto value = node->value_exact<bool>();
    if (!value) fail(key, "is neither true nor false");
    return value;
  }
  std::optional<int64_t> number(const std::string& key) {
    const auto* node = take(key);
    if (!node) return std::nullopt;
    const auto value = node->value_exact<int64_t>();
    if (!value) fail(key, "is not a number");
    return value;
  }
  std::vector<std::string> texts(const std::string& key) {
    std::vector<std::string> out;
    const auto* node = take(key);
    if (!node) return out;
    const auto* list = node->as_array();
    if (!list) fail(key, "is not a list");
    for (const auto& element : *list) {
      const auto value = element.value_exact<std::string>();
      if (!value) fail(key, "is not a list of strings");
      out.push_back(*value);
    }
    return out;
  }
  void table(const std::string& key, const std::function<void(Table&)>& read) {
    const auto* node = take(key);
    if (!node) return;
    const auto* inner = node->as_table();
    if (!inner) fail(key, "is not a table");
    Table out(*inner, name(key), file_);
    read(out);
    out.done();
  }
  void tables(const std::string& key, const std::function<void(Table&)>& read) {
    const auto* node = take(key);
    if (!node) return;
    const auto* list = node->as_array();
    if (!list) fail(key, "is not a list of tables");
    for (const auto& element : *list) {
      const auto* inner = element.as_table();
      if (!inner) fail(key, "is not a list of tables");
      Table out(*inner, name(key), file_);
      read(out);
      out.done();
    }
  }
  std::vector<std::string> keys() const {
    std::vector<std::string> out;
    for (const auto& [key, value] : table_) out.emplace_back(key.str());
    return out;
  }
  /// What nobody asked for is not supported.
  void done() const {
    for (const auto& [key, value] : table_) {
      if (!asked_.contains(std::string(key.str()))) {
        fail(std::string(key.str()), "is not supported");
      }
    }
  }
  [[noreturn]] void fail(const std::string& key, const std::string& why) const {
    throw Error(fmt::format("{} {}", place(key), why), ErrorKind::usage);
  }
  std::string place(const std::string& key) const {
    return fmt::format("{}: {}", file_, name(key));
  }

 private:
  std::string name(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

  const toml::table& table_;
  std::string path_;
  const std::string& file_;
  std::set<std::string> asked_;
};

/// A number of megabytes, or text: bytes with a unit, or a share of the disk.
std::optional<DiskShare> space(Table& table, const std::string& key) {
  const auto* node = table.take(key);
  if (!node) return std::nullopt;
  if (const auto number = node->value_exact<int64_t>()) {
    // As BuildKit has it where there is no unit.
    return DiskShare{.bytes = static_cast<uint64_t>(*number * kMegabyte)};
  }
  const auto text = node->value_exact<std::string>();
  if (!text) table.fail(key, "is not a size");
  return with_context(key, [&] { return parse_disk_share(*text); });
}

/// BuildKit's three numbers, and what `reserved` was called before.
std::optional<SpaceLimit> space_limit(Table& table, const char* old_name) {
  SpaceLimit out;
  out.reserved = space(table, old_name);
  if (auto reserved = space(table, "reservedSpace")) out.reserved = reserved;
  out.max_used = space(table, "maxUsedSpace");
  out.min_free = space(table, "minFreeSpace");
  if (!out.reserved && !out.max_used && !out.min_free) return std::nullopt;
  return out;
}

/// Seconds, or text as "48h".
std::optional<int64_t> duration(Table& table, const std::string& key) {
  const auto* node = table.take(key);
  if (!node) return std::nullopt;
  if (const auto number = node->value_exact<int64_t>()) return number;
  const auto text = node->value_exact<std::string>();
  if (!text) table.fail(key, "is not a duration");
  return std::chrono::duration_cast<std::chrono::seconds>(
             with_context(key, [&] { return parse_duration(*text); }))
      .count();
}

GcPolicy read_policy(Table& table) {
  GcPolicy out;
  out.all = table.flag("all").value_or(false);
  for (const auto& filter : table.texts("filters")) {
    for (const auto& part : split(filter, ',')) {
      if (!part.starts_with("type==")) table.fail("filters", "can only be of type==");
      out.types.insert(part.substr(6));
    }
  }
  out.keep_seconds = duration(table, "keepDuration");
  out.space = space_limit(table, "keepBytes");
  return out;
}

void read_worker(Table& table, DaemonOptions& options) {
  if (!table.flag("enabled").value_or(true)) {
    table.fail("enabled", "= false is not supported: it is the only worker");
  }
  table.table("labels", [&](Table& labels) {
    for (const auto& key : labels.keys()) options.labels.emplace(key, labels.text(key).value());
  });
  const auto platforms = table.texts("platforms");
  if (options.platforms.empty()) options.platforms = platforms;
  const std::string snapshotter = table.text("snapshotter").value_or("auto");
  if (snapshotter != "auto" && snapshotter != "overlayfs") {
    table.fail("snapshotter", "= " + snapshotter + " is not supported");
  }
  const std::string network = table.text("networkMode").value_or("auto");
  if (network != "auto") table.fail("networkMode", "= " + network + " is not supported");
  for (const auto& range : table.texts("networkDeny")) {  // lade's own
    options.network_deny.push_back(
        with_context(table.place("networkDeny"), [&] { return AddressRange::parse(range); }));
  }
  if (table.flag("rootless").value_or(false) && ::geteuid() == 0 && !in_user_namespace()) {
    table.fail("rootless", "is for a daemon that an ordinary user starts, and this one is root's");
  }
  if (table.flag("networkDenySources").value_or(false)) options.network_deny_sources = true;
  if (table.flag("noProcessSandbox").value_or(false)) {
    table.fail("noProcessSandbox", "is not supported");
  }
  const int64_t parallelism = table.number("max-parallelism").value_or(0);
  if (options.max_parallelism == 0) options.max_parallelism = static_cast<int>(parallelism);
  if (const auto pids = table.number("stepPids")) {  // lade's own
    if (*pids <= 0) table.fail("stepPids", "must be above 0");
    if (options.pids == 0) options.pids = *pids;
  }
  options.gc = options.gc && table.flag("gc").value_or(true);
  GcPolicy simple;
  simple.space = space_limit(table, "gckeepstorage");
  table.tables("gcpolicy",
               [&](Table& policy) { options.gc_policies.push_back(read_policy(policy)); });
  if (simple.space) {
    simple.all = true;
    options.gc_policies.push_back(simple);
  }
}

void read_grpc(Table& table, DaemonOptions& options) {
  const auto addresses = table.texts("address");
  if (options.addresses.empty()) options.addresses = addresses;
  if (const auto gid = table.number("gid"); gid && options.group.empty()) {
    options.group = fmt::format("{}", *gid);
  }
  table.table("tls", [&](Table& tls) {
    const TlsFiles files{tls.text("cert").value_or(""), tls.text("key").value_or(""),
                         tls.text("ca").value_or("")};
    if (!options.tls.any()) options.tls = files;
  });
}

void read_registry(Table& all, const std::string& host, DaemonOptions& options) {
  all.table(host, [&](Table& table) {
    RegistryRule rule;
    rule.prefix = rule.location = host;
    for (const auto& mirror : table.texts("mirrors")) {
      rule.mirrors.push_back({.location = mirror, .insecure = false});
    }
    const bool http = table.flag("http").value_or(false);
    rule.insecure = table.flag("insecure").value_or(false) || http;
    RegistryTls tls;
    tls.ca = table.texts("ca");
    table.tables("keypair", [&](Table& pair) {
      const auto key = pair.text("key");
      const auto certificate = pair.text("cert");
      if (!key || !certificate) pair.fail("key", "and cert are both needed");
      tls.keypairs.emplace_back(*key, *certificate);
    });
    if (!tls.ca.empty() || !tls.keypairs.empty()) options.registry_tls[host] = std::move(tls);
    options.registries.push_back(std::move(rule));
  });
}

/// A mirror is as secure as its own entry says.
void finish_mirrors(DaemonOptions& options) {
  for (auto& rule : options.registries) {
    for (auto& mirror : rule.mirrors) {
      const std::string host = mirror.location.substr(0, mirror.location.find('/'));
      for (const auto& other : options.registries) {
        if (other.prefix == host) mirror.insecure = other.insecure;
      }
    }
  }
}

}  // namespace

void read_config(const std::string& text, const std::string& file, DaemonOptions& options) {
  toml::table root;
  try {
    root = toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    throw Error(fmt::format("{}:{}: {}", file, error.source().begin.line, error.description()),
                ErrorKind::usage);
  }
  Table table(root, "", file);
  options.debug = options.debug || table.flag("debug").value_or(false);
  if (const auto place = table.text("root"); place && options.root.empty()) options.root = *place;
  for (const auto& name : table.texts("insecure-entitlements")) options.entitlements.insert(name);
  if (const auto place = table.text("provenanceEnvDir")) options.provenance_directory = *place;
  table.table("log", [&](Table& log) {
    if (log.text("format").value_or("text") != "text") log.fail("format", "can only be text");
    log.text("level");
  });
  table.table("grpc", [&](Table& grpc) { read_grpc(grpc, options); });
  table.table("worker", [&](Table& worker) {
    worker.table("oci", [&](Table& oci) { read_worker(oci, options); });
    worker.table("containerd", [&](Table& containerd) {
      if (containerd.flag("enabled").value_or(false)) {
        containerd.fail("enabled", "= true is not supported");
      }
    });
  });
  table.table("registry", [&](Table& all) {
    for (const auto& host : all.keys()) read_registry(all, host, options);
  });
  // Where others find what lade does not have: nobody misses it here.
  table.table("otel", [&](Table& otel) {
    if (otel.text("socketPath")) options.notes.push_back("otel.socketPath: there are no traces");
  });
  table.table("cdi", [&](Table& cdi) {
    cdi.flag("disabled");
    if (!cdi.texts("specDirs").empty())
      options.notes.push_back("cdi.specDirs: there are no devices");
  });
  table.done();
  finish_mirrors(options);
}

}  // namespace lade
