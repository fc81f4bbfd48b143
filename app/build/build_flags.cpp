// The options of `lade build`, as --help shows them.
#include "app/build/build_options.hpp"
#include "builder/options/build_values.hpp"

namespace lade {
namespace {

/// What is built, and of what.
void add_input_flags(CommandLine& command, BuildFlags& flags) {
  command
      .add_option("CONTEXT", flags.context,
                  "What COPY and ADD read: a directory, the URL of a git repository or a tar, or - "
                  "for a tar or a Dockerfile on standard input")
      .required();
  command.add_option("-f,--file", flags.file,
                     "Dockerfile (default: CONTEXT/Dockerfile; -: standard input), in a remote "
                     "CONTEXT if the path is relative; or its URL");
  command.add_list("-t,--tag", flags.tags, "Name of the image, NAME[:TAG]");
  command.add_option("--target", flags.target, "Stage to build (default: the last)");
  command.add_list("--build-arg", flags.build_args,
                   "Value of an ARG, K=V; K takes it from the environment");
  command.add_list("--build-context", flags.build_contexts,
                   "Another context, NAME=DIR|URL|oci-layout://DIR[:TAG]|docker-image://NAME");
  command.add_list("--label", flags.labels, "Label of the image, K=V");
  command.add_list("-o,--output", flags.outputs,
                   "Where the result goes: type=image|registry|oci|docker|local|tar|cacheonly,"
                   "dest=PATH[,...], or a directory; oci and tar without dest: standard output");
}

/// What steps get and may do.
void add_step_flags(CommandLine& command, BuildFlags& flags) {
  command.add_list(
      "--secret", flags.secrets,
      "Secret for RUN --mount=type=secret: id=NAME,src=FILE|env=VAR; for ADD and contexts: "
      "HTTP_AUTH_TOKEN_HOST, HTTP_AUTH_HEADER_HOST, GIT_AUTH_TOKEN[.HOST], "
      "GIT_AUTH_HEADER[.HOST]");
  command.add_list("--ssh", flags.ssh,
                   "Agent for RUN --mount=type=ssh: default|ID[=SOCKET|=KEYFILE[,KEYFILE...]]");
  command.add_list(
      "--add-host", flags.add_hosts,
      "Line of /etc/hosts for steps, NAME:ADDRESS; NAME:host-gateway for this machine");
  command.add_list("--allow", flags.allow,
                   "Grant network.host or security.insecure to the Dockerfile");
  command.add_option("--network", flags.network, "Network of steps: default, none, host");
  command.add_list("--network-deny", flags.network_deny,
                   "Addresses that steps with the default network cannot reach, beside this "
                   "machine's own: CIDR[,CIDR...] (169.254.0.0/16,10.0.0.0/8)");
}

/// What comes out beside the image, and how the build goes about it.
void add_run_flags(CommandLine& command, BuildFlags& flags) {
  command.add_list("--platform", flags.platforms,
                   "Platforms of the image, os/arch[/variant][,...]; several make an index");
  command.add_list("--annotation", flags.annotations,
                   "Annotation of the image, [TYPE[PLATFORM][,...]:]K=V");
  command.add_option("--iidfile", flags.iidfile, "File that the image's ID is written to");
  command.add_option("--metadata-file", flags.metadata_file,
                     "File that what was made is described in, as JSON");
  command.add_option("--progress", flags.progress,
                     "How progress is shown: auto (default: $BUILDKIT_PROGRESS), plain, tty (the "
                     "same lines), quiet, none, rawjson");
  command.add_flag("--pull{always}", flags.pull,
                   "Ask registries: missing (default), always (--pull alone), newer, never");
  command.add_flag("--push", flags.push, "Push the image to the registries of its names");
  command.add_flag("--offline", flags.offline,
                   "Use what registries and servers said before, and ask nobody");
  command.add_option("--max-parallelism", flags.max_parallelism,
                     "Steps running at once (default: no limit)");
  command.add_option("--max-storage", flags.max_storage,
                     "What the state directory may take: build cache goes afterwards, least "
                     "recently used first (default: $LADE_MAX_STORAGE, else no limit)");
  command.add_option("--keep-storage", flags.keep_storage,
                     "What build cache may take, SIZE, N% of the disk, or off: it goes afterwards, "
                     "least recently used first (default: $LADE_KEEP_STORAGE; else 80% of the "
                     "disk, at most 100GB, while a fifth of the disk is free)");
}

/// Caches, and statements that go with the image.
void add_cache_flags(CommandLine& command, BuildFlags& flags) {
  command.add_flag("--no-cache", flags.no_cache, "Run every step");
  command.add_list("--cache-from", flags.cache_from,
                   "Caches of other machines to use: type=registry,ref=NAME, type=local,src=DIR or "
                   "type=s3,bucket=NAME; or a bare NAME");
  command.add_list(
      "--attest", flags.attest,
      "Statement that goes with the image: type=provenance[,mode=min|max][,version=v1|v0.2], "
      "or type=sbom[,generator=IMAGE]");
  command.add_option(
      "--provenance", flags.provenance,
      "The same as --attest type=provenance: true, false (default), or mode=max,...");
  command.add_option("--sbom", flags.sbom,
                     "The same as --attest type=sbom: true, false (default), or generator=IMAGE");
  command.add_list(
      "--cache-to", flags.cache_to,
      "Where to keep this build's cache for others: type=registry,ref=NAME, "
      "type=local,dest=DIR or type=s3,bucket=NAME [,mode=min|max]; type=inline: in the image");
  command.add_list("--no-cache-filter", flags.no_cache_filters,
                   "Run these again whatever is cached: STAGE or line of the Dockerfile [,...]");
}

/// Limits of steps.
void add_limit_flags(CommandLine& command, BuildFlags& flags) {
  command.add_option("--shm-size", flags.shm_size, "Size of /dev/shm in steps (64m, 1g)");
  command.add_list("--ulimit", flags.ulimits,
                   "Limit of steps, NAME=SOFT[:HARD] (nofile=1024:4096)");
  command.add_option("--cgroup-parent", flags.cgroup_parent, "Cgroup that steps run below");
  command.add_list("--resource", flags.resources,
                   "What a step may take, NAME=VALUE: memory=2g, memory-swap=3g, cpu-quota=50000, "
                   "cpu-period, cpu-shares, cpuset-cpus=0-3, cpuset-mems, pids=1000 (processes "
                   "and threads)");
  for (const auto& name : resource_names()) {
    if (name == "pids") continue;  // docker build has none of that name
    const char* letter = name == "memory" ? "-m," : name == "cpu-shares" ? "-c," : "";
    command.add_option(letter + ("--" + name), flags.own_resources[name], "").hidden();
  }
  command.add_list("--retry", flags.retries,
                   "Run a failing RUN again, [STAGE=]N times at the most");
  command.add_list("--timeout", flags.timeouts,
                   "End a RUN after this time, [STAGE=]DURATION (10m)");
}

/// Other things to do than building, and what is said.
void add_mode_flags(CommandLine& command, BuildFlags& flags) {
  command.add_option("--call", flags.call,
                     "What to do with the Dockerfile: build, check, outline, targets"
                     "[,format=json][,ignorestatus=true]");
  command.add_flag("--check", flags.check, "The same as --call=check: warn, and build nothing");
  command.add_flag("--load", flags.load,
                   "Hand the image to a running Docker, or to podman (-o type=docker)");
  command.add_flag("-D,--debug", flags.debug, "Show warnings in full");
  command.add_flag("-q,--quiet", flags.quiet, "Print the image's ID only");
  command.add_option("--print", flags.call, "").hidden();
}

/// What docker's builders have, and lade no use for (see read_foreign_flags()).
void add_foreign_flags(CommandLine& command, BuildFlags& flags) {
  command.add_option("--builder", flags.builder, "").hidden();
  command.add_flag("--compress", flags.compress).hidden();
  command.add_flag("--disable-content-trust", flags.no_content_trust).hidden();
  command.add_flag("--force-rm", flags.always_so).hidden();
  command.add_option("--isolation", flags.isolation, "").hidden();
  command.add_list("--policy", flags.policies, "").hidden();
  command.add_flag("--rm", flags.remove_containers).hidden();
  command.add_list("--security-opt", flags.security_options, "").hidden();
  command.add_flag("--squash", flags.squash).hidden();
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
  add_foreign_flags(command, flags);
  command.set_footer(
      "Docker's older flags are taken, too: -m, --memory, --memory-swap, -c, --cpu-shares,\n"
      "--cpu-period, --cpu-quota, --cpuset-cpus, --cpuset-mems (see --resource), --print (see "
      "--call),\n"
      "--rm, --force-rm, --disable-content-trust, which are always so; and, with a warning, as "
      "they do\n"
      "nothing: --builder, --compress, --isolation, --security-opt, --squash. --policy is "
      "refused.");
}

}  // namespace lade
