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

#include "base/cgroup_limits.hpp"
#include "base/digest.hpp"
#include "base/source_range.hpp"

namespace lade {

/// One output of one vertex. Outputs are numbered; all ops but exec have output 0 only.
struct Edge {
  uint32_t vertex = 0;
  uint32_t output = 0;
  auto operator<=>(const Edge&) const = default;
};

inline constexpr std::string_view kLocalScheme = "local://";

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
  /// bind: the number, from 1, of the output that its tree is afterwards. Without one what is
  /// written is thrown away.
  std::optional<uint32_t> output;
  uint64_t size_bytes = 0;  ///< tmpfs
  std::string id;           ///< cache, secret, ssh
  CacheMountSharing sharing = CacheMountSharing::shared;
  bool required = false;           ///< secret, ssh
  std::optional<std::string> env;  ///< secret: as a variable
  bool env_only = false;           ///< secret: no file
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  /// cache: begins as an empty directory of that owner and mode, which are a part of what it is;
  /// of an `input` nothing is seen then.
  bool own_directory = false;
};

enum class OpNetwork { sandbox, none, host };
enum class OpSecurity { sandbox, insecure };

/// A limit of a step's process, by its name for `docker build --ulimit` ("nofile"). -1: none.
struct Ulimit {
  std::string name;
  int64_t soft = 0;
  int64_t hard = 0;
};

/// A process in a root filesystem. Input 0 is the root; output 0 the root afterwards. An input that
/// a mount makes an output of belongs to that mount alone.
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
  bool read_only_root = false;       ///< output 0 is the input, then
  std::vector<int> good_exit_codes;  ///< of a step that has succeeded; empty: 0
  // Not part of the key: where it is accounted, what it may take and how often and how long it is
  // tried do not change what a step makes.
  std::string cgroup_parent;
  CgroupLimits resources;
  int retries = 0;                      ///< further attempts after a failure
  std::chrono::nanoseconds timeout{0};  ///< of each attempt; 0: none
  /// A file put before the process starts and gone after it: the script of a heredoc with "#!".
  struct Script {
    std::string path;
    std::string content;
  };
  std::optional<Script> script;
};

/// When a file was last changed.
struct FileTime {
  int64_t seconds = 0;  ///< since 1970
  uint32_t nanoseconds = 0;
  FileTime(int64_t at, uint32_t fraction = 0) : seconds(at), nanoseconds(fraction) {}
  auto operator<=>(const FileTime&) const = default;
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
  // What no Dockerfile asks for.
  std::vector<std::string> includes{};  ///< patterns likewise; empty: everything
  std::vector<std::string> required{};  ///< prefixes of paths of which there must be some
  bool contents = true;                 ///< a directory is not copied itself, but what is in it
  bool follow_source = true;            ///< the source's last component resolves, too
  bool make_destination = true;         ///< the destination's parents are made
  bool replace = false;                 ///< what is in the way goes, of whatever type it is
  std::optional<FileTime> mtime{};      ///< of all that is copied; absent: as the source has it
};

/// A file that comes with the graph (COPY <<EOF).
struct MakeFileAction {
  std::string name;  ///< joined to the destination when that is a directory; empty: never
  std::string content;
  std::string destination;
  std::optional<CopyOwner> owner{};
  std::optional<std::string> mode{};  ///< default 0644
  bool follow_destination = true;
  bool parents = true;              ///< made if they are missing
  std::optional<FileTime> mtime{};  ///< now if absent
};

/// WORKDIR: a directory. Nothing happens to what exists.
struct MakeDirAction {
  std::string path;
  std::optional<CopyOwner> owner{};
  std::optional<FileTime> mtime{};  ///< now if absent
  uint32_t mode = 0755;
  bool parents = true;  ///< made if they are missing
};

struct SymlinkAction {
  std::string target;  ///< what the link says
  std::string path;    ///< where nothing may be; its parent must be
  std::optional<CopyOwner> owner{};
  std::optional<FileTime> mtime{};  ///< now if absent
};

/// Takes something away, directories with what is in them. A last component that is a symlink is
/// meant itself.
struct RemoveAction {
  std::string path;
  bool wildcard = false;    ///< `path` may have wildcards; one that matches nothing is no error
  bool must_exist = false;  ///< else that nothing is there is no error
};

using FileAction =
    std::variant<CopyAction, MakeFileAction, MakeDirAction, SymlinkAction, RemoveAction>;

/// Changes to a tree without a process: one new layer on input 0.
struct FileOp {
  std::vector<FileAction> actions;
};

/// The layers of all inputs on top of each other: COPY --link.
struct MergeOp {};

/// The layers that make input 0 into input 1: what is above it, if it is the lower part of that.
struct DiffOp {};

using Op = std::variant<SourceOp, ExecOp, FileOp, MergeOp, DiffOp>;

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

/// How many outputs an op has.
uint32_t output_count(const Op& op);

/// The parts of an op that op_digest() covers, named, for explaining why a key changed.
std::vector<std::pair<std::string, std::string>> op_components(const Vertex& vertex);

}  // namespace lade
