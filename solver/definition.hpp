// The graph of a build, shaped like BuildKit's LLB: vertices hold an op, edges name an output of a
// vertex. Plain data: made by lowering (or, one day, by other frontends), read by the solver.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/digest.hpp"
#include "base/source_range.hpp"

namespace lade {

/// One output of one vertex. Outputs are numbered; all ops but exec have output 0 only.
struct Edge {
  uint32_t vertex = 0;
  uint32_t output = 0;
  auto operator<=>(const Edge&) const = default;
};

/// Something from outside the graph.
///   "scratch"                       nothing, the empty tree
///   "docker-image://REFERENCE"      an image, resolved while lowering; attrs: "chain" its chain ID
///   "local://NAME"                  a directory of the user's; attrs: "exclude.N" .dockerignore's
///   patterns
///   "http://..." "https://..."      a file of a web server; attrs: solver/source/http.hpp
///   "git://HOST/PATH"               a git repository's commit; attrs: solver/source/git.hpp
struct SourceOp {
  std::string identifier;
  std::map<std::string, std::string> attrs;

  std::string attr(const std::string& name) const;  ///< empty if there is none
  auto operator<=>(const SourceOp&) const = default;
};

enum class ExecMountType { bind, cache, tmpfs, secret, ssh };
enum class CacheMountSharing { shared, exclusive, locked };  ///< exclusive: sharing=private

struct ExecMount {
  ExecMountType type = ExecMountType::bind;
  std::string target;
  std::optional<uint32_t> input;  ///< index into the vertex's inputs; nullopt: nothing below
  std::string subpath;            ///< bind, cache: what of the input is seen
  bool read_only = true;
  uint64_t size_bytes = 0;  ///< tmpfs
  std::string id;           ///< cache, secret, ssh
  CacheMountSharing sharing = CacheMountSharing::shared;
  bool required = false;           ///< secret, ssh
  std::optional<std::string> env;  ///< secret: as a variable
  bool env_only = false;           ///< secret: no file
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

enum class OpNetwork { sandbox, none, host };
enum class OpSecurity { sandbox, insecure };

/// A limit of a step's process, by its name for `docker build --ulimit` ("nofile"). -1: none.
struct Ulimit {
  std::string name;
  int64_t soft = 0;
  int64_t hard = 0;
};

/// A process in a root filesystem. Input 0 is the root; output 0 the root afterwards.
struct ExecOp {
  std::vector<std::string> args;
  std::vector<std::string> env;                  ///< "K=V"
  std::map<std::string, std::string> proxy_env;  ///< given to the process, not part of the key
  std::string cwd = "/";
  std::string user;  ///< as USER has it; empty: root
  std::string hostname;
  std::vector<ExecMount> mounts;
  OpNetwork network = OpNetwork::sandbox;
  OpSecurity security = OpSecurity::sandbox;
  std::vector<std::pair<std::string, std::string>> extra_hosts;  ///< name, address
  uint64_t shm_bytes = 0;                                        ///< 0: the default
  std::vector<Ulimit> ulimits;
  // Not part of the key: where it is accounted and how often and how long it is tried do not change
  // what a step makes.
  std::string cgroup_parent;
  int retries = 0;                      ///< further attempts after a failure
  std::chrono::nanoseconds timeout{0};  ///< of each attempt; 0: none
  /// A file put before the process starts and gone after it: the script of a heredoc with "#!".
  struct Script {
    std::string path;
    std::string content;
  };
  std::optional<Script> script;
};

/// How copied things change owner and mode. Absent: as the source has it.
struct CopyOwner {
  std::string user;  ///< "name|uid[:group|gid]", looked up in the image copied to (input 0)
};

struct CopyAction {
  uint32_t input = 1;       ///< where from
  std::string source;       ///< absolute path in it, may have wildcards
  std::string destination;  ///< absolute; a trailing slash means "a directory"
  std::optional<CopyOwner> owner{};
  std::optional<std::string> mode{};    ///< octal or symbolic (parser-checked)
  std::vector<std::string> excludes{};  ///< patterns relative to the copied root
  bool wildcard = true;     ///< `source` may have wildcards, one that matches nothing is no error
  bool must_match = false;  ///< but for this; not in keys: it decides between no result and one
  bool parents = false;     ///< keep the source's path below the destination (--parents)
  bool unpack = false;      ///< ADD: archives are unpacked
  bool follow_destination = true;  ///< symlinks in the destination resolve (false with --link)
};

/// A file that comes with the graph (COPY <<EOF).
struct MakeFileAction {
  std::string name;  ///< joined to the destination when that is a directory
  std::string content;
  std::string destination;
  std::optional<CopyOwner> owner{};
  std::optional<std::string> mode{};  ///< default 0644
  bool follow_destination = true;
};

/// WORKDIR: a directory with its parents, 0755. Nothing happens to what exists.
struct MakeDirAction {
  std::string path;
  std::optional<CopyOwner> owner{};
  std::optional<int64_t> mtime;  ///< seconds since 1970 (SOURCE_DATE_EPOCH); now if absent
};

using FileAction = std::variant<CopyAction, MakeFileAction, MakeDirAction>;

/// Changes to a tree without a process: one new layer on input 0.
struct FileOp {
  std::vector<FileAction> actions;
};

/// The layers of all inputs on top of each other: COPY --link.
struct MergeOp {};

using Op = std::variant<SourceOp, ExecOp, FileOp, MergeOp>;

/// A vertex; `inputs` are earlier vertices of the same Definition.
struct Vertex {
  Op op;
  std::vector<Edge> inputs;
  std::string platform;       ///< "linux/amd64"
  std::string name;           ///< for people: "[build 2/5] RUN make"
  SourceRange range;          ///< the instruction; no lines for what has none
  bool ignore_cache = false;  ///< always run (--no-cache); still recorded
};

/// A graph in topological order: inputs come before their users.
struct Definition {
  std::vector<Vertex> vertices;
};

/// Appends `from` to `into`; vertices that are there already (the same op on the same inputs) are
/// used again. Returns where `root` is now.
Edge append(Definition& into, Definition from, Edge root);

/// Digest of what an op does, without its inputs: part of every cache key. Names, ranges and what
/// must not count (proxies, hosts' addresses, secrets' values) are left out.
Digest op_digest(const Vertex& vertex);

/// The parts of an op that op_digest() covers, named, for explaining why a key changed.
std::vector<std::pair<std::string, std::string>> op_components(const Vertex& vertex);

}  // namespace lade
