// Remote sources: files that an HTTP server or a git repository has. Each becomes one layer.
//
// A source is first resolved: the remote is asked what it has now, which gives the vertex's key. A
// key that has a record needs nothing more; otherwise the layer is fetched. Within one
// RemoteSources (one build) each source is resolved once, so all of the build sees one state.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.hpp"
#include "registry/http.hpp"
#include "snapshotter/state.hpp"
#include "solver/definition.hpp"
#include "solver/source/child_process.hpp"

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

/// Thread-safe. All that blocks does so on the network or the disk: call it on threads that may.
class RemoteSources {
 public:
  RemoteSources(StateDir& state, RemoteSourceOptions options);
  ~RemoteSources();

  /// Whether `op` is a remote source: "http://...", "https://...", "git://...".
  static bool handles(const SourceOp& op);

  /// As RemoteSource; the same op is resolved once, others wait for that. Errors name the URL.
  Digest resolve(const SourceOp& op, const TransferProgress& progress);
  LayerId fetch(const SourceOp& op, const TransferProgress& progress);
  std::optional<std::string> pin(const SourceOp& op);

  /// From now on all calls end soon with Error(canceled). From any thread.
  void cancel() { cancellation_.cancel(); }

 private:
  struct Resolution {
    std::mutex mutex;
    std::optional<Digest> key;
  };
  RemoteSource& source_for(const SourceOp& op);

  StateDir& state_;
  RemoteSourceOptions options_;
  Cancellation cancellation_;
  std::mutex mutex_;  // guards what is below
  std::unique_ptr<RemoteSource> http_;
  std::unique_ptr<RemoteSource> git_;
  std::map<SourceOp, std::shared_ptr<Resolution>> resolutions_;
};

}  // namespace lade
