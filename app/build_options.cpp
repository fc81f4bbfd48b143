#include "app/build_options.hpp"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <unistd.h>

#include "app/flags.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "parser/grammar.hpp"
#include "recipe/build_values.hpp"
#include "recipe/csv.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxSecret = 500UL * 1024;

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

void read_allow(const std::vector<std::string>& texts, LowerOptions& lower) {
  for (const auto& text : texts) {
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
  for (const auto& limit : flags.ulimits) {
    lower.ulimits.push_back(of_option("--ulimit", [&] { return parse_ulimit(limit); }));
  }
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
    output.store = false;
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
  if (request.outputs.empty() && !request.names.empty() && !request.cache_only) {
    request.outputs.emplace_back();
  }
  Annotations annotations;
  for (const auto& text : flags.annotations) {
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
  for (const auto& text : flags.attest) {
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

/// What the Dockerfile is lowered with.
void set_lower_options(const BuildFlags& flags, BuildRequest& request) {
  LowerOptions& lower = request.lower;
  lower.target = flags.target;
  lower.build_args = read_build_args(flags.build_args);
  for (const auto& context : flags.build_contexts) {
    lower.contexts.insert(key_value("--build-context", context));
  }
  for (const auto& label : flags.labels) {
    const auto equals = label.find('=');
    lower.labels[label.substr(0, equals)] =
        equals == std::string::npos ? "" : label.substr(equals + 1);
  }
  for (const auto& text : flags.add_hosts) {
    for (auto& host : parse_hosts(text)) lower.extra_hosts.push_back(std::move(host));
  }
  read_allow(flags.allow, lower);
  lower.network = parse_network(flags.network);
  request.network_deny = parse_network_deny(flags.network_deny);
  of_option("--platform", [&] { read_platforms(flags.platforms, request); });
  if (const auto preset = sys::getenv("DOCKER_DEFAULT_PLATFORM");
      flags.platforms.empty() && !preset.empty()) {
    of_option("DOCKER_DEFAULT_PLATFORM", [&] { read_platforms({preset}, request); });
  }
  lower.no_cache = flags.no_cache;
  for (const auto& filter : flags.no_cache_filters) {
    for (auto& name : split(filter, ',')) lower.no_cache_filter.push_back(std::move(name));
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

/// What is built, and of what.
void add_input_flags(CommandLine& command, BuildFlags& flags) {
  command
      .add_option("CONTEXT", flags.context,
                  "what COPY and ADD read: a directory, the URL of a git repository or a tar, or - "
                  "for a tar or a Dockerfile on standard input")
      .required();
  command.add_option("-f,--file", flags.file,
                     "Dockerfile (default: CONTEXT/Dockerfile; -: standard input), in a remote "
                     "CONTEXT if the path is relative; or its URL");
  command.add_list("-t,--tag", flags.tags, "name of the image, NAME[:TAG]");
  command.add_option("--target", flags.target, "stage to build (default: the last)");
  command.add_list("--build-arg", flags.build_args,
                   "value of an ARG, K=V; K takes it from the environment");
  command.add_list("--build-context", flags.build_contexts,
                   "another context, NAME=DIR|URL|oci-layout://DIR[:TAG]|docker-image://NAME");
  command.add_list("--label", flags.labels, "label of the image, K=V");
  command.add_list("-o,--output", flags.outputs,
                   "where the result goes: type=image|registry|oci|docker|local|tar|cacheonly,"
                   "dest=PATH[,...], or a directory; oci and tar without dest: standard output");
}

/// What steps get and may do.
void add_step_flags(CommandLine& command, BuildFlags& flags) {
  command.add_list(
      "--secret", flags.secrets,
      "secret for RUN --mount=type=secret: id=NAME,src=FILE|env=VAR; for ADD and contexts: "
      "HTTP_AUTH_TOKEN_HOST, HTTP_AUTH_HEADER_HOST, GIT_AUTH_TOKEN[.HOST], "
      "GIT_AUTH_HEADER[.HOST]");
  command.add_list("--ssh", flags.ssh,
                   "agent for RUN --mount=type=ssh: default|ID[=SOCKET|=KEYFILE[,KEYFILE...]]");
  command.add_list("--add-host", flags.add_hosts, "line of /etc/hosts for steps, NAME:ADDRESS");
  command.add_list("--allow", flags.allow,
                   "grant network.host or security.insecure to the Dockerfile");
  command.add_option("--network", flags.network, "network of steps: default, none, host");
  command.add_list("--network-deny", flags.network_deny,
                   "addresses that steps with the default network cannot reach, beside this "
                   "machine's own: CIDR[,CIDR...] (169.254.0.0/16,10.0.0.0/8)");
}

/// What comes out beside the image, and how the build goes about it.
void add_run_flags(CommandLine& command, BuildFlags& flags) {
  command.add_list("--platform", flags.platforms,
                   "platforms of the image, os/arch[/variant][,...]; several make an index");
  command.add_list("--annotation", flags.annotations,
                   "annotation of the image, [TYPE[PLATFORM][,...]:]K=V");
  command.add_option("--iidfile", flags.iidfile, "file that the image's ID is written to");
  command.add_option("--metadata-file", flags.metadata_file,
                     "file that what was made is described in, as JSON");
  command.add_option("--progress", flags.progress,
                     "how progress is shown: auto (default: $BUILDKIT_PROGRESS), plain, tty (the "
                     "same lines), quiet, none, rawjson");
  command.add_flag("--pull{always}", flags.pull,
                   "ask registries: missing (default), always (--pull alone), newer, never");
  command.add_flag("--push", flags.push, "push the image to the registries of its names");
  command.add_flag("--offline", flags.offline,
                   "use what registries and servers said before, and ask nobody");
  command.add_option("--max-parallelism", flags.max_parallelism,
                     "steps running at once (default: no limit)");
  command.add_option("--max-storage", flags.max_storage,
                     "What the state directory may take: build cache goes afterwards, least "
                     "recently used first (default: $LADE_MAX_STORAGE, else no limit)");
}

/// Caches, and statements that go with the image.
void add_cache_flags(CommandLine& command, BuildFlags& flags) {
  command.add_flag("--no-cache", flags.no_cache, "run every step");
  command.add_list("--cache-from", flags.cache_from,
                   "caches of other machines to use: type=registry,ref=NAME, type=local,src=DIR or "
                   "type=s3,bucket=NAME; or a bare NAME");
  command.add_list(
      "--attest", flags.attest,
      "statement that goes with the image: type=provenance[,mode=min|max][,version=v1|v0.2], "
      "or type=sbom[,generator=IMAGE]");
  command.add_option(
      "--provenance", flags.provenance,
      "the same as --attest type=provenance: true, false (default), or mode=max,...");
  command.add_option("--sbom", flags.sbom,
                     "the same as --attest type=sbom: true, false (default), or generator=IMAGE");
  command.add_list(
      "--cache-to", flags.cache_to,
      "where to keep this build's cache for others: type=registry,ref=NAME, "
      "type=local,dest=DIR or type=s3,bucket=NAME [,mode=min|max]; type=inline: in the image");
  command.add_list("--no-cache-filter", flags.no_cache_filters,
                   "run these again whatever is cached: STAGE or line of the Dockerfile [,...]");
}

/// Limits of steps.
void add_limit_flags(CommandLine& command, BuildFlags& flags) {
  command.add_option("--shm-size", flags.shm_size, "size of /dev/shm in steps (64m, 1g)");
  command.add_list("--ulimit", flags.ulimits,
                   "limit of steps, NAME=SOFT[:HARD] (nofile=1024:4096)");
  command.add_option("--cgroup-parent", flags.cgroup_parent, "cgroup that steps run below");
  command.add_list("--resource", flags.resources,
                   "what a step may take, NAME=VALUE: memory=2g, memory-swap=3g, cpu-quota=50000, "
                   "cpu-period, cpu-shares, cpuset-cpus=0-3, cpuset-mems");
  for (const auto& name : resource_names()) {
    const char* letter = name == "memory" ? "-m," : name == "cpu-shares" ? "-c," : "";
    command.add_option(letter + ("--" + name), flags.own_resources[name], "").hidden();
  }
  command.add_list("--retry", flags.retries,
                   "run a failing RUN again, [STAGE=]N times at the most");
  command.add_list("--timeout", flags.timeouts,
                   "end a RUN after this time, [STAGE=]DURATION (10m)");
}

/// Other things to do than building, and what is said.
void add_mode_flags(CommandLine& command, BuildFlags& flags) {
  command.add_option("--call", flags.call,
                     "what to do with the Dockerfile: build, check, outline, targets"
                     "[,format=json][,ignorestatus=true]");
  command.add_flag("--check", flags.check, "the same as --call=check: warn, and build nothing");
  command.add_flag("--load", flags.load,
                   "hand the image to a running Docker, or to podman (-o type=docker)");
  command.add_flag("-D,--debug", flags.debug, "show warnings in full");
  command.add_flag("-q,--quiet", flags.quiet, "print the image's digest only");
  // What docker's first builder had to be told is always so: nothing of a step is left running, and
  // no daemon is sent the context.
  for (const char* name : {"--rm", "--force-rm", "--compress"}) {
    command.add_flag(name, flags.always_so).hidden();
  }
}

}  // namespace

// In the order of --help.
void add_build_flags(CommandLine& command, BuildFlags& flags) {
  add_input_flags(command, flags);
  add_step_flags(command, flags);
  add_run_flags(command, flags);
  add_cache_flags(command, flags);
  add_limit_flags(command, flags);
  add_mode_flags(command, flags);
}

BuildRequest check_build_flags(const BuildFlags& flags) {
  BuildRequest request;
  request.context = flags.context;
  request.file = flags.file;
  for (const auto& tag : flags.tags) {
    request.names.push_back(
        of_option("--tag " + lade::quoted(tag), [&] { return Reference::parse(tag).str(); }));
  }
  for (const auto& output : flags.outputs) {
    request.cache_only = request.cache_only || output == "type=cacheonly";
    if (output == "type=cacheonly") continue;
    request.outputs.push_back(of_option("--output", [&] { return parse_output(output); }));
  }
  set_attestations(flags, request.attest);
  for (const auto& from : flags.cache_from) {
    request.cache_from.push_back(of_option("--cache-from", [&] { return parse_cache_from(from); }));
  }
  for (const auto& to : flags.cache_to) {
    request.cache_to.push_back(of_option("--cache-to", [&] { return parse_cache_to(to); }));
  }
  for (const auto& secret : flags.secrets) {
    request.secrets.insert(
        of_option("--secret", [&] { return read_secret(secret, request.warnings); }));
  }
  for (const auto& ssh : flags.ssh) {
    request.ssh.push_back(of_option("--ssh", [&] { return parse_ssh(ssh); }));
  }
  set_lower_options(flags, request);
  set_inline_cache(request);
  request.iidfile = flags.iidfile;
  request.metadata_file = flags.metadata_file;
  set_outputs(flags, request);
  request.pull = parse_pull(flags.pull);
  request.offline = flags.offline;
  if (request.offline) check_offline(request);
  if (flags.max_parallelism < 0) throw_usage("--max-parallelism cannot be negative");
  request.max_parallelism = flags.max_parallelism;
  set_storage_cap(flags, request);
  set_progress(flags, request);
  request.debug = flags.debug;
  request.call =
      of_option("--call", [&] { return parse_call(flags.check ? "check" : flags.call); });
  return request;
}

}  // namespace lade
