#include "app/build/build_options.hpp"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <unistd.h>

#include "app/ui/flags.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "builder/options/build_values.hpp"
#include "builder/options/csv.hpp"
#include "builder/options/host_gateway.hpp"
#include "parser/grammar.hpp"
#include "registry/auth/files.hpp"
#include "registry/net/proxies.hpp"
#include "snapshotter/content/reference.hpp"
#include "solver/lower/remote.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxSecret = 500UL * 1024;

/// Without empty ones, which scripts give for what is not wanted and docker passes over.
std::vector<std::string> given(std::vector<std::string> values) {
  std::erase(values, "");
  return values;
}

/// K=V, or K alone for the variable of lade's own environment; an unset one is not passed on.
std::map<std::string, std::string> read_build_args(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> args;
  for (const auto& text : texts) {
    const auto equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (name.empty()) throw_usage(fmt::format("--build-arg: {} has no name", lade::quoted(text)));
    if (equals != std::string::npos) {
      args[name] = text.substr(equals + 1);
    } else if (const char* value = std::getenv(name.c_str())) {
      args[name] = value;
    }
  }
  const std::string epoch = sys::getenv("SOURCE_DATE_EPOCH");
  if (!epoch.empty()) args.emplace("SOURCE_DATE_EPOCH", epoch);
  return args;
}

/// As docker: an ID alone is a variable's name, or else a file's; a variable that is not set is an
/// empty secret, of which `warnings` say so.
std::pair<std::string, std::string> read_secret(const std::string& text,
                                                std::vector<std::string>& warnings) {
  std::string id;
  std::string source;
  std::string variable;
  std::string type;
  for (const auto& field : parse_csv(text)) {
    const auto [key, value] = key_value("--secret", field);
    if (key == "id") {
      id = value;
    } else if (key == "src" || key == "source") {
      source = value;
    } else if (key == "env") {
      variable = value;
    } else if (key == "type") {
      type = value;
    } else {
      throw_usage(fmt::format("--secret has no option {}", lade::quoted(key)));
    }
  }
  if (id.empty()) throw_usage("--secret needs id=NAME");
  if (!type.empty() && type != "file" && type != "env") {
    throw_usage(fmt::format("--secret type={} is not one of: file, env", type));
  }
  if (type == "env" && variable.empty()) variable = source.empty() ? id : source;
  if (source.empty() && variable.empty()) {
    (type.empty() && std::getenv(id.c_str()) ? variable : source) = id;
  }
  if (!source.empty() && type != "env") {
    auto bytes = sys::read_file(source, kMaxSecret);
    if (!bytes)
      throw_usage(fmt::format("--secret id={}: no such file {}", id, lade::quoted(source)));
    return {id, std::move(*bytes)};
  }
  const char* value = std::getenv(variable.c_str());
  if (!value) {
    warnings.push_back(
        fmt::format("--secret id={}: {} is not set, the secret is empty", id, variable));
  }
  return {id, value ? value : ""};
}

/// BUILDKIT_INLINE_CACHE=1 is docker's older way to say --cache-to type=inline.
void set_inline_cache(BuildRequest& request) {
  const auto& args = request.lower.build_args;
  const auto arg = args.find("BUILDKIT_INLINE_CACHE");
  if (arg == args.end() || !parser::boolean(arg->second).value_or(false)) return;
  request.cache_to.push_back(parse_cache_to("type=inline"));
}

/// Names alone can be several, "app:cache,app:main".
std::vector<std::string> cache_entries(const std::vector<std::string>& texts) {
  std::vector<std::string> out;
  for (const auto& text : given(texts)) {
    if (text.find('=') != std::string::npos) {
      out.push_back(text);
      continue;
    }
    for (auto& name : given(split(text, ','))) out.push_back(std::move(name));
  }
  return out;
}

void read_allow(const std::vector<std::string>& texts, LowerOptions& lower) {
  for (const auto& text : given(texts)) {
    if (text == "network.host") {
      lower.allow_host_network = true;
    } else if (text == "security.insecure") {
      lower.allow_insecure = true;
    } else {
      throw_usage(fmt::format("--allow {} is not one of: network.host, security.insecure", text));
    }
  }
}

void read_platforms(const std::vector<std::string>& texts, BuildRequest& request) {
  for (const auto& text : texts) {
    for (const auto& name : split(text, ',')) {
      const Platform platform = name == "local" ? Platform::host() : Platform::parse(trim(name));
      auto& known = request.platforms;
      if (std::find(known.begin(), known.end(), platform) == known.end()) known.push_back(platform);
    }
  }
  const auto multi = request.lower.build_args.find("BUILDKIT_MULTI_PLATFORM");
  request.force_index =
      multi != request.lower.build_args.end() && parser::boolean(multi->second).value_or(false);
}

/// --resource, and docker's older flags, which it beats.
void read_resources(const BuildFlags& flags, CgroupLimits& out) {
  for (const auto& [name, value] : flags.own_resources) {
    if (!value.empty()) of_option("--" + name, [&] { set_resource(out, name, value); });
  }
  of_option("--resource", [&] {
    for (const auto& text : flags.resources) {
      const auto equals = text.find('=');
      if (equals == std::string::npos) {
        throw Error(lade::quoted(text) + " is not of the form NAME=VALUE");
      }
      set_resource(out, std::string(trim(text.substr(0, equals))),
                   std::string(trim(text.substr(equals + 1))));
    }
    check_resources(out);
  });
}

/// What the steps are limited to: --shm-size, --ulimit, --cgroup-parent, --resource, --retry,
/// --timeout.
void read_step_limits(const BuildFlags& flags, LowerOptions& lower) {
  if (!flags.shm_size.empty()) {
    lower.shm_bytes = of_option("--shm-size", [&] { return parse_bytes(flags.shm_size); });
  }
  lower.ulimits = of_option("--ulimit", [&] { return parse_ulimits(flags.ulimits); });
  lower.cgroup_parent = flags.cgroup_parent;
  read_resources(flags, lower.resources);
  const auto for_stages = [](const std::vector<std::string>& texts, auto parse, auto& out) {
    for (const auto& text : texts) {
      const auto equals = text.find('=');
      const bool named = equals != std::string::npos;
      out[named ? to_lower(text.substr(0, equals)) : ""] =
          parse(named ? text.substr(equals + 1) : text);
    }
  };
  of_option("--retry", [&] { for_stages(flags.retries, parse_count, lower.retries); });
  of_option("--timeout", [&] { for_stages(flags.timeouts, parse_duration, lower.timeouts); });
}

/// --push: to the outputs that are images, or else to one more.
void set_push(const BuildFlags& flags, BuildRequest& request) {
  bool used = false;
  for (auto& output : request.outputs) {
    if (!flags.push || output.type != OutputType::image) continue;
    output.push = used = true;
  }
  if (flags.push && !used) {
    Output output;
    output.push = true;
    request.outputs.push_back(std::move(output));
  }
  for (const auto& output : request.outputs) {
    if (!output.push) continue;
    if (output.names.empty() && request.names.empty()) {
      throw_usage("what is pushed needs a name: --tag, or name= of --output");
    }
    const bool tagged = std::any_of(flags.tags.begin(), flags.tags.end(), has_tag);
    if (output.push_by_digest && output.names.empty() && tagged) {
      throw_usage("--output push-by-digest=true needs names without tags");
    }
  }
}

/// Archives are nothing for a terminal, and two of them not to be told apart.
void check_standard_output(const std::vector<Output>& outputs) {
  const auto count = std::count_if(outputs.begin(), outputs.end(),
                                   [](const Output& output) { return output.dest == "-"; });
  if (count > 1) throw_usage("--output: only one can go to standard output");
  if (count == 1 && ::isatty(STDOUT_FILENO) != 0) {
    throw_usage("--output: standard output is a terminal",
                "redirect it, or name a file: dest=PATH");
  }
}

void set_outputs(const BuildFlags& flags, BuildRequest& request) {
  set_push(flags, request);
  if (flags.load) request.outputs.push_back(parse_output("type=docker"));
  if (request.outputs.empty() && !request.cache_only) request.outputs.emplace_back();
  Annotations annotations;
  for (const auto& text : given(flags.annotations)) {
    of_option("--annotation", [&] { annotations.add(text); });
  }
  const bool index = request.platforms.size() > 1 || request.force_index;
  check_standard_output(request.outputs);
  for (auto& output : request.outputs) {
    output.annotations.add_all(annotations);
    if (index && output.type == OutputType::docker) {
      Error error("--output type=docker holds one platform only", ErrorKind::usage);
      error.set_hint("use type=oci for several");
      throw error;
    }
    const bool of_index = output.annotations.any(AnnotationPlace::index) ||
                          output.annotations.any(AnnotationPlace::index_descriptor);
    if (of_index && !index) {
      throw_usage("--annotation: index annotations need an image of several platforms");
    }
  }
}

/// Whether the one output is an image that has no name and of which nothing is to be told but its
/// ID: what it is made of can wait until somebody names it.
bool is_for_nobody_yet(const BuildFlags& flags, const BuildRequest& request) {
  const bool is_inline = std::any_of(
      request.cache_to.begin(), request.cache_to.end(),
      [](const CacheTarget& target) { return target.place.type == CacheType::inlined; });
  // An index has no other ID than its digest, which would change with its images'.
  const bool is_index = request.platforms.size() > 1 || request.force_index;
  return !is_index && given(flags.outputs).empty() && request.outputs.size() == 1 &&
         !request.cache_only && request.names.empty() && !request.outputs.front().push &&
         !request.outputs.front().load && request.metadata_file.empty() &&
         !request.attest.provenance && !request.attest.sbom && given(flags.annotations).empty() &&
         !is_inline;
}

/// --provenance and --sbom: true, false, or attributes.
void set_short_attestation(const std::string& kind, const std::string& text, AttestOptions& out) {
  if (text.empty()) return;
  of_option("--" + kind, [&] {
    const auto flag = parser::boolean(text);
    set_attestation(out, kind, !flag ? text : *flag ? "" : "disabled=true");
  });
}

void set_attestations(const BuildFlags& flags, AttestOptions& out) {
  constexpr std::string_view kType = "type=";
  for (const auto& text : given(flags.attest)) {
    std::string kind;
    std::vector<std::string> rest;
    for (auto& field : parse_csv(text)) {
      if (field.starts_with(kType)) {
        kind = field.substr(kType.size());
      } else {
        rest.push_back(std::move(field));
      }
    }
    if (kind.empty()) {
      throw_usage(
          "--attest needs a type: type=provenance[,mode=min|max][,...] or "
          "type=sbom[,generator=IMAGE]");
    }
    of_option("--attest", [&] { set_attestation(out, kind, join(rest, ",")); });
  }
  set_short_attestation("provenance", flags.provenance, out);
  set_short_attestation("sbom", flags.sbom, out);
}

void check_offline(const BuildRequest& request) {
  if (request.pull == PullPolicy::always) throw_usage("--offline: --pull=always asks registries");
  for (const auto& output : request.outputs) {
    if (output.push) throw_usage("--offline: pushing needs the network");
  }
}

/// --progress, --quiet, and what docker's variable has for builds that do not say.
void set_progress(const BuildFlags& flags, BuildRequest& request) {
  const std::string preset = sys::getenv("BUILDKIT_PROGRESS");
  const bool is_preset = flags.progress == "auto" && !flags.quiet && !preset.empty();
  const std::string& mode = is_preset ? preset : flags.progress;
  request.progress = of_option(is_preset ? "BUILDKIT_PROGRESS" : "--progress",
                               [&] { return parse_progress(mode); });
  if (flags.quiet) request.progress = ProgressMode::quiet;
}

/// The machine's proxies, as docker has them: what the command line says of one, in upper or lower
/// case, beats them.
void add_proxies(BuildRequest& request) {
  auto& args = request.lower.build_args;
  std::map<std::string, std::string> proxies;
  try {
    proxies = configured_proxies(RegistryFiles::of_user().docker_config, docker_host());
  } catch (const Error& error) {
    request.warnings.push_back("no proxies are used: " + error.message());
  }
  for (const auto& [name, value] : proxies) {
    if (args.contains(name) || args.contains(to_lower(name))) continue;
    args[name] = value;
    request.own_args.insert(name);
  }
}

/// Names are images' (docker: "a=." and "docker.io/library/a:latest=." are one), which stages' are,
/// too. A directory must be there.
void read_contexts(const std::vector<std::string>& texts, std::map<std::string, std::string>& out) {
  for (const auto& text : given(texts)) {
    const auto given_context = key_value("--build-context", text);
    std::string name = of_option("--build-context",
                                 [&] { return Reference::parse(given_context.first).familiar(); });
    constexpr std::string_view kDefaultTag = ":latest";
    if (name.ends_with(kDefaultTag)) name.resize(name.size() - kDefaultTag.size());
    out[name] = given_context.second;
  }
  for (const auto& context : out) {
    const std::string& name = context.first;
    const std::string& value = context.second;
    const bool remote = is_image_context(value) || of_option("--build-context " + name, [&] {
                          return remote_context(value).has_value();
                        });
    if (remote || sys::is_directory(value)) continue;
    const bool exists = ::access(value.c_str(), F_OK) == 0;
    throw_usage(fmt::format("--build-context {}: {} {}", name,
                            exists ? "not a directory:" : "there is no directory",
                            lade::quoted(value)));
  }
}

/// What docker's builders have, and lade not: BuildKit, too, does nothing for most of it, and says
/// so.
void read_foreign_flags(const BuildFlags& flags, std::vector<std::string>& warnings) {
  const auto idle = [&](bool asked, const std::string& option, const char* reason) {
    if (asked) warnings.push_back(fmt::format("{} has no effect: {}", option, reason));
  };
  if (!given(flags.policies).empty()) {
    throw_usage("--policy: lade build checks no policies",
                "docker buildx does, with lade daemon as its builder");
  }
  if (!flags.no_content_trust) {
    throw_usage("--disable-content-trust=false: docker's content trust is not supported",
                "name base images by digest: FROM NAME@sha256:...");
  }
  idle(!flags.builder.empty(), "--builder " + flags.builder, "lade builds by itself");
  idle(!flags.isolation.empty(), "--isolation " + flags.isolation,
       "steps have a sandbox of lade's own");
  idle(!given(flags.security_options).empty(), "--security-opt",
       "a step that needs more says RUN --security=insecure, and is granted it with --allow "
       "security.insecure");
  idle(flags.compress, "--compress", "the context is sent nowhere");
  idle(!flags.remove_containers, "--rm=false", "steps leave no containers");
  idle(flags.squash, "--squash",
       "each step is a layer; a last stage that copies all of another one has a single one");
}

/// What the Dockerfile is lowered with.
void set_lower_options(const BuildFlags& flags, BuildRequest& request) {
  LowerOptions& lower = request.lower;
  lower.target = flags.target;
  lower.build_args = read_build_args(flags.build_args);
  read_contexts(flags.build_contexts, lower.contexts);
  for (const auto& label : flags.labels) {
    const auto equals = label.find('=');
    if (label.empty() || equals == 0) {
      throw_usage(fmt::format("--label: {} has no name", lade::quoted(label)));
    }
    lower.labels[label.substr(0, equals)] =
        equals == std::string::npos ? "" : label.substr(equals + 1);
  }
  for (const auto& text : flags.add_hosts) {
    for (auto& host : parse_hosts(text)) lower.extra_hosts.push_back(std::move(host));
  }
  read_allow(flags.allow, lower);
  lower.network = parse_network(flags.network);
  request.network_reach = {parse_network_deny(flags.network_deny),
                           granted_gateway(flags.add_hosts)};
  of_option("--platform", [&] { read_platforms(flags.platforms, request); });
  if (const auto preset = sys::getenv("DOCKER_DEFAULT_PLATFORM");
      flags.platforms.empty() && !preset.empty()) {
    of_option("DOCKER_DEFAULT_PLATFORM", [&] { read_platforms({preset}, request); });
  }
  lower.no_cache = flags.no_cache;
  for (const auto& filter : flags.no_cache_filters) {
    for (auto& name : split(filter, ',')) {
      if (!name.empty()) lower.no_cache_filter.push_back(std::move(name));
    }
  }
  read_step_limits(flags, lower);
}

void set_storage_cap(const BuildFlags& flags, BuildRequest& request) {
  const std::string cap = sys::getenv("LADE_MAX_STORAGE");
  if (!flags.max_storage.empty()) {
    request.max_storage =
        of_option("--max-storage", [&] { return parse_bytes(flags.max_storage); });
  } else if (!cap.empty()) {
    request.max_storage = of_option("LADE_MAX_STORAGE", [&] { return parse_bytes(cap); });
  }
}

void set_cache_limit(const BuildFlags& flags, BuildRequest& request) {
  const bool given = !flags.keep_storage.empty();
  const std::string limit = given ? flags.keep_storage : sys::getenv("LADE_KEEP_STORAGE");
  request.limits_cache = limit != "off";
  if (limit.empty() || !request.limits_cache) return;
  request.keep_storage = of_option(given ? "--keep-storage" : "LADE_KEEP_STORAGE",
                                   [&] { return parse_disk_share(limit); });
}

}  // namespace

BuildRequest check_build_flags(const BuildFlags& flags) {
  BuildRequest request;
  read_foreign_flags(flags, request.warnings);
  request.context = flags.context;
  request.file = flags.file;
  for (const auto& tag : flags.tags) {
    request.names.push_back(
        of_option("--tag " + lade::quoted(tag), [&] { return Reference::parse(tag).str(); }));
  }
  for (const auto& output : given(flags.outputs)) {
    request.cache_only = request.cache_only || output == "type=cacheonly";
    if (output == "type=cacheonly") continue;
    request.outputs.push_back(of_option("--output", [&] { return parse_output(output); }));
  }
  set_attestations(flags, request.attest);
  for (const auto& from : cache_entries(flags.cache_from)) {
    request.cache_from.push_back(of_option("--cache-from", [&] { return parse_cache_from(from); }));
  }
  for (const auto& to : cache_entries(flags.cache_to)) {
    request.cache_to.push_back(of_option("--cache-to", [&] { return parse_cache_to(to); }));
  }
  for (const auto& text : given(flags.secrets)) {
    auto [id, value] = of_option("--secret", [&] { return read_secret(text, request.warnings); });
    request.secrets[id] = std::move(value);
  }
  for (const auto& ssh : given(flags.ssh)) {
    request.ssh.push_back(of_option("--ssh", [&] { return parse_ssh(ssh); }));
  }
  set_lower_options(flags, request);
  add_proxies(request);
  set_inline_cache(request);
  request.iidfile = flags.iidfile;
  request.metadata_file = flags.metadata_file;
  set_outputs(flags, request);
  if (is_for_nobody_yet(flags, request)) request.outputs.front().image.lazy = true;
  request.pull = parse_pull(flags.pull);
  request.offline = flags.offline;
  if (request.offline) check_offline(request);
  if (flags.max_parallelism < 0) throw_usage("--max-parallelism cannot be negative");
  request.max_parallelism = flags.max_parallelism;
  set_storage_cap(flags, request);
  set_cache_limit(flags, request);
  set_progress(flags, request);
  request.debug = flags.debug;
  request.call =
      of_option("--call", [&] { return parse_call(flags.check ? "check" : flags.call); });
  return request;
}

}  // namespace lade
