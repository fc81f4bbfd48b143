// Deterministic, block-parallel compression: the same bytes in give the same bytes out, whatever
// the number of threads and however the bytes were cut into writes.
//
// The formats, chosen so that the simplest decoders read them:
//
//   gzip  one member (RFC 1952). Each block of 512 KiB is deflated without looking at the others
//   and ends in
//         a sync flush (an empty stored block), so blocks end on bytes and can be put side by side;
//         the CRCs are combined. Levels 1 and 2 (the default) are ISA-L's, everything else zlib's.
//   zstd  one frame (RFC 8878) per 4 MiB, each with its size and checksum. Not libzstd's own
//   threads: Debian's
//         static library is built without them, and their bytes differ from the single-threaded
//         ones.
//   tar   the bytes as they are.
//
// ISA-L picks its code by the CPU. For levels 1 and 2 the variants for SSE4.2, AVX and AVX2 find
// the same matches (they hash with the crc32 instruction and read the same table); only the
// portable variant hashes differently, and only level 3 differs further up. So ISA-L is used where
// there is SSE4.2 and zlib elsewhere, under another name; a test compares the variants by masking
// CPUID.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/stream.hpp"
#include "exporter/compressor.hpp"
#include "exporter/exporter.hpp"

namespace lade {

/// The encoder that `options` choose on this machine, by the name blobs are remembered under:
/// "gzip-isal-2", "gzip-zlib-6", "zstd-3", "tar". Throws Error(usage) for a level the type does not
/// have (gzip: 0-9, zstd: 0-22, as BuildKit documents them; a level for uncompressed layers is
/// ignored).
std::string encoding_name(const CompressionOptions& options);

/// Compresses into `out`, which must live longer. Blocks are encoded on oneTBB and written in
/// order, from whichever thread is free (one at a time). A few blocks per core are in memory, over
/// all compressors of the process. Errors of `out` come back from write() or finish().
std::unique_ptr<Compressor> make_compressor(const CompressionOptions& options, ByteSink& out);

}  // namespace lade
