#include "exporter/compressors.hpp"

// For allocators of contexts; libzstd is linked statically.
#define ZSTD_STATIC_LINKING_ONLY

#include <algorithm>
#include <array>
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/error.hpp"
#include "exporter/block_pipeline.hpp"

namespace lade {
namespace {

// Measured on 256 MiB of programs and headers: against one 64 MiB block, 128 KiB cost 1 % in size,
// 512 KiB 0.2 %; larger ones leave short layers to one core.
constexpr size_t kGzipBlock = size_t{512} << 10;
// The same for zstd at level 3: 2 % at 1 MiB, 0.5 % at 4 MiB.
constexpr size_t kZstdBlock = size_t{4} << 20;
constexpr int kIsalDefaultLevel = 2;
constexpr int kZlibDefaultLevel = 6;
constexpr int kZstdDefaultLevel = 3;

enum class Codec { stored, isal, zlib, zstd };

struct Choice {
  Codec codec;
  int level;
};

bool has_sse42() {
#if defined(__x86_64__)
  static const bool known = __builtin_cpu_supports("sse4.2");
  return known;
#else
  return false;
#endif
}

void check_level(std::string_view type, int level, int highest) {
  if (level >= 0 && level <= highest) return;
  throw Error(fmt::format("compression level {} is not one of {}'s, which are 0 to {}", level, type,
                          highest),
              ErrorKind::usage);
}

Choice choose(const CompressionOptions& options) {
  switch (options.type) {
    case LayerCompression::uncompressed:
      return {Codec::stored, 0};
    case LayerCompression::zstd: {
      const int level = options.level.value_or(kZstdDefaultLevel);
      check_level("zstd", level, 22);
      // libzstd takes 0 for "default"; BuildKit's users mean the fastest.
      return {Codec::zstd, std::max(level, 1)};
    }
    case LayerCompression::gzip:
      break;
  }
  if (options.level) check_level("gzip", *options.level, 9);
  if (has_sse42()) {
    const int level = options.level.value_or(kIsalDefaultLevel);
    if (level == 1 || level == 2) return {Codec::isal, level};
  }
  return {Codec::zlib, options.level.value_or(kZlibDefaultLevel)};
}

class StoredEncoder : public BlockEncoder {
 public:
  size_t block_size() const override { return kGzipBlock; }
  void encode(Block& block) const override { block.stored = true; }
};

// Memory that the encoder of one block leaves to the next one's: each wants 0.4 to 100 MB, and new
// pages cost the kernel clearing them. zstd's contexts themselves are not used again, since a later
// libzstd might let what one did before decide what it finds.
class ReusedMemory {
 public:
  ReusedMemory() = default;
  ReusedMemory(const ReusedMemory&) = delete;
  ReusedMemory& operator=(const ReusedMemory&) = delete;
  ~ReusedMemory() {
    for (const auto& [address, size] : free_) std::free(address);
  }

  /// Null if there is none. Not cleared.
  void* take(size_t size) {
    const std::lock_guard lock(mutex_);
    const auto fits = [&](const auto& piece) { return piece.second == size; };
    const auto at = std::find_if(free_.begin(), free_.end(), fits);
    void* address = at == free_.end() ? std::malloc(size) : at->first;
    if (at != free_.end()) free_.erase(at);
    if (address != nullptr) used_.emplace_back(address, size);
    return address;
  }

  void give(void* address) {
    if (address == nullptr) return;
    const std::lock_guard lock(mutex_);
    const auto is_it = [&](const auto& piece) { return piece.first == address; };
    const auto at = std::find_if(used_.begin(), used_.end(), is_it);
    free_.push_back(*at);
    used_.erase(at);
  }

  ZSTD_customMem functions() {
    return {[](void* self, size_t size) { return static_cast<ReusedMemory*>(self)->take(size); },
            [](void* self, void* address) { static_cast<ReusedMemory*>(self)->give(address); },
            this};
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<void*, size_t>> used_, free_;  // a few for each core
};

// The frame around deflated blocks: header, combined CRC, trailer (RFC 1952, section 2.3).
class GzipEncoder : public BlockEncoder {
 public:
  size_t block_size() const override { return kGzipBlock; }

  void begin(ByteSink& out) override {
    // ID1 ID2 CM=deflate FLG=0 MTIME=0 XFL=0 OS=unknown: nothing that depends on time or machine.
    static constexpr std::string_view kHeader{"\x1f\x8b\x08\0\0\0\0\0\0\xff", 10};
    out.write(kHeader);
  }

  void emitted(const Block& block) override {
    const auto size = static_cast<z_off_t>(block.input.size);
    crc_ = static_cast<uint32_t>(crc32_combine(crc_, block.crc, size));
    size_ += static_cast<uint32_t>(block.input.size);  // ISIZE is modulo 2^32
  }

  void end(ByteSink& out) override {
    // A last, empty block of fixed codes: the sync flushes before it left the final bit unset.
    std::string trailer("\x03\x00", 2);
    for (const uint32_t value : {crc_, size_}) {
      for (int shift = 0; shift < 32; shift += 8) trailer += static_cast<char>(value >> shift);
    }
    out.write(trailer);
  }

 private:
  uint32_t crc_ = 0;
  uint32_t size_ = 0;
};

class IsalEncoder : public GzipEncoder {
 public:
  explicit IsalEncoder(int level) : level_(level) {}

  void encode(Block& block) const override {
    const auto give = [this](Work* work) { memory_.give(work); };
    const std::unique_ptr<Work, decltype(give)> work(static_cast<Work*>(memory_.take(sizeof(Work))),
                                                     give);
    if (!work) throw Error("there is no memory for compressing");
    isal_zstream* stream = &work->stream;
    // What does not compress is stored, which adds 5 bytes per 64 KiB and block headers.
    block.output.allocate(block.input.size + block.input.size / 16 + 4096);

    isal_deflate_init(stream);
    stream->level = static_cast<uint32_t>(level_);
    stream->level_buf = work->tables;
    stream->level_buf_size = level_ == 1 ? ISAL_DEF_LVL1_DEFAULT : ISAL_DEF_LVL2_DEFAULT;
    stream->gzip_flag = IGZIP_DEFLATE;
    stream->flush = SYNC_FLUSH;
    stream->end_of_stream = 0;
    stream->next_in = reinterpret_cast<uint8_t*>(block.input.bytes.get());
    stream->avail_in = static_cast<uint32_t>(block.input.size);
    stream->next_out = reinterpret_cast<uint8_t*>(block.output.bytes.get());
    stream->avail_out = static_cast<uint32_t>(block.output.capacity);
    const int status = isal_deflate(stream);
    // A full output buffer would also mean that the flush may be incomplete.
    if (status != COMP_OK || stream->avail_in != 0 || stream->avail_out == 0) {
      throw Error(fmt::format("isa-l could not deflate a block of {} bytes (status {})",
                              block.input.size, status));
    }
    block.output.size = stream->total_out;
    block.crc = crc32_gzip_refl(0, reinterpret_cast<const uint8_t*>(block.input.bytes.get()),
                                block.input.size);
  }

 private:
  struct Work {
    isal_zstream stream;
    alignas(16) uint8_t tables[std::max(ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT)];
  };

  int level_;
  mutable ReusedMemory memory_;
};

class ZlibEncoder : public GzipEncoder {
 public:
  explicit ZlibEncoder(int level) : level_(level) {}

  void encode(Block& block) const override {
    constexpr int kRawDeflate = -15;
    constexpr int kMemLevel = 8;
    z_stream stream{};
    if (deflateInit2(&stream, level_, Z_DEFLATED, kRawDeflate, kMemLevel, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
      throw Error("zlib could not set up its compressor");
    }
    const std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&stream, deflateEnd);
    // The bound is for Z_FINISH; the flush adds a marker of at most 6 bytes.
    block.output.allocate(deflateBound(&stream, static_cast<uLong>(block.input.size)) + 16);
    stream.next_in = reinterpret_cast<Bytef*>(block.input.bytes.get());
    stream.avail_in = static_cast<uInt>(block.input.size);
    stream.next_out = reinterpret_cast<Bytef*>(block.output.bytes.get());
    stream.avail_out = static_cast<uInt>(block.output.capacity);
    const int status = deflate(&stream, Z_SYNC_FLUSH);
    if (status != Z_OK || stream.avail_in != 0 || stream.avail_out == 0) {
      throw Error(fmt::format("zlib could not deflate a block of {} bytes (status {})",
                              block.input.size, status));
    }
    block.output.size = stream.total_out;
    block.crc =
        static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(block.input.bytes.get()),
                                    static_cast<uInt>(block.input.size)));
  }

 private:
  int level_;
};

class ZstdEncoder : public BlockEncoder {
 public:
  explicit ZstdEncoder(int level) : level_(level) {}

  size_t block_size() const override { return kZstdBlock; }

  void encode(Block& block) const override {
    const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(
        ZSTD_createCCtx_advanced(memory_.functions()), ZSTD_freeCCtx);
    if (!context) throw Error("zstd could not set up its compressor");
    const auto set = [&](ZSTD_cParameter parameter, int value) {
      check(ZSTD_CCtx_setParameter(context.get(), parameter, value));
    };
    set(ZSTD_c_compressionLevel, level_);
    set(ZSTD_c_checksumFlag, 1);
    block.output.allocate(ZSTD_compressBound(block.input.size));
    block.output.size =
        check(ZSTD_compress2(context.get(), block.output.bytes.get(), block.output.capacity,
                             block.input.bytes.get(), block.input.size));
  }

  void emitted(const Block&) override { empty_ = false; }

  void end(ByteSink& out) override {
    // An empty stream still needs a frame: no bytes at all are not zstd.
    if (!empty_) return;
    Block block;
    block.input.allocate(1);
    encode(block);
    out.write(block.output.view());
  }

 private:
  static size_t check(size_t status) {
    if (ZSTD_isError(status)) throw Error(fmt::format("zstd: {}", ZSTD_getErrorName(status)));
    return status;
  }

  int level_;
  mutable ReusedMemory memory_;
  bool empty_ = true;
};

std::unique_ptr<BlockEncoder> make_encoder(const Choice& choice) {
  switch (choice.codec) {
    case Codec::isal:
      return std::make_unique<IsalEncoder>(choice.level);
    case Codec::zlib:
      return std::make_unique<ZlibEncoder>(choice.level);
    case Codec::zstd:
      return std::make_unique<ZstdEncoder>(choice.level);
    case Codec::stored:
      break;
  }
  return std::make_unique<StoredEncoder>();
}

}  // namespace

std::string encoding_name(const CompressionOptions& options) {
  const Choice choice = choose(options);
  switch (choice.codec) {
    case Codec::isal:
      return fmt::format("gzip-isal-{}", choice.level);
    case Codec::zlib:
      return fmt::format("gzip-zlib-{}", choice.level);
    case Codec::zstd:
      return fmt::format("zstd-{}", choice.level);
    case Codec::stored:
      break;
  }
  return "tar";
}

std::unique_ptr<Compressor> make_compressor(const CompressionOptions& options, ByteSink& out) {
  return std::make_unique<BlockPipeline>(make_encoder(choose(options)), out);
}

}  // namespace lade
