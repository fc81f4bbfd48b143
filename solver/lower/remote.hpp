// Sources that are not on this machine, as Dockerfiles and command lines name them: git references
// and HTTP URLs, and build contexts made of them. What is one and what its parts mean is as in
// BuildKit v0.32 (its dfgitutil.ParseGitRef and dockerui contexts).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "solver/graph/definition.hpp"

namespace lade {

/// "https://host/repo.git#ref:subdir", "git@host:repo?tag=v1", "github.com/user/repo".
struct GitReference {
  std::string remote;  ///< what git is given, without the query and the fragment
  std::string ref;     ///< branch, tag, "refs/...", commit; empty: the default branch
  std::string subdir;
  std::string checksum;  ///< (beginning of) the commit or of an annotated tag's object
  std::optional<bool> keep_git_dir;
  std::optional<bool> submodules;
  std::string mtime;             ///< "commit" or "checkout"; empty: not said
  bool fetch_by_commit = false;  ///< `checksum` is the commit, whatever `ref` points at now
  bool like_local_path = false;  ///< "github.com/...": a context's name, a path for ADD

  bool uses_ssh() const;
};

/// nullopt if `text` is no git reference; Error if it is one with a bad query.
std::optional<GitReference> parse_git_reference(std::string_view text);

/// The source op for it; attrs as in definition.hpp.
SourceOp git_source(const GitReference& reference);

/// "http://" or "https://", and no git reference.
bool is_http_source(std::string_view text);
/// The name that the file of `url` gets: the last part of its path.
std::string http_file_name(std::string_view url);
/// The source op of one file, `name`; `checksum` ("sha256:...") may be empty.
SourceOp http_source(const std::string& url, const std::string& name, const std::string& checksum);

/// `name` if it can be a file's, else "download".
std::string safe_file_name(std::string_view name);

/// A URL in its parts; nullopt if it is none. The authority's form is checked, percent-encodings
/// are kept.
struct UrlParts {
  std::string scheme;    ///< lower case
  std::string userinfo;  ///< still encoded
  std::string host;      ///< with its port
  std::string path;      ///< still encoded
  std::optional<std::string> query;
  std::optional<std::string> fragment;
  std::string host_name() const;  ///< without port and brackets
};
std::optional<UrlParts> parse_url(std::string_view url);
/// nullopt for a "%" without two hex digits.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);
/// An HTTP or git source for people: "https://host/repo.git#v1:sub".
std::string source_text(const SourceOp& op);
/// For people: without the user's name and password.
std::string redact_url(std::string_view url);

/// A build context that is no directory of the user's.
struct ContextSource {
  SourceOp source;
  std::string name;      ///< of the vertex, for progress
  std::string archive;   ///< the file in `source` that is unpacked to be the context; empty: the
                         ///< context is the source as it is
  std::string subdir{};  ///< the directory of that which is the context; empty: all
};

/// "docker-image://...", "oci-layout://..." or "result://...".
bool is_image_context(const std::string& value);

/// What `value` (a main context, or the value of a named one) names, if that is remote. An HTTP
/// context is one file called "context". Throws as parse_git_reference().
std::optional<ContextSource> remote_context(const std::string& value);

/// Adds the vertices of a context; returns the edge to read from.
Edge add_context(Definition& definition, const ContextSource& context);

}  // namespace lade
