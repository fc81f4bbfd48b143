// SHA-256 digests and the three identities of a layer, which are never to be mixed up.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace lade {

/// A SHA-256 digest: of a blob's bytes as stored (for a layer: the compressed tar).
/// Text form "sha256:<64 lower-case hex digits>" (OCI image-spec, descriptor.md, "Digests").
class Digest {
 public:
  using Bytes = std::array<uint8_t, 32>;

  Digest() = default;  ///< all zero: "no digest"
  explicit Digest(const Bytes& bytes) : bytes_(bytes) {}

  /// Throws Error for anything but "sha256:" and 64 hex digits; sha512 is named as unsupported.
  static Digest parse(std::string_view text);
  /// The digest of `data`.
  static Digest of(std::string_view data);

  const Bytes& bytes() const { return bytes_; }
  std::string hex() const;
  std::string str() const { return "sha256:" + hex(); }
  bool empty() const { return bytes_ == Bytes{}; }

  auto operator<=>(const Digest&) const = default;

 private:
  Bytes bytes_{};
};

/// Digest of a layer's uncompressed tar (OCI config's rootfs.diff_ids).
struct DiffId {
  Digest digest;
  auto operator<=>(const DiffId&) const = default;
};

/// Identity of a stack of layers (OCI image-spec, config.md, "Layer ChainID").
struct ChainId {
  Digest digest;
  auto operator<=>(const ChainId&) const = default;
};

/// ChainID of `parent` with `layer` on top; `parent` empty for the first layer.
ChainId chain_id(const ChainId& parent, const DiffId& layer);

/// Incremental SHA-256. Movable; finish() may be called once.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  void update(std::string_view data) { update(data.data(), data.size()); }
  void update(std::span<const std::byte> data) { update(data.data(), data.size()); }
  void update(const void* data, size_t size);
  Digest finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace lade

template <>
struct std::hash<lade::Digest> {
  size_t operator()(const lade::Digest& digest) const noexcept {
    size_t value = 0;
    for (size_t i = 0; i < sizeof value; ++i) value = value << 8 | digest.bytes()[i];
    return value;
  }
};
