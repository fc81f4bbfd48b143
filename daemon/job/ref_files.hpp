// Looking into results: single files, directories; and results as sources of other graphs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/job/job.hpp"
#include "snapshotter/tree/layer_index.hpp"

namespace lade {

/// Has all layers' directories here. Throws LostLayer.
void bring_layers(Job& job, const LayerStack& stack);

/// The tree of a stack of layers, which are brought here first.
class RefFiles {
 public:
  RefFiles(Job& job, LayerStack stack);

  /// Symlinks are followed, the last one only if asked for.
  std::optional<Found> find(const std::string& path, bool follow = true) const;
  /// A regular file's bytes, `length` of them from `offset` (0: to the end). Throws
  /// Error(not_found); Error for more than `limit`.
  std::string read(const std::string& path, uint64_t offset, uint64_t length, uint64_t limit) const;
  /// Names in a directory with what they are. Throws Error(not_found).
  std::vector<std::pair<std::string, Found>> list(const std::string& path) const;
  const MergedIndex& index() const { return index_; }

 private:
  LayerStore& layers_;
  LayerStack stack_;
  MergedIndex index_;
};

/// Those of a result. What a cache does not give that it promised is made here.
RefFiles open_result(Job& job, const std::shared_ptr<JobRef>& ref);

/// `length` bytes of a file from `offset` (0: to the end). Throws Error for more than `limit`.
std::string read_range(int file, uint64_t offset, uint64_t length, uint64_t limit,
                       const std::string& path);

/// The source op of a result that was solved: "result://ID".
SourceOp result_source(Job& job, const std::shared_ptr<JobRef>& ref, ImageConfig config);

}  // namespace lade
