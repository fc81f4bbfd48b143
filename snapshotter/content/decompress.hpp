// Reading compressed streams: what a layer's bytes are is decided by their magic, never by a media
// type.
#pragma once

#include <memory>
#include <string_view>

#include "base/stream.hpp"

namespace lade {

enum class Compression { none, gzip, zstd, bzip2, xz };

/// By the first bytes (at least 10 for certainty): gzip, zstd (also skippable frames), bzip2, xz.
Compression detect_compression(std::string_view first_bytes);

/// A source of `inner`'s decompressed bytes (all gzip members, all zstd frames), detected by magic;
/// passes plain bytes through. Memory is bounded (zstd window at most 128 MiB); truncated or
/// trailing garbage is Error(corrupt).
std::unique_ptr<ByteSource> decompress(std::unique_ptr<ByteSource> inner);
/// The same of a source that the caller keeps, which must live longer: to read what follows, or
/// ask what it counted.
std::unique_ptr<ByteSource> decompress(ByteSource& inner);

}  // namespace lade
