#include "solver/lower/remote.hpp"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/grammar.hpp"

namespace lade {
namespace {

constexpr std::string_view kContextFile = "context";
constexpr std::string_view kTags = "refs/tags/";
constexpr std::string_view kHeads = "refs/heads/";

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

/// The scheme of "scheme://...", as it is written; empty if there is none.
std::string_view scheme_of(std::string_view text) {
  size_t end = 0;
  while (end < text.size() && is_alnum(text[end])) ++end;
  return end > 0 && text.substr(end).starts_with("://") ? text.substr(0, end) : std::string_view();
}

bool valid_host(std::string_view host) {
  const auto bracket = host.find(']');
  if (host.starts_with('[') != (bracket != std::string_view::npos)) return false;
  const auto colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (bracket != std::string_view::npos && bracket + 1 != host.size() && colon != bracket + 1) {
    return false;
  }
  if (colon != std::string_view::npos &&
      host.find_first_not_of("0123456789", colon + 1) != std::string_view::npos) {
    return false;
  }
  return host.find_first_of(" \"<>\\^`{|}") == std::string_view::npos;
}

/// Encodes what may not stand in a URL's path as it is; keeps what is encoded.
std::string encode_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (static_cast<unsigned char>(c) >= 0x80 ||
        std::string_view(" \"<>\\^`{|}").find(c) != std::string_view::npos) {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

using Query = std::map<std::string, std::vector<std::string>>;

/// As Go's url.ParseQuery; nullopt for what it refuses, unless `lenient`, which skips that.
std::optional<Query> parse_query(std::string_view text, bool lenient) {
  Query query;
  for (const auto& pair : split(text, '&')) {
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    const auto key = percent_decode(pair.substr(0, equals), true);
    const auto value =
        percent_decode(equals == std::string::npos ? "" : pair.substr(equals + 1), true);
    if (!key || !value || pair.find(';') != std::string::npos) {
      if (!lenient) return std::nullopt;
      continue;
    }
    query[*key].push_back(*value);
  }
  return query;
}

bool parse_flag(const std::string& key, const std::string& value) {
  if (value.empty()) return true;
  const auto flag = parser::boolean(value);
  if (!flag) throw Error(fmt::format("invalid {} value: \"{}\"", key, value));
  return *flag;
}

void set_once(std::string& field, const char* what, const std::string& value) {
  if (!field.empty() && field != value) {
    throw Error(fmt::format("{} conflicts: \"{}\" vs \"{}\"", what, field, value));
  }
  field = value;
}

void read_query(GitReference& reference, const Query& query) {
  std::string tag;
  std::string branch;
  for (const auto& [key, values] : query) {
    const bool flag = key == "submodules" || key == "keep-git-dir" || key == "fetch-by-commit";
    if (values.size() > 1) throw Error(fmt::format("query \"{}\" has multiple values", key));
    const std::string& value = values.front();
    if (value.empty() && !flag) throw Error(fmt::format("query \"{}\" has no value", key));
    if (key == "ref") {
      set_once(reference.ref, "ref", value);
    } else if (key == "tag") {
      tag = value.starts_with(kTags) ? value : std::string(kTags) + value;
    } else if (key == "branch") {
      branch = value.starts_with(kHeads) ? value : std::string(kHeads) + value;
    } else if (key == "subdir") {
      set_once(reference.subdir, "subdir", value);
    } else if (key == "checksum" || key == "commit") {
      set_once(reference.checksum, "checksum", value);
    } else if (key == "keep-git-dir") {
      reference.keep_git_dir = parse_flag(key, value);
    } else if (key == "submodules") {
      reference.submodules = parse_flag(key, value);
    } else if (key == "fetch-by-commit") {
      reference.fetch_by_commit = parse_flag(key, value);
    } else if (key == "mtime") {
      if (value != "checkout" && value != "commit") {
        throw Error(
            fmt::format("invalid mtime value: \"{}\" (must be \"checkout\" or \"commit\")", value));
      }
      reference.mtime = value;
    } else {
      throw Error(fmt::format("unexpected query \"{}\"", key));
    }
  }
  if (!tag.empty() && !branch.empty()) throw Error("branch conflicts with tag");
  if (!tag.empty()) set_once(reference.ref, "ref", tag);
  if (!branch.empty()) set_once(reference.ref, "ref", branch);
}

void read_fragment(GitReference& reference, const std::string& fragment) {
  const auto colon = fragment.find(':');
  reference.ref = fragment.substr(0, colon);
  if (colon != std::string::npos) {
    reference.subdir = clean_path("/" + fragment.substr(colon + 1)).substr(1);
  }
}

std::string remote_of(const UrlParts& url) {
  return url.scheme + "://" + (url.userinfo.empty() ? "" : url.userinfo + "@") + url.host +
         encode_path(url.path);
}

/// "user@host:path?query#fragment", as scp has it.
struct ScpParts {
  std::string remote;
  std::string query;
  std::string fragment;
};

std::optional<ScpParts> parse_scp(std::string_view text) {
  const auto all = [](std::string_view part, std::string_view extra) {
    return !part.empty() && std::all_of(part.begin(), part.end(), [&](char c) {
      return is_alnum(c) || extra.find(c) != std::string_view::npos;
    });
  };
  const auto at = text.find('@');
  const auto colon = text.find(':', at == std::string_view::npos ? 0 : at);
  if (at == std::string_view::npos || colon == std::string_view::npos) return std::nullopt;
  if (!all(text.substr(0, at), "-_") || !all(text.substr(at + 1, colon - at - 1), "-.")) {
    return std::nullopt;
  }
  if (text.find('\n') != std::string_view::npos) return std::nullopt;
  ScpParts parts;
  const auto hash = text.find('#', colon);
  const auto question = text.substr(0, hash).find('?', colon);
  if (hash != std::string_view::npos) parts.fragment = text.substr(hash + 1);
  if (question != std::string_view::npos) {
    parts.query =
        text.substr(question + 1, hash == std::string_view::npos ? hash : hash - question - 1);
  }
  parts.remote = text.substr(0, std::min(hash, question));
  return parts;
}

std::optional<GitReference> from_scp(std::string_view text) {
  const auto parts = parse_scp(text);
  if (!parts) return std::nullopt;
  const auto query = parse_query(parts->query, false);
  if (!query) return std::nullopt;
  GitReference reference;
  reference.remote = parts->remote;
  read_fragment(reference, parts->fragment);
  read_query(reference, *query);
  return reference;
}

}  // namespace

bool GitReference::uses_ssh() const {
  const auto scheme = scheme_of(remote);
  return scheme.empty() ? parse_scp(remote).has_value() : scheme == "ssh";
}

std::string UrlParts::host_name() const {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size() || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0) {
        return std::nullopt;
      }
      out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::optional<UrlParts> parse_url(std::string_view url) {
  UrlParts parts;
  const auto scheme = scheme_of(url);
  if (scheme.empty() || has_control(url)) return std::nullopt;
  parts.scheme = to_lower(scheme);
  std::string_view rest = url.substr(scheme.size() + 3);
  if (const auto hash = rest.find('#'); hash != std::string_view::npos) {
    parts.fragment = rest.substr(hash + 1);
    rest = rest.substr(0, hash);
  }
  if (const auto question = rest.find('?'); question != std::string_view::npos) {
    parts.query = rest.substr(question + 1);
    rest = rest.substr(0, question);
  }
  const auto slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  if (slash != std::string_view::npos) parts.path = rest.substr(slash);
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    parts.userinfo = authority.substr(0, at);
    authority = authority.substr(at + 1);
  }
  parts.host = authority;
  if (!valid_host(authority) || !percent_decode(parts.path)) return std::nullopt;
  return parts;
}

std::string redact_url(std::string_view url) {
  const auto scheme = scheme_of(url);
  if (scheme.empty()) return std::string(url);
  const size_t start = scheme.size() + 3;
  const auto at = url.substr(0, url.find_first_of("/?#", start)).rfind('@');
  // An SSH user is no secret, and without it the name would be another one.
  const bool plain_user =
      to_lower(scheme) == "ssh" && url.substr(0, at).find(':', start) == std::string_view::npos;
  if (at == std::string_view::npos || at < start || plain_user) return std::string(url);
  return std::string(url.substr(0, start)) + std::string(url.substr(at + 1));
}

std::string source_text(const SourceOp& op) {
  if (!op.attrs.contains("remote")) return redact_url(op.identifier);
  std::string text = redact_url(op.attrs.at("remote"));
  const std::string subdir = op.attr("subdir");
  if (const auto ref = op.attr("ref"); !ref.empty() || !subdir.empty()) text += "#" + ref;
  return subdir.empty() ? text : text + ":" + subdir;
}

std::optional<GitReference> parse_git_reference(std::string_view text) {
  if (text.starts_with("./") || text.starts_with("../")) return std::nullopt;
  const bool shorthand = text.starts_with("github.com/");
  if (!shorthand && scheme_of(text).empty()) return from_scp(text);
  const auto url = parse_url(shorthand ? "https://" + std::string(text) : std::string(text));
  if (!url) return std::nullopt;
  const bool http = url->scheme == "http" || url->scheme == "https";
  if (!http && url->scheme != "ssh" && url->scheme != "git") return std::nullopt;
  // An HTTP URL is a repository's only if it says so.
  if (http && !shorthand && !percent_decode(url->path)->ends_with(".git")) return std::nullopt;
  const auto fragment = percent_decode(url->fragment.value_or(""));
  if (!fragment) return std::nullopt;
  GitReference reference;
  reference.remote = remote_of(*url);
  reference.like_local_path = shorthand;
  read_fragment(reference, *fragment);
  read_query(reference, *parse_query(url->query.value_or(""), true));
  return reference;
}

SourceOp git_source(const GitReference& reference) {
  if (reference.ref.starts_with('-')) {
    throw Error(fmt::format("invalid git ref \"{}\"", reference.ref));
  }
  const std::string shown = redact_url(reference.remote);
  const auto scheme_end = shown.find("://");
  SourceOp op{"git://" + (scheme_end == std::string::npos ? shown : shown.substr(scheme_end + 3)),
              {}};
  op.attrs["remote"] = reference.remote;
  if (!reference.ref.empty()) op.attrs["ref"] = reference.ref;
  if (!reference.subdir.empty()) op.attrs["subdir"] = reference.subdir;
  if (!reference.checksum.empty()) op.attrs["checksum"] = reference.checksum;
  if (reference.keep_git_dir.value_or(false)) op.attrs["keep-git-dir"] = "true";
  if (!reference.submodules.value_or(true)) op.attrs["submodules"] = "false";
  if (reference.mtime == "commit") op.attrs["mtime"] = "commit";
  if (reference.fetch_by_commit) op.attrs["fetch-by-commit"] = "true";
  return op;
}

bool is_http_source(std::string_view text) {
  if (!text.starts_with("http://") && !text.starts_with("https://")) return false;
  return !parse_git_reference(text);
}

std::string safe_file_name(std::string_view name) {
  const std::string base = base_name(trim(name));
  const bool usable = base != "." && base != ".." && base != "/" && !has_control(base) &&
                      base.find('\0') == std::string::npos;
  return usable && !base.empty() ? base : "download";
}

std::string http_file_name(std::string_view url) {
  const auto parts = parse_url(url);
  const std::string base = parts ? base_name(percent_decode(parts->path).value_or("")) : "";
  return base.empty() || base == "." || base == "/" ? "__unnamed__" : safe_file_name(base);
}

SourceOp http_source(const std::string& url, const std::string& name, const std::string& checksum) {
  SourceOp op{url, {{"filename", name}}};
  if (!checksum.empty()) op.attrs["checksum"] = Digest::parse(checksum).str();
  return op;
}

bool is_image_context(const std::string& value) {
  return value.starts_with("docker-image://") || value.starts_with("oci-layout://") ||
         value.starts_with("result://");
}

std::optional<ContextSource> remote_context(const std::string& value) {
  ContextSource context;
  if (const auto git = parse_git_reference(value)) {
    context.source = git_source(*git);
    context.name = "[internal] load git source " + redact_url(value);
    return context;
  }
  if (!is_http_source(value)) return std::nullopt;
  context.source = http_source(value, std::string(kContextFile), "");
  context.name = "[internal] load remote build context " + redact_url(value);
  return context;
}

Edge add_context(Definition& definition, const ContextSource& context) {
  const auto add = [&](Op op, std::vector<Edge> inputs, std::string name) {
    Vertex vertex;
    vertex.op = std::move(op);
    vertex.inputs = std::move(inputs);
    vertex.name = std::move(name);
    definition.vertices.push_back(std::move(vertex));
    return Edge{static_cast<uint32_t>(definition.vertices.size() - 1), 0};
  };
  Edge out = add(context.source, {}, context.name);
  if (!context.archive.empty()) {
    const Edge scratch = add(SourceOp{"scratch", {}}, {}, "");
    FileOp unpack{{CopyAction{
        .source = "/" + context.archive, .destination = "/", .wildcard = false, .unpack = true}}};
    out = add(std::move(unpack), {scratch, out}, "[internal] unpack build context");
  }
  if (!context.subdir.empty()) {
    const Edge scratch = add(SourceOp{"scratch", {}}, {}, "");
    FileOp part{{CopyAction{
        .source = clean_path("/" + context.subdir), .destination = "/", .wildcard = false}}};
    out = add(std::move(part), {scratch, out}, "[internal] take a part of the build context");
  }
  return out;
}

}  // namespace lade
