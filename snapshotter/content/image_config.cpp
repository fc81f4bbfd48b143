#include "snapshotter/content/image_config.hpp"

#include <algorithm>

#include "base/json/json_reader.hpp"
#include "base/json/json_writer.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxConfig = 8u << 20;
constexpr std::string_view kRootfsType = "layers";

std::optional<Timestamp> read_time(const JsonValue& value) {
  if (!value.present()) return std::nullopt;
  const auto time = Timestamp::parse(value.string());
  if (!time) value.fail("is not a time as RFC 3339 writes it");
  return time;
}

std::optional<std::vector<std::string>> read_arguments(const JsonValue& value) {
  if (!value.present()) return std::nullopt;
  return value.strings();
}

Healthcheck read_healthcheck(const JsonValue& json) {
  Healthcheck out;
  out.test = json["Test"].strings();
  out.interval_ns = json["Interval"].integer_or_zero();
  out.timeout_ns = json["Timeout"].integer_or_zero();
  out.start_period_ns = json["StartPeriod"].integer_or_zero();
  out.start_interval_ns = json["StartInterval"].integer_or_zero();
  out.retries = json["Retries"].integer_or_zero();
  return out;
}

ContainerConfig read_container_config(const JsonValue& json) {
  ContainerConfig out;
  if (!json.present()) return out;
  out.user = json["User"].string_or_empty();
  out.exposed_ports = json["ExposedPorts"].keys();
  out.env = json["Env"].strings();
  out.entrypoint = read_arguments(json["Entrypoint"]);
  out.cmd = read_arguments(json["Cmd"]);
  out.volumes = json["Volumes"].keys();
  out.working_dir = json["WorkingDir"].string_or_empty();
  out.labels = json["Labels"].string_map();
  out.stop_signal = json["StopSignal"].string_or_empty();
  out.args_escaped = json["ArgsEscaped"].boolean_or_false();
  if (const JsonValue healthcheck = json["Healthcheck"]; healthcheck.present()) {
    out.healthcheck = read_healthcheck(healthcheck);
  }
  out.on_build = json["OnBuild"].strings();
  if (const JsonValue timeout = json["StopTimeout"]; timeout.present()) {
    out.stop_timeout = timeout.integer();
  }
  out.shell = read_arguments(json["Shell"]);
  return out;
}

HistoryEntry read_history_entry(const JsonValue& json) {
  HistoryEntry out;
  out.created = read_time(json["created"]);
  out.created_by = json["created_by"].string_or_empty();
  out.author = json["author"].string_or_empty();
  out.comment = json["comment"].string_or_empty();
  out.empty_layer = json["empty_layer"].boolean_or_false();
  return out;
}

std::vector<DiffId> read_diff_ids(const JsonValue& rootfs) {
  const JsonValue type = rootfs["type"];
  if (type.string() != kRootfsType) type.fail("is not 'layers'");
  std::vector<DiffId> out;
  rootfs["diff_ids"].each([&](const JsonValue& id) { out.push_back({id.digest()}); });
  return out;
}

void write_keys(JsonWriter& out, std::string_view name, const std::set<std::string>& keys) {
  if (keys.empty()) return;
  out.key(name).begin_object();
  for (const auto& key : keys) out.key(key).begin_object().end_object();
  out.end_object();
}

void write_arguments(JsonWriter& out, std::string_view name,
                     const std::optional<std::vector<std::string>>& arguments) {
  if (arguments) out.member_unless_empty(name, *arguments);
}

void write_unless_zero(JsonWriter& out, std::string_view name, int64_t value) {
  if (value != 0) out.member(name, value);
}

void write_healthcheck(JsonWriter& out, const Healthcheck& healthcheck) {
  out.key("Healthcheck").begin_object().member_unless_empty("Test", healthcheck.test);
  write_unless_zero(out, "Interval", healthcheck.interval_ns);
  write_unless_zero(out, "Timeout", healthcheck.timeout_ns);
  write_unless_zero(out, "StartPeriod", healthcheck.start_period_ns);
  write_unless_zero(out, "StartInterval", healthcheck.start_interval_ns);
  write_unless_zero(out, "Retries", healthcheck.retries);
  out.end_object();
}

/// In the order of DockerOCIImageConfig; StopTimeout, which that lacks, stands where Docker has it.
void write_container_config(JsonWriter& out, const ContainerConfig& config) {
  out.key("config").begin_object().member_unless_empty("User", config.user);
  write_keys(out, "ExposedPorts", config.exposed_ports);
  out.member_unless_empty("Env", config.env);
  write_arguments(out, "Entrypoint", config.entrypoint);
  write_arguments(out, "Cmd", config.cmd);
  write_keys(out, "Volumes", config.volumes);
  out.member_unless_empty("WorkingDir", config.working_dir)
      .member_unless_empty("Labels", config.labels)
      .member_unless_empty("StopSignal", config.stop_signal);
  if (config.args_escaped) out.member("ArgsEscaped", true);
  if (config.healthcheck) write_healthcheck(out, *config.healthcheck);
  out.member_unless_empty("OnBuild", config.on_build);
  if (config.stop_timeout) out.member("StopTimeout", *config.stop_timeout);
  write_arguments(out, "Shell", config.shell);
  out.end_object();
}

void write_history(JsonWriter& out, const std::vector<HistoryEntry>& history) {
  out.key("history").begin_array();
  for (const auto& entry : history) {
    out.begin_object();
    if (entry.created) out.member("created", entry.created->str());
    out.member_unless_empty("created_by", entry.created_by)
        .member_unless_empty("author", entry.author)
        .member_unless_empty("comment", entry.comment);
    if (entry.empty_layer) out.member("empty_layer", true);
    out.end_object();
  }
  out.end_array();
}

void write_rootfs(JsonWriter& out, const std::vector<DiffId>& diff_ids) {
  out.key("rootfs").begin_object().member("type", kRootfsType).key("diff_ids").begin_array();
  for (const auto& id : diff_ids) out.value(id.digest.str());
  out.end_array().end_object();
}

/// True if `entry` is "`name`=..."; a name alone stands for itself.
bool defines(std::string_view entry, std::string_view name) {
  return entry.substr(0, entry.find('=')) == name;
}

}  // namespace

void ContainerConfig::set_env(std::string_view name, std::string_view value) {
  std::string entry = std::string(name) + "=" + std::string(value);
  const auto place = std::find_if(env.begin(), env.end(),
                                  [&](const std::string& old) { return defines(old, name); });
  if (place == env.end()) {
    env.push_back(std::move(entry));
  } else {
    *place = std::move(entry);
  }
}

std::optional<std::string> ContainerConfig::get_env(std::string_view name) const {
  const auto place = std::find_if(env.begin(), env.end(),
                                  [&](const std::string& entry) { return defines(entry, name); });
  if (place == env.end()) return std::nullopt;
  return place->size() > name.size() ? place->substr(name.size() + 1) : std::string();
}

ImageConfig ImageConfig::parse(std::string_view bytes) {
  const JsonDocument document(bytes, kMaxConfig, "image config");
  const JsonValue root = document.root();
  ImageConfig out;
  out.platform = read_platform(root);
  for (const auto* key : {"os", "architecture"}) {
    if (root[key].string().empty()) root[key].fail("is empty");
  }
  out.created = read_time(root["created"]);
  out.author = root["author"].string_or_empty();
  out.config = read_container_config(root["config"]);
  out.diff_ids = read_diff_ids(root["rootfs"]);
  root["history"].each(
      [&](const JsonValue& entry) { out.history.push_back(read_history_entry(entry)); });
  return out;
}

std::string ImageConfig::serialize() const {
  // BuildKit patches the config as a map before it writes it, so its top-level fields are sorted
  // while the inner ones keep the order of their structs.
  JsonWriter out;
  out.begin_object()
      .member("architecture", platform.architecture)
      .member_unless_empty("author", author);
  write_container_config(out, config);
  if (created) out.member("created", created->str());
  if (!history.empty()) write_history(out, history);
  out.member("os", platform.os)
      .member_unless_empty("os.features", platform.os_features)
      .member_unless_empty("os.version", platform.os_version);
  write_rootfs(out, diff_ids);
  out.member_unless_empty("variant", platform.variant).end_object();
  return out.take();
}

}  // namespace lade
