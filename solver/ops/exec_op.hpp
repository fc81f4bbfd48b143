// Makes an ExecOp ready to run: the root's overlay with the step's mount stubs, its mounts, user,
// files.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "snapshotter/state.hpp"
#include "solver/executor/executor.hpp"
#include "solver/graph/definition.hpp"
#include "solver/ops/ssh_forward.hpp"

namespace lade {

/// A cache mount's directory (snapshotter/cache_mount.hpp), held for the length of a step.
class CacheMount {
 public:
  /// nullopt if the mount's sharing does not allow it now (locked, and somebody holds it): try
  /// again later. `exclusive` takes the first one of the id's directories that nobody uses, or
  /// makes another.
  /// `directory` names it: name_of(), or a restored_mount().
  static std::optional<CacheMount> try_lease(const std::string& state_root, const ExecMount& mount,
                                             const Digest& directory);
  /// What a mount is: its id together with what it begins as, so that steps which want other
  /// owners, modes or trees below do not get each other's (BuildKit: the id and the ref). The
  /// layers of an input that the mount has must have their directories. Throws Error.
  static Digest name_of(const ExecMount& mount, StateDir& state,
                        const std::vector<LayerStack>& inputs);
  const std::string& path() const { return path_; }  ///< of its tree

 private:
  std::string path_;
  UniqueFd lock_;
};

/// What a running step holds on to. Its pieces go away with it.
struct PreparedExec {
  ExecSpec spec;
  PendingLayer upper;                        ///< the new layer
  std::map<uint32_t, PendingLayer> outputs;  ///< likewise of mounts, by the outputs they make
  std::vector<PendingLayer> thrown;  ///< uppers of other writable bind mounts, never committed
  PendingLayer stubs;                ///< the lowerdir with mount targets that the image lacks
  std::vector<SshSocket> ssh;        ///< to be served by SshForwards while the step runs
};

/// What the user lends to steps; never part of a key.
struct ExecSecrets {
  std::map<std::string, std::string> values;  ///< --secret: id -> value
  std::map<std::string, std::string> agents;  ///< --ssh: id -> path of an agent's socket
};

/// What of an op makes its process: arguments, environment (with HOME), working directory, user,
/// security, limits. The user is looked up in the root `index`. Throws Error for one that is not
/// there.
void set_process(const ExecOp& op, const MergedIndex& index, const OpenFound& open, ExecSpec& spec);

/// `inputs[i]` is the stack of the vertex's input i; `caches[j]` belongs to mounts[j] (of type
/// cache). All layers must have their directories. `host_mounts` are binds of the host's files and
/// directories (which no op has) and tmpfs; they are mounted after those of the op. Throws Error.
PreparedExec prepare_exec(StateDir& state, const ExecOp& op, const std::vector<LayerStack>& inputs,
                          const std::map<size_t, std::string>& cache_paths,
                          const ExecSecrets& secrets, const std::vector<Mount>& host_mounts = {});

}  // namespace lade
