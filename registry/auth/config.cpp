#include "registry/auth/config.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxConfigFile = 1u << 20;
constexpr std::string_view kSuffix = ".conf";

[[noreturn]] void fail(const std::string& file, const toml::source_position& at,
                       std::string_view message) {
  throw Error(fmt::format("{}, line {}: {}", quoted(file), at.line, message));
}

/// A member of the wrong type is a mistake, not an absence.
template <class T>
std::optional<T> member(const toml::table& table, std::string_view key, const std::string& file) {
  const toml::node* node = table.get(key);
  if (!node) return std::nullopt;
  const auto value = node->value_exact<T>();
  if (!value) fail(file, node->source().begin, fmt::format("{} has a wrong type", key));
  return *value;
}

/// A prefix or a location: no scheme, no slash at the end, no tag.
std::string location_of(const toml::table& table, std::string_view key, const std::string& file) {
  std::string text = member<std::string>(table, key, file).value_or("");
  const auto at = table.get(key) ? table.get(key)->source().begin : table.source().begin;
  if (text.find("://") != std::string::npos) {
    fail(file, at, fmt::format("{} {} must not have a scheme", key, quoted(text)));
  }
  while (text.ends_with('/')) text.pop_back();
  return text;
}

RegistryRule::MirrorUse mirror_use(const std::string& text, const std::string& file,
                                   const toml::table& table) {
  if (text.empty() || text == "all") return RegistryRule::MirrorUse::all;
  if (text == "digest-only") return RegistryRule::MirrorUse::digest_only;
  if (text == "tag-only") return RegistryRule::MirrorUse::tag_only;
  fail(file, table.source().begin,
       fmt::format("pull-from-mirror {} is none of: all, digest-only, tag-only", quoted(text)));
}

/// Calls `body` for each table of the array of tables `key`.
template <class Body>
void each_table(const toml::table& table, std::string_view key, const std::string& file,
                Body body) {
  const toml::node* node = table.get(key);
  if (!node) return;
  const toml::array* tables = node->as_array();
  if (!tables) fail(file, node->source().begin, fmt::format("{} is not an array of tables", key));
  for (const auto& element : *tables) {
    const toml::table* one = element.as_table();
    if (!one) fail(file, element.source().begin, fmt::format("{} is not an array of tables", key));
    body(*one);
  }
}

RegistryRule read_rule(const toml::table& table, const std::string& file) {
  RegistryRule rule;
  rule.prefix = location_of(table, "prefix", file);
  rule.location = location_of(table, "location", file);
  if (rule.prefix.empty()) rule.prefix = rule.location;
  if (rule.prefix.empty()) {
    fail(file, table.source().begin, "[[registry]] needs a prefix or a location");
  }
  if (rule.location.empty() && !rule.prefix.starts_with("*.")) rule.location = rule.prefix;
  rule.insecure = member<bool>(table, "insecure", file).value_or(false);
  rule.blocked = member<bool>(table, "blocked", file).value_or(false);
  const bool by_digest = member<bool>(table, "mirror-by-digest-only", file).value_or(false);
  each_table(table, "mirror", file, [&](const toml::table& entry) {
    RegistryRule::Mirror mirror;
    mirror.location = location_of(entry, "location", file);
    if (mirror.location.empty()) {
      fail(file, entry.source().begin, "[[registry.mirror]] needs a location");
    }
    mirror.insecure = member<bool>(entry, "insecure", file).value_or(false);
    mirror.use =
        mirror_use(member<std::string>(entry, "pull-from-mirror", file).value_or(""), file, entry);
    if (by_digest) mirror.use = RegistryRule::MirrorUse::digest_only;
    rule.mirrors.push_back(std::move(mirror));
  });
  return rule;
}

/// The lists of version 1: [registries.insecure] and [registries.block].
std::vector<std::string> old_list(const toml::table& root, std::string_view name) {
  std::vector<std::string> out;
  const auto* list = root["registries"][name]["registries"].as_array();
  if (!list) return out;
  for (const auto& element : *list) {
    if (const auto text = element.value_exact<std::string>()) out.push_back(*text);
  }
  return out;
}

/// How many characters of `name` the prefix covers; 0 if it does not match. What follows must begin
/// a part of the name: "example.com/foo" is no prefix of "example.com/food".
size_t match(const std::string& prefix, const std::string& name) {
  size_t length = prefix.size();
  if (prefix.starts_with("*.")) {
    // "*.example.com": any host below it.
    const std::string_view rest = std::string_view(prefix).substr(1);
    const size_t host_end = std::min(name.find('/'), name.size());
    const size_t host_part = std::min(rest.find('/'), rest.size());
    if (host_end <= host_part) return 0;
    const size_t start = host_end - host_part;
    if (name.compare(start, rest.size(), rest) != 0) return 0;
    length = start + rest.size();
  } else if (!name.starts_with(prefix)) {
    return 0;
  }
  const bool ends =
      length == name.size() || name[length] == '/' || name[length] == ':' || name[length] == '@';
  // "example.com:5000" is another host than "example.com".
  const bool port = length < name.size() && name[length] == ':' && length < name.find('/');
  return ends && !port ? length : 0;
}

/// `name` ("host/path") as an endpoint.
RegistryEndpoint endpoint_of(const std::string& name, bool insecure) {
  const size_t slash = name.find('/');
  if (slash == std::string::npos) {
    throw Error(fmt::format("registries.conf makes the name {} of it, which has no repository",
                            quoted(name)));
  }
  RegistryEndpoint out{name.substr(0, slash), name.substr(0, slash), name.substr(slash + 1),
                       insecure};
  // Docker Hub's name in references is not where its registry is.
  if (out.registry == "docker.io") out.host = "registry-1.docker.io";
  return out;
}

}  // namespace

RegistryConfig RegistryConfig::load(const RegistryFiles& files) {
  RegistryConfig out;
  std::string main_file;
  for (const auto& file : files.registries_conf) {
    const auto text = sys::read_file(file, kMaxConfigFile);
    if (!text) continue;
    out.add(*text, file);
    main_file = file;
    break;
  }
  std::vector<std::string> directories;
  if (main_file.empty() || main_file != files.user_registries_conf) {
    directories = files.system_drop_ins;
  }
  directories.insert(directories.end(), files.drop_ins.begin(), files.drop_ins.end());
  for (const auto& directory : directories) {
    const auto dir = sys::try_openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    if (!dir) continue;
    for (const auto& name : sys::list_dir(dir->get())) {
      if (!name.ends_with(kSuffix)) continue;
      const std::string path = directory + "/" + name;
      if (const auto text = sys::read_file(path, kMaxConfigFile)) out.add(*text, path);
    }
  }
  return out;
}

void RegistryConfig::add(std::string_view text, const std::string& file) {
  toml::table root;
  try {
    root = toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    fail(file, error.source().begin, error.description());
  }
  std::vector<RegistryRule> added;
  each_table(root, "registry", file,
             [&](const toml::table& table) { added.push_back(read_rule(table, file)); });
  for (const auto& name : old_list(root, "insecure")) {
    added.push_back({.prefix = name, .location = name, .insecure = true, .mirrors = {}});
  }
  for (const auto& name : old_list(root, "block")) {
    added.push_back({.prefix = name, .location = name, .blocked = true, .mirrors = {}});
  }
  for (auto& rule : added) add(std::move(rule));
}

void RegistryConfig::add(RegistryRule rule) {
  const auto same = std::find_if(rules_.begin(), rules_.end(), [&](const RegistryRule& known) {
    return known.prefix == rule.prefix;
  });
  if (same == rules_.end()) {
    rules_.push_back(std::move(rule));
  } else {
    *same = std::move(rule);
  }
}

const RegistryRule* RegistryConfig::find(const Reference& reference) const {
  const std::string name = reference.str();
  // The longest match; a host that is named wins over a wildcard.
  const RegistryRule* best = nullptr;
  std::pair<size_t, bool> best_rank;
  for (const auto& rule : rules_) {
    const std::pair rank(match(rule.prefix, name), !rule.prefix.starts_with("*."));
    if (rank.first == 0 || (best && rank <= best_rank)) continue;
    best = &rule;
    best_rank = rank;
  }
  return best;
}

std::vector<RegistryEndpoint> RegistryConfig::pull_endpoints(const Reference& reference) const {
  const RegistryRule* rule = find(reference);
  if (!rule) return {endpoint_of(reference.name(), false)};
  if (rule->blocked) {
    throw Error(fmt::format("registries.conf blocks {}", quoted(rule->prefix)));
  }
  const std::string name = reference.name();
  const std::string rest = name.substr(std::min(match(rule->prefix, reference.str()), name.size()));
  std::vector<RegistryEndpoint> out;
  for (const auto& mirror : rule->mirrors) {
    using Use = RegistryRule::MirrorUse;
    const bool by_digest = reference.digest.has_value();
    if (mirror.use == (by_digest ? Use::tag_only : Use::digest_only)) continue;
    out.push_back(endpoint_of(mirror.location + rest, mirror.insecure));
  }
  out.push_back(endpoint_of(rule->location.empty() ? name : rule->location + rest, rule->insecure));
  return out;
}

RegistryEndpoint RegistryConfig::push_endpoint(const Reference& reference) const {
  const RegistryRule* rule = find(reference);
  if (rule && rule->blocked) {
    throw Error(fmt::format("registries.conf blocks {}", quoted(rule->prefix)));
  }
  return endpoint_of(reference.name(), rule && rule->insecure);
}

}  // namespace lade
