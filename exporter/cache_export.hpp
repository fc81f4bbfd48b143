// Exporting a build's cache (--cache-to): blobs of layers are made and sent while later steps run;
// at the end a document that names them is written (snapshotter/content/cache_document.hpp).
#pragma once

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
#include "solver/record.hpp"

namespace lade {

struct CacheExportOptions {
  std::string name;  ///< of the storage, as records' origins have it: "registry:host/repo:tag"
  bool all_steps = false;  ///< mode=max: also what is no part of the result
  bool reexport = false;   ///< also records that came from other caches
  CompressionOptions compression;
};

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

  /// A step has made this layer: its blob is made and sent in the background. A failure shows in
  /// finish(). Thread-safe.
  void layer_made(LayerId layer);

  /// Makes and sends what is missing, then writes the document and the manifest. `progress` gets
  /// lines such as "writing layer sha256:...". Throws the first Error.
  void finish(const std::vector<SharedRecord>& records,
              const std::function<void(const std::string&)>& progress);

 private:
  CacheDocument document(const std::vector<SharedRecord>& records);
  void work();
  Descriptor send(LayerId layer);
  Descriptor blob_of(LayerId layer);
  bool is_wanted(const SharedRecord& record) const;

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
