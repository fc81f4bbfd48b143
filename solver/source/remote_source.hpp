// What kinds of remote sources have in common.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.hpp"
#include "registry/net/http.hpp"
#include "snapshotter/layers/layer.hpp"
#include "solver/graph/definition.hpp"

namespace lade {

struct RemoteSourceOptions {
  /// id -> value. HTTP_AUTH_HEADER_<host> and HTTP_AUTH_TOKEN_<host> authorize downloads,
  /// GIT_AUTH_HEADER[.<host>] and GIT_AUTH_TOKEN[.<host>] git over HTTP.
  std::map<std::string, std::string> secrets;
  /// --ssh: id -> socket of an agent; "default" is for git over SSH.
  std::map<std::string, std::string> ssh_agents;
  /// A body that is longer is an error, whatever the disk could hold.
  uint64_t max_download = 64ull << 30;
  HttpOptions http{};
};

/// Told of transfers, from the thread that does them: what, bytes so far, bytes in all (0:
/// unknown).
using TransferProgress = std::function<void(std::string_view item, uint64_t done, uint64_t total)>;

/// One kind of remote source. Thread-safe.
class RemoteSource {
 public:
  virtual ~RemoteSource() = default;
  /// Of what the remote has now, and of what `op` makes of it: the vertex's key.
  virtual Digest resolve(const SourceOp& op, const TransferProgress& progress) = 0;
  /// What resolve() found, as people name it: a commit, "sha256:..." of a file. nullopt before.
  virtual std::optional<std::string> pin(const SourceOp& op) = 0;
  /// The layer that resolve() promised.
  virtual LayerId fetch(const SourceOp& op, const TransferProgress& progress) = 0;
};

}  // namespace lade
