// From what a build solved to images: what the outputs of the command line and of the daemon share.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.hpp"
#include "builder/options/output.hpp"
#include "exporter/exporter.hpp"
#include "exporter/push.hpp"
#include "registry/client.hpp"
#include "solver/lower/lower.hpp"
#include "solver/solve.hpp"

namespace lade {

/// One platform's result.
struct BuiltImage {
  LoweredImage lowered;
  SolveResult solved;
  std::optional<std::vector<SharedRecord>> inline_cache{};  ///< as ImageSource's
  std::vector<AttestationRequest> attestations{};           ///< as well
};

/// What an output is called while it is made: "exporting to oci image format".
std::string export_name(const Output& output);

/// Makes each output by `make`, as an item of the progress numbered from `first`; returns the next
/// number. What `make` throws fails the item, but for LostLayer: the caller solves again then.
VertexNumber export_each(const std::vector<Output>& outputs, ProgressSink& progress,
                         VertexNumber first,
                         const std::function<void(size_t output, VertexNumber at)>& make);

/// Whether the output is made of layers' blobs, which can be compressed while steps still run.
bool needs_blobs(const Output& output);

/// What exporters take.
ImageSource image_source(BuiltImage built, const LayerProvider& provider);

/// "linux/arm/v7" as the name of a directory.
std::string directory_of(const Platform& platform);

/// The images of `sources` as `output` wants them; an index over them if `as_index`.
WrittenSet write_images(StateDir& state, const std::vector<ImageSource>& sources,
                        const Output& output, bool as_index);

/// What an output that is a tree shows of each source: below a directory for its platform if they
/// are to be split, with its attestations' files named as asked.
class TreeSources {
 public:
  TreeSources(const std::vector<ImageSource>& sources, const Output& output, bool as_index);
  TreeSources(const TreeSources&) = delete;
  TreeSources& operator=(const TreeSources&) = delete;

  const std::vector<NamedSource>& named() const { return named_; }

 private:
  std::vector<ImageSource> sources_;
  std::vector<NamedSource> named_;  // into sources_
};

/// The root filesystems as a tar at `output.dest`.
void export_tars(StateDir& state, const std::vector<ImageSource>& sources, const Output& output,
                 bool as_index);

using PushProgress = std::function<void(std::string_view item, uint64_t done, uint64_t total)>;

/// Pushes what write_images() made of `sources` to the names of `output`.
PushSummary push_images(StateDir& state, RegistryClient& client, const Output& output,
                        const WrittenSet& set, const std::vector<ImageSource>& sources,
                        const PushProgress& progress);

/// Tells what was written: digests and sizes, as lines of the vertex.
void say_images(ProgressSink& progress, VertexNumber vertex, const WrittenSet& set);

/// As docker: an image's ID is its config's digest; an index has its own.
Digest image_id_of(const WrittenSet& set);

/// The document of --metadata-file, and what BuildKit's exporters answer: a JSON object.
std::string image_metadata(const WrittenSet& set, const std::vector<std::string>& names);

}  // namespace lade
