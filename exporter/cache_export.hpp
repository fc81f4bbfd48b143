// Exporting a build's cache (--cache-to): blobs of layers are made and sent while later steps run;
// at the end a document that names them is written (snapshotter/content/cache_document.hpp).
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "exporter/exporter.hpp"
#include "registry/cache_storage.hpp"
#include "snapshotter/content/cache_document.hpp"
#include "solver/graph/record.hpp"

namespace lade {

struct CacheExportOptions {
  std::string name;  ///< of the storage, as records' origins have it: "registry:host/repo:tag"
  bool all_steps = false;  ///< mode=max: also what is no part of the result
  bool reexport = false;   ///< also records that came from other caches
  CompressionOptions compression;
  size_t threads = 4;  ///< layers that are sent at once
  /// Also the trees of cache mounts. What this cache had of a mount so far is asked of the second;
  /// it may be null.
  bool mounts = false;
  std::function<std::optional<Descriptor>(const Digest& id)> known_mount;
  /// The tree that the build's steps had of a mount, if that was a cache's whose word may go to
  /// this one; likewise.
  std::function<std::optional<Descriptor>(const Digest& id)> restored_mount;
  /// How long to wait for a mount that other builds use.
  std::chrono::milliseconds mount_patience{10'000};
};

/// What of a record may be told to a cache that words of the origins for which `goes_back` holds
/// may go to. Of others only this machine's own experience goes on, lest trust in one cache become
/// trust in another: that the op on inputs of these contents gave this result. Such a record is
/// found by contents; its key is nobody's.
std::optional<SharedRecord> shareable(const SharedRecord& record,
                                      const std::function<bool(const std::string&)>& goes_back);

/// Of `records` those that a cache leaves out because they are the words of others.
struct LeftOut {
  size_t steps = 0;
  std::set<std::string> origins;
};
LeftOut left_out(const std::vector<SharedRecord>& records, bool all_steps,
                 const std::function<bool(const std::string&)>& goes_back);

/// One export. Layers are sent by threads of its own.
class CacheExport {
 public:
  /// `provider` gives layers that are not here; `is_base` says which layers belong to base images,
  /// which are not sent.
  CacheExport(StateDir& state, CacheExportOptions options, std::shared_ptr<CacheStorage> storage,
              LayerProvider provider, std::function<bool(LayerId)> is_base);
  ~CacheExport();
  CacheExport(const CacheExport&) = delete;
  CacheExport& operator=(const CacheExport&) = delete;

  const CacheExportOptions& options() const { return options_; }
  /// Whether words of that origin may go to this cache.
  bool goes_back(const std::string& origin) const {
    return options_.reexport || origin == options_.name;
  }

  /// A step has made this layer: its blob is made and sent in the background. A failure shows in
  /// finish(). Thread-safe.
  void layer_made(LayerId layer);

  /// Makes and sends what is missing, then writes the document and the manifest. `progress` gets
  /// lines such as "writing layer sha256:...". Throws the first Error.
  void finish(const std::vector<SharedRecord>& records, const std::vector<SharedMount>& mounts,
              const std::function<void(const std::string&)>& progress);

 private:
  CacheDocument document(const std::vector<SharedRecord>& records);
  void work();
  using Progress = std::function<void(const std::string&)>;
  void add_mounts(CacheDocument& document, const std::vector<SharedMount>& mounts,
                  const Progress& progress);
  std::optional<Descriptor> send_mount(const SharedMount& mount, const Progress& progress);
  Descriptor send(LayerId layer);
  Descriptor blob_of(LayerId layer);
  std::optional<SharedRecord> wanted(const SharedRecord& record) const;

  StateDir& state_;
  CacheExportOptions options_;
  std::shared_ptr<CacheStorage> storage_;
  LayerProvider provider_;
  std::function<bool(LayerId)> is_base_;
  std::mutex mutex_;  // guards what is below
  std::condition_variable changed_;
  std::deque<LayerId> queue_;
  std::set<LayerId> queued_;  // ever
  std::map<LayerId, Descriptor> sent_;
  std::exception_ptr failure_;
  int busy_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace lade
