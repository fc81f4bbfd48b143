#include "daemon/build/frontend.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/json/json_reader.hpp"
#include "base/text.hpp"
#include "builder/frontend.hpp"
#include "builder/options/build_values.hpp"
#include "builder/options/csv.hpp"
#include "builder/report/call_print.hpp"
#include "daemon/build/context_paths.hpp"
#include "daemon/build/frontend_context.hpp"
#include "daemon/job/client_words.hpp"
#include "daemon/job/ref_files.hpp"
#include "daemon/llb/llb.hpp"
#include "daemon/proto/ops.pb.h"
#include "parser/grammar.hpp"
#include "parser/parse.hpp"
#include "snapshotter/content/reference.hpp"
#include "solver/lower/local_name.hpp"

namespace lade {
namespace {

constexpr std::string_view kContextPrefix = "context:";
constexpr std::string_view kInputMetadata = "input-metadata:";
constexpr const char* kConfigMetadata = "containerimage.config";

/// Options that are not supported, where ignoring them would give something else than was asked
/// for.
constexpr const char* kUnsupported[] = {"devices"};

/// dockerui's names of what docker calls otherwise.
constexpr std::pair<const char*, const char*> kResources[] = {
    {"memory", "memory"},         {"memswap", "memory-swap"}, {"cpushares", "cpu-shares"},
    {"cpuperiod", "cpu-period"},  {"cpuquota", "cpu-quota"},  {"cpusetcpus", "cpuset-cpus"},
    {"cpusetmems", "cpuset-mems"}};

class DockerfileFrontend {
 public:
  DockerfileFrontend(Job& job, const FrontendRequest& request)
      : job_(job), request_(request), images_(job.images(), request.policies) {}

  FrontendResult run() {
    check_options();
    import_caches();
    set_pull();
    read_platforms();
    input_ = load_frontend_input(job_, request_);
    check_frontend(input_.dockerfile, with_prefix("build-arg:"));
    if (const std::string id = option("requestid"); !id.empty()) return subrequest(id);

    parser::Linter linter(lint_config());
    std::vector<LoweredImage> images;
    try {
      const parser::Dockerfile dockerfile = parse(&linter);
      for (const auto& platform : targets()) {
        LowerOptions options = lower_options(platform);
        options.scanner = attest_options(request_.options).sbom;
        // What there is to say of one platform was said of the first.
        options.linter = images.empty() ? &linter : nullptr;
        images.push_back(lower(dockerfile, options, images_));
        apply_policies(request_.policies, images.back().definition);
      }
    } catch (const Error&) {
      tell_warnings(linter);
      throw;
    }
    tell_warnings(linter);
    return result(std::move(images));
  }

 private:
  std::string option(const std::string& name) const {
    const auto found = request_.options.find(name);
    return found == request_.options.end() ? "" : found->second;
  }

  std::map<std::string, std::string> with_prefix(std::string_view prefix) const {
    std::map<std::string, std::string> out;
    for (const auto& [key, value] : request_.options) {
      if (key.starts_with(prefix)) out[key.substr(prefix.size())] = value;
    }
    return out;
  }

  void check_options() const {
    for (const char* name : kUnsupported) {
      if (!option(name).empty()) {
        throw Error(fmt::format("the frontend option {} is not supported", name));
      }
    }
  }

  /// "cache-imports" in JSON, "cache-from" in the spelling before that.
  void import_caches() {
    if (const std::string text = option("cache-imports"); !text.empty()) {
      const auto entries = parse_foreign_json(text);
      if (!entries.is_array()) throw Error("the frontend option cache-imports is not a JSON list");
      for (const auto& entry : entries) {
        CacheEntry import;
        import.type = entry.value("Type", "");
        if (entry.contains("Attrs") && entry["Attrs"].is_object()) {
          for (const auto& [key, value] : entry["Attrs"].items()) {
            if (value.is_string()) import.attrs[key] = value.get<std::string>();
          }
        }
        job_.add_cache_import(import);
      }
    }
    if (const std::string text = option("cache-from"); !text.empty()) {
      for (const auto& name : split(text, ',')) {
        job_.add_cache_import({"registry", {{"ref", name}}});
      }
    }
  }

  void set_pull() {
    const std::string mode = option("image-resolve-mode");
    if (mode == "pull") {
      job_.images().set_pull(PullPolicy::always);
    } else if (mode == "local") {
      job_.images().set_pull(PullPolicy::missing);
    } else if (!mode.empty() && mode != "default") {
      throw Error("invalid image-resolve-mode: " + mode);
    }
  }

  void read_platforms() {
    if (const std::string text = option("platform"); !text.empty()) {
      for (const auto& name : split(text, ',')) {
        platforms_.push_back(with_context("failed to parse target platform " + name,
                                          [&] { return Platform::parse(trim(name)); }));
      }
    }
    multi_ = platforms_.size() > 1;
    std::string asked = option("build-arg:BUILDKIT_MULTI_PLATFORM");
    if (asked.empty()) asked = option("multi-platform");
    if (asked.empty()) return;
    const auto value = parser::boolean(asked);
    if (!value) throw Error("invalid boolean value for multi-platform: " + asked);
    if (!*value && multi_) {
      throw Error("conflicting config: returning multiple target platforms is not allowed");
    }
    multi_ = *value;
  }

  parser::Dockerfile parse(parser::Linter* linter) const {
    try {
      return parser::parse(input_.dockerfile, linter);
    } catch (const Error& error) {
      throw as_parse_error(error);
    }
  }

  std::vector<std::optional<Platform>> targets() const {
    if (platforms_.empty()) return {std::nullopt};
    return {platforms_.begin(), platforms_.end()};
  }

  parser::LintConfig lint_config() const {
    const auto found = request_.options.find("build-arg:BUILDKIT_DOCKERFILE_CHECK");
    std::optional<std::string> given;
    if (found != request_.options.end()) given = found->second;
    return parser::lint_config(input_.dockerfile, given);
  }

  void tell_warnings(const parser::Linter& linter) {
    const std::string vertex =
        Digest::of(job_.id() + "\nload build definition from " + input_.dockerfile->name).str();
    for (const auto& warning : linter.warnings()) job_.journal().warning(vertex, warning);
  }

  // -- options of lowering

  LowerOptions lower_options(const std::optional<Platform>& platform) {
    LowerOptions out;
    out.target = option("target");
    out.build_args = with_prefix("build-arg:");
    out.labels = with_prefix("label:");
    out.target_platform = platform;
    out.name_platforms = multi_;
    out.ignore_patterns = input_.ignore_patterns;
    out.context_source = input_.source;
    out.source_time = [this](const SourceOp& source) {
      return source_time(job_, request_, source);
    };
    out.extra_hosts = extra_hosts();
    out.network = network();
    out.allow_host_network = job_.entitlements.contains("network.host");
    out.allow_insecure = job_.entitlements.contains("security.insecure");
    if (const auto no_cache = request_.options.find("no-cache");
        no_cache != request_.options.end()) {
      out.no_cache = no_cache->second.empty();
      if (!out.no_cache) out.no_cache_filter = split(no_cache->second, ',');
    }
    if (const std::string size = option("shm-size"); !size.empty()) {
      out.shm_bytes = with_context("failed to parse shm size", [&] { return parse_bytes(size); });
    }
    if (const std::string limits = option("ulimit"); !limits.empty()) {
      for (const auto& limit : parse_csv(limits)) {
        out.ulimits.push_back(
            with_context("failed to parse ulimit", [&] { return parse_ulimit(limit); }));
      }
    }
    out.cgroup_parent = option("cgroup-parent");
    for (const auto& [key, name] : kResources) {
      if (const std::string value = option(key); !value.empty()) {
        set_resource(out.resources, name, value);
      }
    }
    check_resources(out.resources);
    out.hostname = option("hostname");
    add_contexts(platform.value_or(out.build_platform), out);
    return out;
  }

  std::vector<std::pair<std::string, std::string>> extra_hosts() const {
    std::vector<std::pair<std::string, std::string>> out;
    const std::string text = option("add-hosts");
    if (text.empty()) return out;
    for (const auto& field : parse_csv(text)) {
      for (auto& host : parse_hosts(to_lower(field))) out.push_back(std::move(host));
    }
    return out;
  }

  OpNetwork network() const {
    const std::string mode = option("force-network-mode");
    if (mode.empty() || mode == "sandbox") return OpNetwork::sandbox;
    if (mode == "none") return OpNetwork::none;
    if (mode == "host") return OpNetwork::host;
    throw Error("invalid network mode " + lade::quoted(mode));
  }

  // -- named contexts

  /// "context:NAME" and "context:NAME::PLATFORM", of which the latter beats the former.
  void add_contexts(const Platform& platform, LowerOptions& out) {
    const std::string suffix = "::" + platform.str();
    const auto all = with_prefix(kContextPrefix);
    for (const auto& [key, value] : all) {
      const size_t separator = key.find("::");
      const std::string name = key.substr(0, separator);
      if (separator == std::string::npos) {
        if (all.contains(key + suffix)) continue;
      } else if (key != name + suffix) {
        continue;
      }
      out.contexts[name] =
          with_context("context " + name, [&] { return named_context(name, value, platform); });
    }
  }

  std::string named_context(const std::string& name, const std::string& given,
                            const Platform& platform) {
    const std::string value = allowed_context(given, platform);
    if (value.starts_with("local:")) {
      LocalDirectory local;
      local.request.name = value.substr(6);
      local.session = session_of(request_, local.request.name);
      request_.policies.allow_directory(local.request.name);
      local.request.exclude = read_client_ignore(job_, local.session, local.request.name);
      local.ignore_patterns = local.request.exclude;
      local.shared_key = "context:" + name;
      local.what = "the context " + lade::quoted(name);
      locals_[local_name(name)] = std::move(local);
      return "/" + name;  // any path: which directory it is, is said in `locals_`
    }
    if (value.starts_with("input:")) {
      const std::string input = value.substr(6);
      const auto found = request_.inputs.find(input);
      if (found == request_.inputs.end()) {
        throw Error(fmt::format("invalid input {} for {}", input, name));
      }
      return result_source(job_, found->second, input_config(input, platform)).identifier;
    }
    const bool known = value.starts_with("docker-image:") || value.starts_with("oci-layout:") ||
                       value.starts_with("git") || value.starts_with("http:") ||
                       value.starts_with("https:") || value.starts_with("ssh:");
    if (!known) throw Error(fmt::format("unsupported context source {}", lade::quoted(value)));
    for (const std::string scheme : {"docker-image:", "oci-layout:"}) {
      if (value.starts_with(scheme) && !value.starts_with(scheme + "//")) {
        return scheme + "//" + value.substr(scheme.size());
      }
    }
    return value;
  }

  /// A named context, or what the policies say instead of the image that it is.
  std::string allowed_context(const std::string& value, const Platform& platform) const {
    constexpr std::string_view kImage = "docker-image:";
    if (request_.policies.empty() || !value.starts_with(kImage)) return value;
    std::string name = value.substr(kImage.size());
    if (name.starts_with("//")) name.erase(0, 2);
    if (name == "scratch") return value;
    pb::SourceOp source;
    source.set_identifier("docker-image://" + Reference::parse(name).str());
    if (!request_.policies.apply(source, platform.str())) return value;
    const std::string& now = source.identifier();
    if (is_image_context(now) || !now.starts_with("local://")) return now;
    return "local:" + now.substr(std::string_view("local://").size());
  }

  /// The config that came with an input, as JSON in base64 in JSON.
  ImageConfig input_config(const std::string& input, const Platform& platform) const {
    ImageConfig out;
    out.platform = platform;
    out.config.env = {"PATH=" + std::string(kDefaultPath)};
    out.config.working_dir = "/";
    const std::string text = option(std::string(kInputMetadata) + input);
    if (text.empty()) return out;
    const auto json = parse_foreign_json(text);
    if (!json.is_object()) throw Error("failed to parse input metadata " + lade::quoted(text));
    const std::string coded = json.value(kConfigMetadata, "");
    if (coded.empty()) return out;
    const auto bytes = from_base64(coded);
    if (!bytes) throw Error("failed to parse image config for " + input);
    return ImageConfig::parse(*bytes);
  }

  // -- results

  void add_main_context(const std::vector<LoweredImage>& images) {
    LocalDirectory local;
    local.request.name = "context";
    local.session = session_of(request_, "context");
    request_.policies.allow_directory(local.request.name);
    local.request.exclude = input_.ignore_patterns;
    local.request.follow = paths_read(images, "context");
    local.shared_key = "context";
    local.what = "the build context";
    local.ignore_patterns = input_.ignore_patterns;
    local.ignore_file = input_.ignore_file;
    local.ignore_lines = input_.ignore_lines;
    locals_.emplace("context", std::move(local));
  }

  FrontendResult result(std::vector<LoweredImage> images) {
    if (!input_.source) add_main_context(images);
    for (auto& [name, local] : locals_) {
      if (name != "context") local.request.follow = paths_read(images, name);
    }
    FrontendResult out;
    out.multi_platform = multi_;
    std::vector<Platform> platforms;
    for (size_t i = 0; i < images.size(); ++i) {
      LoweredImage& image = images[i];
      // By what was asked for, whatever the last stage's --platform says.
      platforms.push_back(platforms_.empty() ? image.platform : platforms_[i]);
      const std::string id = platforms.back().str();
      const std::string suffix = multi_ ? "/" + id : "";
      out.metadata[kConfigMetadata + suffix] = image.config.serialize();
      if (image.source_date_epoch) {
        out.metadata["source.date.epoch" + suffix] = fmt::format("{}", *image.source_date_epoch);
      }
      JobRef ref;
      ref.definition = std::move(image.definition);
      ref.root = image.root;
      image.definition = {};
      ref.image = std::move(image);
      ref.locals = locals_;
      ref.extra_locals = input_.extra_locals;
      ref.keep = input_.keep;
      ref.reads_dockerfile = !input_.source;
      if (ref.image->scan) {
        ref.scan = job_.add_ref(ref.sibling(ref.definition, *ref.image->scan));
      }
      out.refs.emplace_back(multi_ ? id : "", job_.add_ref(std::move(ref)));
    }
    out.metadata["refs.platforms"] = platforms_json(platforms);
    return out;
  }

  // -- subrequests

  FrontendResult subrequest(const std::string& id) {
    FrontendResult out;
    out.metadata["version"] = "1.0.0";
    if (id == "frontend.subrequests.describe") {
      set_answer(out, methods_json(), methods_text());
    } else if (id == "frontend.targets") {
      const auto file = parse(nullptr);
      set_answer(out, targets_json(file), targets_text(file));
    } else if (id == "frontend.outline") {
      parser::Linter linter(lint_config());
      const auto file = parse(&linter);
      Outline outline;
      LowerOptions options = looking_options(linter);
      options.outline = &outline;
      lower(file, options, images_);
      tell_warnings(linter);
      set_answer(out, outline_json(outline, *input_.dockerfile), outline_text(outline));
    } else if (id == "frontend.lint") {
      lint(out);
    } else {
      throw Error("unsupported request " + id);
    }
    return out;
  }

  static void set_answer(FrontendResult& out, std::string json, std::string text) {
    out.metadata["result.json"] = std::move(json);
    out.metadata["result.txt"] = std::move(text);
  }

  LowerOptions looking_options(parser::Linter& linter) {
    LowerOptions options = lower_options(targets().front());
    // Whether a step may do what it wants is asked when it is going to run.
    options.allow_host_network = true;
    options.allow_insecure = true;
    options.linter = &linter;
    return options;
  }

  static Error in_their_words(const Error& error) {
    Error out(in_clients_words(error), error.kind());
    if (error.range()) out.add_range(*error.range());
    return out;
  }

  void lint(FrontendResult& out) {
    parser::Linter linter(lint_config());
    LintResults results{input_.dockerfile, {}, {}};
    try {
      const auto file = parse(&linter);
      LowerOptions options = looking_options(linter);
      options.all_stages = options.target.empty();
      lower(file, options, images_);
    } catch (const Error& error) {
      if (job_.canceled()) throw;
      results.error = in_their_words(error);
    }
    results.warnings = linter.warnings();
    set_answer(out, lint_json(results), lint_text(results));
    out.metadata["result.statuscode"] = results.warnings.empty() && !results.error ? "0" : "1";
  }

  Job& job_;
  const FrontendRequest& request_;
  PolicyImages images_;
  FrontendInput input_;
  std::vector<Platform> platforms_;
  bool multi_ = false;
  std::map<std::string, LocalDirectory> locals_;
};

}  // namespace

FrontendResult run_frontend(Job& job, const FrontendRequest& request) {
  if (request.frontend == "gateway.v0") {
    const auto source = request.options.find("source");
    const std::string image = source == request.options.end() ? "" : source->second;
    if (!is_builtin_frontend(image)) {
      throw Error(fmt::format("frontend image {} is not supported: lade reads Dockerfiles itself",
                              lade::quoted(image)));
    }
  } else if (request.frontend != "dockerfile.v0") {
    throw Error(fmt::format("there is no frontend {}", lade::quoted(request.frontend)));
  }
  return DockerfileFrontend(job, request).run();
}

std::string platforms_json(const std::vector<Platform>& platforms) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& platform : platforms) {
    nlohmann::json json = {{"architecture", platform.architecture}, {"os", platform.os}};
    if (!platform.variant.empty()) json["variant"] = platform.variant;
    if (!platform.os_version.empty()) json["os.version"] = platform.os_version;
    list.push_back({{"ID", platform.str()}, {"Platform", std::move(json)}});
  }
  return nlohmann::json({{"Platforms", std::move(list)}}).dump();
}

}  // namespace lade
