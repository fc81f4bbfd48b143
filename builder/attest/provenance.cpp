#include "builder/attest/provenance.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "builder/attest/graph_json.hpp"
#include "builder/frontend.hpp"
#include "builder/options/csv.hpp"
#include "exporter/attestation.hpp"
#include "parser/grammar.hpp"
#include "solver/lower/remote.hpp"

namespace lade {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kBuildType1 =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
constexpr const char* kBuildType02 = "https://mobyproject.org/buildkit@v1";
constexpr const char* kMetadata02 = "https://mobyproject.org/buildkit@v1#metadata";
constexpr const char* kHermetic02 = "https://mobyproject.org/buildkit@v1#hermetic";
constexpr const char* kPredicate1 = "https://slsa.dev/provenance/v1";
constexpr const char* kPredicate02 = "https://slsa.dev/provenance/v0.2";
constexpr uint64_t kMaxEnvironment = 1u << 20;

/// Of the machine, not of the build.
constexpr std::string_view kHostArgs[] = {"cgroup-parent", "image-resolve-mode", "platform",
                                          "cache-imports"};

/// As BuildKit hides them in what was asked for: that there were a user and a password stays known.
std::string hidden_credentials(const std::string& text) {
  const size_t scheme = text.find("://");
  if (scheme == std::string::npos) return text;
  const size_t start = scheme + 3;
  const size_t at = text.find('@', start);
  if (at == std::string::npos || at > text.find_first_of("/?#", start)) return text;
  const bool password = text.find(':', start) < at;
  return text.substr(0, start) + (password ? "xxxxx:xxxxx" : "xxxxx") + text.substr(at);
}

/// What a build was made from.
class Materials {
 public:
  Materials(const ProvenanceFacts& facts, const Definition& graph,
            const std::vector<uint32_t>& needed)
      : facts_(facts) {
    for (const uint32_t index : needed) add(graph.vertices[index]);
  }

  /// "uri" and "digest" of each: images, repositories, files, each kind in order.
  Json list() const {
    Json out = Json::array();
    for (const auto* kind : {&images_, &git_, &http_}) {
      for (const auto& [uri, digest] : *kind) {
        Json entry = {{"uri", uri}};
        if (!digest.empty()) entry["digest"] = digest;
        out.push_back(std::move(entry));
      }
    }
    return out;
  }

  /// The main context, where that is remote.
  Json config_source(const std::string& context) {
    const auto remote = remote_context(context);
    if (!remote) return {{"uri", hidden_credentials(context)}};
    std::string uri = uri_of(remote->source);
    const SourceOp& op = remote->source;
    if (const auto subdir = op.attr("subdir"); !subdir.empty()) {
      uri += (op.attr("ref").empty() ? "#:" : ":") + subdir;
    }
    Json out = {{"uri", std::move(uri)}};
    if (const Json digest = digest_of(remote->source); !digest.empty()) out["digest"] = digest;
    add_remote(remote->source);
    return out;
  }

  bool complete() const { return locals_.empty() && complete_; }
  bool network() const { return network_; }
  const std::set<std::string>& locals() const { return locals_; }
  /// By ID: whether it may be missing.
  const std::map<std::string, bool>& secrets() const { return secrets_; }
  const std::map<std::string, bool>& agents() const { return agents_; }

 private:
  void add(const Vertex& vertex) {
    if (const auto* exec = std::get_if<ExecOp>(&vertex.op)) return add_exec(*exec);
    const auto* source = std::get_if<SourceOp>(&vertex.op);
    if (!source) return;
    const std::string& id = source->identifier;
    const auto after = [&](std::string_view scheme) { return id.substr(scheme.size()); };
    if (id.starts_with("local://")) {
      locals_.insert(after("local://"));
    } else if (id.starts_with("docker-image://")) {
      add_image("docker", Reference::parse(after("docker-image://")), vertex.platform);
    } else if (id.starts_with("oci-layout://")) {
      const auto at = id.rfind('@');
      Reference image = layout_image(id.substr(0, at));
      if (at != std::string::npos) image.digest = Digest::parse(id.substr(at + 1));
      add_image("oci", image, vertex.platform);
    } else if (id.starts_with("result://")) {
      complete_ = false;  // of another build, which has its own provenance
    } else if (id != "scratch") {
      add_remote(*source);
    }
  }

  /// Called as the context is that has the layout's image, since where a layout lies says nothing.
  Reference layout_image(const std::string& layout) const {
    constexpr std::string_view kContext = "context:";
    constexpr std::string_view kScheme = "oci-layout:";
    const std::string place = layout.substr(kScheme.size() + 2);
    for (const auto& [key, value] : facts_.request.args) {
      if (!key.starts_with(kContext) || !value.starts_with(kScheme)) continue;
      std::string given = value.substr(kScheme.size());
      if (given.starts_with("//")) given.erase(0, 2);
      // A context may be for one platform alone, "NAME::PLATFORM".
      const std::string name = key.substr(kContext.size(), key.find("::") - kContext.size());
      if (given.substr(0, given.rfind('@')) != place.substr(0, place.rfind('@'))) continue;
      try {
        Reference image = Reference::parse(name);
        image.tag.clear();
        return image;
      } catch (const Error&) {
        break;  // contexts may have names that images cannot have
      }
    }
    Reference image;
    image.repository = base_name(place);
    return image;
  }

  void add_exec(const ExecOp& exec) {
    if (exec.network != OpNetwork::none) network_ = true;
    for (const auto& mount : exec.mounts) {
      if (mount.type == ExecMountType::secret) {
        note(secrets_, mount);
      } else if (mount.type == ExecMountType::ssh) {
        note(agents_, mount);
      }
    }
  }

  static void note(std::map<std::string, bool>& known, const ExecMount& mount) {
    const auto [entry, is_new] = known.emplace(mount.id, !mount.required);
    if (!is_new) entry->second = entry->second && !mount.required;
  }

  void add_image(std::string_view type, const Reference& image, const std::string& platform_name) {
    const Platform platform =
        platform_name.empty() ? Platform::host() : Platform::parse(platform_name);
    Json digest;
    if (image.digest) digest["sha256"] = image.digest->hex();
    images_[package_url(type, image, &platform)] = std::move(digest);
  }

  static std::string uri_of(const SourceOp& op) {
    if (!op.attrs.contains("remote")) return hidden_credentials(op.identifier);
    const std::string uri = hidden_credentials(op.attrs.at("remote"));
    const std::string ref = op.attr("ref");
    return ref.empty() ? uri : uri + "#" + ref;
  }

  void add_remote(const SourceOp& op) {
    (op.attrs.contains("remote") ? git_ : http_)[uri_of(op)] = digest_of(op);
    if (!facts_.pins.contains(op)) complete_ = false;
  }

  Json digest_of(const SourceOp& op) const {
    const auto pin = facts_.pins.find(op);
    if (pin == facts_.pins.end()) return {};
    constexpr std::string_view kDigest = "sha256:";
    if (pin->second.starts_with(kDigest)) return {{"sha256", pin->second.substr(kDigest.size())}};
    return {{pin->second.size() == 64 ? "sha256" : "sha1", pin->second}};
  }

  const ProvenanceFacts& facts_;
  std::map<std::string, Json> images_;
  std::map<std::string, Json> git_;
  std::map<std::string, Json> http_;
  std::set<std::string> locals_;
  std::map<std::string, bool> secrets_;
  std::map<std::string, bool> agents_;
  bool network_ = false;
  bool complete_ = true;
};

class Predicate {
 public:
  Predicate(const ProvenanceOptions& options, const ProvenanceFacts& facts, const Definition& graph,
            Edge root, const WrittenImage* image)
      : options_(options),
        facts_(facts),
        graph_(graph),
        root_(root),
        image_(image),
        needed_(needed_vertices(graph, root)),
        materials_(facts, graph, needed_) {}

  std::string text() {
    request_complete_ = !facts_.request.frontend.empty();
    Json request = parameters(facts_.request, config_source_);
    put_names("secrets", materials_.secrets(), request);
    put_names("ssh", materials_.agents(), request);
    std::set<std::string> locals = materials_.locals();
    locals.insert(facts_.locals.begin(), facts_.locals.end());
    for (const auto& name : locals) request["locals"].push_back({{"name", name}});
    if (facts_.root) {
      Json source = Json::object();
      Json root = parameters(*facts_.root, source);
      request["root"] = {{"configSource", std::move(source)}, {"request", std::move(root)}};
    }
    if (options_.complete_materials && !complete()) {
      throw Error("provenance materials are incomplete: " +
                  (locals.empty() ? "not all dependencies could be captured"
                                  : "local sources are not captured: " +
                                        join({locals.begin(), locals.end()}, ", ")));
    }
    const Json out = options_.slsa02 ? version02(std::move(request)) : version1(std::move(request));
    return out.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

 private:
  bool complete() const { return materials_.complete() && facts_.locals.empty(); }

  /// Takes out of the arguments what has a place of its own.
  Json parameters(const ProvenanceRequest& request, Json& source) {
    std::map<std::string, std::string> args;
    for (const auto& [key, value] : request.args) {
      const bool of_host =
          std::find(std::begin(kHostArgs), std::end(kHostArgs), key) != std::end(kHostArgs);
      if (of_host || key.starts_with("attest:")) continue;
      args[key] = key.starts_with("context") ? hidden_credentials(value) : value;
    }
    const std::string context = take(args, "context");
    if (!context.empty()) source = materials_.config_source(request.args.at("context"));
    if (const std::string name = take(args, "filename"); !name.empty()) source["path"] = name;
    for (auto arg = args.begin(); arg != args.end();) {
      const std::string& key = arg->first;
      const bool scrubbed =
          !options_.max && (key.starts_with("build-arg:") || key.starts_with("label:"));
      if (key.starts_with("vcs:")) {
        if (!arg->second.empty()) vcs_[key.substr(4)] = hidden_credentials(arg->second);
      } else if (!scrubbed) {
        ++arg;
        continue;
      }
      if (scrubbed) request_complete_ = false;
      arg = args.erase(arg);
    }
    Json out = Json::object();
    if (!request.frontend.empty()) out["frontend"] = request.frontend;
    if (!args.empty()) out["args"] = args;
    return out;
  }

  static std::string take(std::map<std::string, std::string>& args, const std::string& key) {
    auto node = args.extract(key);
    return node.empty() ? "" : std::move(node.mapped());
  }

  void put_names(const char* key, const std::map<std::string, bool>& names, Json& out) const {
    if (!options_.max) return;
    for (const auto& [id, optional] : names) {
      Json entry = {{"id", id}};
      if (optional) entry["optional"] = true;
      out[key].push_back(std::move(entry));
    }
  }

  // -- what mode=max tells of

  Json build_config() const {
    const auto digests = vertex_digests(graph_);
    Json mapping = Json::object();
    for (size_t i = 0; i < needed_.size(); ++i) mapping[digests[needed_[i]]] = step(i);
    return {{"llbDefinition", graph_json(graph_, root_)}, {"digestMapping", std::move(mapping)}};
  }

  static std::string step(size_t number) { return fmt::format("step{}", number); }

  Json source_text() const {
    std::vector<const SourceFile*> files;
    Json infos = Json::array();
    Json locations = Json::object();
    for (size_t i = 0; i < needed_.size(); ++i) {
      const Vertex& vertex = graph_.vertices[needed_[i]];
      const auto* source = std::get_if<SourceOp>(&vertex.op);
      if (source && source->identifier == "scratch") continue;  // stands in no line
      const SourceRange& range = vertex.range;
      locations[step(i)] = Json::object();
      if (!range.file || range.first_line < 1) continue;
      auto at = std::find(files.begin(), files.end(), range.file.get());
      if (at == files.end()) {
        files.push_back(range.file.get());
        infos.push_back({{"filename", range.file->name},
                         {"language", "Dockerfile"},
                         {"data", base64(range.file->text)}});
        at = files.end() - 1;
      }
      Json location;
      if (at != files.begin()) location["sourceIndex"] = at - files.begin();
      Json lines;
      lines["start"]["line"] = range.first_line;
      lines["end"]["line"] = std::max(range.first_line, range.last_line);
      location["ranges"].push_back(std::move(lines));
      locations[step(i)]["locations"].push_back(std::move(location));
    }
    if (infos.empty()) return {};
    return {{"locations", std::move(locations)}, {"infos", std::move(infos)}};
  }

  /// The layers of the result, and of the steps that it was made from one after another.
  Json layers() const {
    if (!image_) return {};
    Json all = Json::array();
    for (const auto& layer : image_->layers) {
      all.push_back(
          {{"mediaType", layer.media_type}, {"digest", layer.digest.str()}, {"size", layer.size}});
    }
    std::map<std::string, Json> out;
    for (Edge at = root_;;) {
      const Vertex& vertex = graph_.vertices.at(at.vertex);
      const bool source = std::holds_alternative<SourceOp>(vertex.op);
      const auto* exec = std::get_if<ExecOp>(&vertex.op);
      const bool adds_layer = (exec && at.output == 0 && !exec->read_only_root) ||
                              std::holds_alternative<FileOp>(vertex.op);
      const auto number = std::lower_bound(needed_.begin(), needed_.end(), at.vertex);
      if (all.empty()) break;
      out[fmt::format("step{}:{}", number - needed_.begin(), at.output)].push_back(all);
      if (source || !adds_layer || vertex.inputs.empty()) break;
      all.erase(all.size() - 1);
      at = vertex.inputs.front();
    }
    return out;
  }

  Json buildkit_metadata() const {
    Json out = Json::object();
    if (!vcs_.empty()) out["vcs"] = vcs_;
    if (!options_.max) return out;
    if (const Json source = source_text(); !source.empty()) out["source"] = source;
    if (const Json made = layers(); !made.empty()) out["layers"] = made;
    return out;
  }

  // -- the two forms

  void add_environment(Json& out) const {
    if (!facts_.environment.empty()) out.update(Json::parse(facts_.environment));
  }

  Json version1(Json request) const {
    Json internal = Json::object();
    if (options_.max) internal["buildConfig"] = build_config();
    internal["builderPlatform"] = Platform::host().str();
    if (facts_.request.frontend == kDockerfileFrontend) {
      internal["dockerfileVersion"] = kDockerfileVersion;
    }
    add_environment(internal);
    Json definition = {{"buildType", kBuildType1}};
    if (const Json list = materials_.list(); !list.empty()) {
      definition["resolvedDependencies"] = list;
    }
    definition["externalParameters"] = {{"configSource", config_source_},
                                        {"request", std::move(request)}};
    definition["internalParameters"] = std::move(internal);
    Json metadata = {{"invocationId", facts_.id},
                     {"startedOn", facts_.started.str()},
                     {"finishedOn", Timestamp::now().str()},
                     {"buildkit_metadata", buildkit_metadata()}};
    if (complete() && !materials_.network()) metadata["buildkit_hermetic"] = true;
    metadata["buildkit_completeness"] = {{"request", request_complete_},
                                         {"resolvedDependencies", complete()}};
    if (options_.reproducible) metadata["buildkit_reproducible"] = true;
    return {{"buildDefinition", std::move(definition)},
            {"runDetails",
             {{"builder", {{"id", options_.builder_id}}}, {"metadata", std::move(metadata)}}}};
  }

  Json version02(Json request) const {
    Json source = config_source_;
    if (source.contains("path")) {
      source["entryPoint"] = source["path"];
      source.erase("path");
    }
    Json environment = {{"platform", Platform::host().str()}};
    if (facts_.request.frontend == kDockerfileFrontend) {
      environment["dockerfileVersion"] = kDockerfileVersion;
    }
    add_environment(environment);
    Json out = {{"builder", {{"id", options_.builder_id}}}, {"buildType", kBuildType02}};
    if (const Json list = materials_.list(); !list.empty()) out["materials"] = list;
    out["invocation"] = {{"configSource", std::move(source)},
                         {"parameters", std::move(request)},
                         {"environment", std::move(environment)}};
    if (options_.max) out["buildConfig"] = build_config();
    Json metadata = {
        {"buildInvocationID", facts_.id},
        {"buildStartedOn", facts_.started.str()},
        {"buildFinishedOn", Timestamp::now().str()},
        {"completeness",
         {{"parameters", request_complete_}, {"environment", true}, {"materials", complete()}}},
        {"reproducible", options_.reproducible},
        {kMetadata02, buildkit_metadata()}};
    if (complete() && !materials_.network()) metadata[kHermetic02] = true;
    out["metadata"] = std::move(metadata);
    return out;
  }

  const ProvenanceOptions& options_;
  const ProvenanceFacts& facts_;
  const Definition& graph_;
  const Edge root_;
  const WrittenImage* image_;
  const std::vector<uint32_t> needed_;
  Materials materials_;
  Json config_source_ = Json::object();
  std::map<std::string, std::string> vcs_;
  bool request_complete_ = false;
};

}  // namespace

std::string provenance_environment(const std::string& directory) {
  const auto opened = sys::try_openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  if (!opened) return {};
  Json out = Json::object();
  for (const auto& name : sys::list_dir(opened->get())) {
    if (!name.ends_with(".json")) continue;
    const auto text = sys::read_file_at(opened->get(), name, kMaxEnvironment);
    const Json more = Json::parse(text.value_or(""), nullptr, false);
    const std::string path = lade::quoted(join_path(directory, name));
    if (!more.is_object()) throw Error(path + " is not a JSON object");
    for (const char* key : {"buildConfig", "builderPlatform", "platform", "dockerfileVersion"}) {
      if (more.contains(key)) throw Error(fmt::format("{}: {} is lade's to say", path, key));
    }
    out.update(more);
  }
  return out.empty() ? "" : out.dump();
}

Attestation provenance(const ProvenanceOptions& options, const ProvenanceFacts& facts,
                       const Definition& graph, Edge root, const WrittenImage* image) {
  return {options.slsa02 ? kPredicate02 : kPredicate1,
          Predicate(options, facts, graph, root, image).text()};
}

}  // namespace lade
