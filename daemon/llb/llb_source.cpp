// Sources of LLB.
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/json/json_reader.hpp"
#include "base/text.hpp"
#include "daemon/job/ref_files.hpp"
#include "daemon/llb/llb_loader.hpp"
#include "solver/lower/remote.hpp"
#include "solver/source/remote_sources.hpp"

namespace lade {
namespace {

constexpr std::string_view kImageScheme = "docker-image://";
constexpr std::string_view kLayoutScheme = "oci-layout://";
constexpr std::string_view kGitScheme = "git://";

std::string attr(const pb::SourceOp& source, const std::string& name) {
  const auto found = source.attrs().find(name);
  return found == source.attrs().end() ? "" : found->second;
}

/// An attribute that is not known would change what the source is, or how it is checked.
void check_attrs(const pb::SourceOp& source, const std::set<std::string_view>& known) {
  for (const auto& [name, value] : source.attrs()) {
    if (!known.contains(name)) {
      throw Error(fmt::format("the attribute {} of sources is not supported", name));
    }
  }
}

/// Secrets that a source is fetched with are looked for under their usual names only.
void check_secret(const pb::SourceOp& source, const std::string& name, std::string_view usual) {
  const std::string value = attr(source, name);
  if (value.empty() || value == usual || value.starts_with(std::string(usual) + ".")) return;
  throw Error(
      fmt::format("{}={} is not supported: the secret's name must be {}", name, value, usual));
}

/// A list that is kept as JSON in an attribute.
std::vector<std::string> list_attr(const pb::SourceOp& source, const std::string& name) {
  std::vector<std::string> out;
  const std::string text = attr(source, name);
  if (text.empty()) return out;
  const auto json = parse_foreign_json(text);
  if (!json.is_array()) throw Error(fmt::format("{} is not a JSON list", name));
  for (const auto& value : json) {
    if (!value.is_string()) throw Error(fmt::format("{} is not a list of strings", name));
    out.push_back(value.get<std::string>());
  }
  return out;
}

SourceOp git_op(const pb::SourceOp& source) {
  check_attrs(source, {"git.fullurl", "git.keepgitdir", "git.skipsubmodules", "git.fetchbycommit",
                       "git.checksum", "git.mtime", "git.authheadersecret", "git.authtokensecret",
                       "git.mountsshsock", "git.knownsshhosts"});
  check_secret(source, "git.authheadersecret", "GIT_AUTH_HEADER");
  check_secret(source, "git.authtokensecret", "GIT_AUTH_TOKEN");
  if (const auto agent = attr(source, "git.mountsshsock"); !agent.empty() && agent != "default") {
    throw Error(fmt::format("git.mountsshsock={} is not supported: only the default agent", agent));
  }
  std::string text = source.identifier();
  if (const auto url = attr(source, "git.fullurl"); !url.empty()) {
    const auto fragment = text.find('#');
    text = url + (fragment == std::string::npos ? "" : text.substr(fragment));
  }
  auto reference = parse_git_reference(text);
  if (!reference) throw Error("not a git repository: " + lade::quoted(text));
  if (attr(source, "git.keepgitdir") == "true") reference->keep_git_dir = true;
  if (attr(source, "git.skipsubmodules") == "true") reference->submodules = false;
  if (attr(source, "git.fetchbycommit") == "true") reference->fetch_by_commit = true;
  if (const auto sum = attr(source, "git.checksum"); !sum.empty()) reference->checksum = sum;
  if (const auto mtime = attr(source, "git.mtime"); !mtime.empty()) reference->mtime = mtime;
  SourceOp out = git_source(*reference);
  if (const auto hosts = attr(source, "git.knownsshhosts"); !hosts.empty()) {
    out.attrs["known-hosts"] = hosts;
  }
  return out;
}

SourceOp http_op(const pb::SourceOp& source) {
  check_attrs(source, {"http.filename", "http.checksum", "http.uid", "http.gid", "http.perm",
                       "http.authheadersecret"});
  const auto parts = parse_url(source.identifier());
  check_secret(source, "http.authheadersecret",
               "HTTP_AUTH_HEADER_" + (parts ? parts->host_name() : ""));
  SourceOp out{source.identifier(), {}};
  for (const char* name : {"filename", "checksum", "uid", "gid"}) {
    if (const auto value = attr(source, fmt::format("http.{}", name)); !value.empty()) {
      out.attrs[name] = value;
    }
  }
  if (const auto perm = attr(source, "http.perm"); !perm.empty()) {
    out.attrs["perm"] = perm.starts_with("0o") ? perm.substr(2) : perm;
  }
  return out;
}

void check_image_digest(const BaseImage& image, const pb::SourceOp& source) {
  const std::string wanted = attr(source, "image.checksum");
  if (wanted.empty() || image.identifier.ends_with("@" + wanted)) return;
  throw Error(fmt::format("image digest mismatch: {} is not {}", image.display, wanted));
}

}  // namespace

SourceOp remote_source(const pb::SourceOp& source) {
  return source.identifier().starts_with(kGitScheme) ? git_op(source) : http_op(source);
}

pb::SourceOp llb_source(const SourceOp& source) {
  pb::SourceOp out;
  auto& attrs = *out.mutable_attrs();
  std::string identifier = source.identifier;
  const bool git = identifier.starts_with(kGitScheme);
  if (git) {
    const std::string subdir = source.attr("subdir");
    if (!source.attr("ref").empty() || !subdir.empty()) {
      identifier += "#" + source.attr("ref") + (subdir.empty() ? "" : ":" + subdir);
    }
    attrs["git.fullurl"] = source.attr("remote");
    for (const auto& [ours, theirs] :
         {std::pair("keep-git-dir", "git.keepgitdir"), std::pair("checksum", "git.checksum"),
          std::pair("mtime", "git.mtime"), std::pair("fetch-by-commit", "git.fetchbycommit"),
          std::pair("known-hosts", "git.knownsshhosts")}) {
      if (const auto value = source.attr(ours); !value.empty()) attrs[theirs] = value;
    }
    if (source.attr("submodules") == "false") attrs["git.skipsubmodules"] = "true";
  } else {
    for (const auto& [name, value] : source.attrs) attrs["http." + name] = value;
  }
  out.set_identifier(identifier);
  return out;
}

void apply_policies(const SourcePolicies& policies, Definition& graph) {
  if (policies.empty()) return;
  for (auto& vertex : graph.vertices) {
    auto* source = std::get_if<SourceOp>(&vertex.op);
    const bool remote = source && RemoteSources::handles(*source);
    if (!remote) continue;
    pb::SourceOp asked = llb_source(*source);
    try {
      if (!policies.apply(asked, vertex.platform)) continue;
    } catch (Error& error) {
      if (vertex.range.first_line > 0) error.add_range(vertex.range);
      throw;
    }
    if (asked.identifier().starts_with(kImageScheme) ||
        asked.identifier().starts_with(kLocalScheme)) {
      throw Error(fmt::format("a policy that turns {} into {} is not supported",
                              lade::quoted(source->identifier), lade::quoted(asked.identifier())));
    }
    *source = remote_source(asked);
  }
}

void LlbLoader::add_source(const std::string& digest, pb::Op op) {
  const std::string original = op.source().identifier();
  if (original.starts_with(kResultScheme)) {
    loaded_[digest].outputs[0] = result_edge(original.substr(kResultScheme.size()));
    return;
  }
  policies_.apply(*op.mutable_source(), platform_of(op).str());
  const std::string& id = op.source().identifier();
  if (id.starts_with(kLocalScheme)) return add_local(digest, op);
  if (id.starts_with(kImageScheme) || id.starts_with(kLayoutScheme)) {
    loaded_[digest].outputs[0] = image_edge(digest, op);
  } else if (id.starts_with(kGitScheme) || id.starts_with("http://") ||
             id.starts_with("https://")) {
    loaded_[digest].outputs[0] =
        add(digest, op, remote_source(op.source()), {}, name_of(digest, op));
  } else {
    throw Error("the source is of no known kind: " + lade::quoted(id));
  }
}

Edge LlbLoader::result_edge(const std::string& id) {
  const auto found = find_(id);
  if (!found) throw Error("the result that the graph refers to is not known any more");
  if (!found->solved) return take(*found);
  // What it came to is known: an image, as far as the graph is concerned.
  Vertex vertex;
  vertex.op = result_source(job_, found, {});
  ref_.definition.vertices.push_back(std::move(vertex));
  return {static_cast<uint32_t>(ref_.definition.vertices.size() - 1), 0};
}

Edge LlbLoader::image_edge(const std::string& digest, const pb::Op& op) {
  const auto& source = op.source();
  check_attrs(source, {"image.resolvemode", "image.recordtype", "image.checksum", "oci.session",
                       "oci.store"});
  std::string id = source.identifier();
  const std::string mode = attr(source, "image.resolvemode");
  if (mode == "pull") job_.images().set_pull(PullPolicy::always);
  if (mode == "local") job_.images().set_pull(PullPolicy::missing);
  if (id.starts_with(kLayoutScheme)) {
    const auto at = id.rfind('@');
    if (at == std::string::npos) throw Error("an OCI layout is read by its digest");
    if (const auto session = attr(source, "oci.session");
        !session.empty() && session != job_.session_id()) {
      throw Error("an OCI layout of another session is not supported");
    }
    id = std::string(kLayoutScheme) + attr(source, "oci.store") + id.substr(at);
  }
  const BaseImage image = job_.images().resolve(id, platform_of(op));
  check_image_digest(image, source);
  if (image.config.diff_ids.empty()) return scratch();
  ChainId chain;
  for (const auto& diff_id : image.config.diff_ids) chain = chain_id(chain, diff_id);
  return add(digest, op, SourceOp{image.identifier, {{"chain", chain.digest.str()}}}, {},
             name_of(digest, op));
}

void LlbLoader::add_local(const std::string& digest, const pb::Op& op) {
  const auto& source = op.source();
  // What is one of a kind ("unique") or never the same ("differ") is compared by its contents here.
  check_attrs(source, {"local.session", "local.unique", "local.includepattern", "local.followpaths",
                       "local.excludepatterns", "local.sharedkeyhint", "local.differ"});
  LocalDirectory local;
  local.request.name = source.identifier().substr(kLocalScheme.size());
  local.request.include = list_attr(source, "local.includepattern");
  local.request.exclude = list_attr(source, "local.excludepatterns");
  local.request.follow = list_attr(source, "local.followpaths");
  local.shared_key = attr(source, "local.sharedkeyhint");
  local.session = attr(source, "local.session");
  local.all_new = attr(source, "local.differ") == "none";
  local.what = "the client's directory " + lade::quoted(local.request.name);
  // Two selections of one directory are two sources.
  const std::string name =
      fmt::format("{}#{}", local.request.name, Digest::of(local.identity()).hex().substr(0, 16));
  ref_.locals[name] = local;
  LoadedOp& out = loaded_[digest];
  out.local = add(digest, op, SourceOp{"local://" + name, {}}, {}, name_of(digest, op));
  FileOp copy{{CopyAction{.source = "/", .destination = "/", .wildcard = false}}};
  out.outputs[0] = add(digest, op, std::move(copy), {scratch(), *out.local}, "");
}

}  // namespace lade
