// The caches that a build shares with other machines: --cache-from and --cache-to.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/progress.hpp"
#include "builder/options/cache_options.hpp"
#include "builder/options/output.hpp"
#include "exporter/cache_export.hpp"
#include "solver/cache/cache_import.hpp"
#include "solver/source/image.hpp"

namespace lade {

/// A cache that is written at the end of a build.
struct CacheDestination {
  CacheTarget target;
  std::shared_ptr<CacheStorage> storage;  ///< null: type=inline, in the image itself
};

/// The storage at a place of this machine, a bucket or a registry, which `client` is made for with
/// `options` unless it is there.
std::shared_ptr<CacheStorage> open_cache(const CachePlace& place,
                                         std::shared_ptr<RegistryClient>& client,
                                         const RegistryOptions& options);

class BuildCache {
 public:
  /// All references outlive it. `compression` is that of the image's layers, which caches without
  /// one of their own share. `imports` may be null. `names` are those that the image gets: records
  /// that came from the same repository go back there with it.
  BuildCache(StateDir& state, ImageSources& images, std::shared_ptr<CacheImports> imports,
             std::vector<CacheDestination> destinations, const CompressionOptions& compression,
             std::vector<std::string> names);

  /// For the solver; null without --cache-from.
  std::shared_ptr<CacheImports> imports() const { return imports_; }
  /// Where a layer that is not here can be had: its image, or an imported cache.
  LayerProvider provider() const;

  bool has_exports() const { return inline_ || !exports_.empty(); }
  /// What the image itself is to say of its steps (--cache-to type=inline); nullopt: nothing.
  std::optional<std::vector<SharedRecord>> inline_records(
      const std::vector<SharedRecord>& records) const;
  /// A step made this layer; whoever exports it begins to. Thread-safe.
  void layer_made(LayerId layer, bool of_result);
  /// For SolveOptions::on_layer: layers are compressed for the first of `outputs` that is made of
  /// them, and sent to caches, while later steps run. Null if there is neither. Both outlive it.
  std::function<void(LayerId, bool)> export_early(StateDir& state,
                                                  const std::vector<Output>& outputs);
  /// Writes all caches, each as a progress item numbered from `first`; returns the next number.
  VertexNumber export_all(const std::vector<SharedRecord>& records,
                          const std::vector<SharedMount>& mounts, ProgressSink& progress,
                          VertexNumber first);

 private:
  bool goes_back(const std::string& origin) const;
  void warn_of_left_out(const std::vector<SharedRecord>& records, ProgressSink& progress) const;

  struct Export {
    CacheTarget target;
    std::unique_ptr<CacheExport> run;
  };

  ImageSources& images_;
  std::vector<std::string> names_;
  std::optional<CacheTarget> inline_;
  std::shared_ptr<CacheImports> imports_;
  std::vector<Export> exports_;
};

}  // namespace lade
