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

#include "base/child_process.hpp"
#include "base/digest.hpp"
#include "snapshotter/state.hpp"
#include "solver/graph/definition.hpp"
#include "solver/source/remote_source.hpp"

namespace lade {

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

  /// pin() of all that the graph reads.
  std::map<SourceOp, std::string> pins(const Definition& graph);

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
