// OCI image layouts as base images (image-spec: image-layout.md): a directory, or a tar file of
// one.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "snapshotter/content/content_store.hpp"
#include "snapshotter/content/manifest.hpp"

namespace lade {

/// "PATH", "PATH:TAG" or "PATH@sha256:..." as in --build-context x=oci-layout://...
struct LayoutName {
  std::string path;
  std::string tag;
  std::optional<Digest> digest;
  static LayoutName parse(const std::string& text);
};

/// An open layout; gives its blobs. Thread-safe.
class OciLayout : public BlobProvider {
 public:
  /// Throws Error if `path` is no layout.
  static std::shared_ptr<OciLayout> open(const std::string& path);

  const Index& index() const { return index_; }
  /// The manifest or index that `name` means: by digest, by tag
  /// (org.opencontainers.image.ref.name), or the only one there is for `platform`. Throws
  /// Error(not_found) listing what there is.
  Descriptor find(const LayoutName& name, const Platform& platform) const;

  std::unique_ptr<ByteSource> open(const Descriptor& descriptor) override;
  std::string where() const override { return "OCI layout " + path_; }

 private:
  struct TarMember {
    uint64_t offset = 0;
    uint64_t size = 0;
  };
  void index_tar();
  std::string read_member(const std::string& name) const;

  std::string path_;
  bool tar_ = false;
  std::map<std::string, TarMember> members_;  // of the tar
  Index index_;
};

}  // namespace lade
