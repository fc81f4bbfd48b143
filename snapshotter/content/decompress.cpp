#include "snapshotter/content/decompress.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <bzlib.h>
#include <fmt/format.h>
#include <isa-l/igzip_lib.h>
#include <lzma.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/error.hpp"

namespace lade {
namespace {

using std::string_view_literals::operator""sv;

constexpr size_t kInputSize = 128 * 1024;
constexpr size_t kPeekSize = 10;
/// 512 MiB, as BuildKit's decoder takes; --ultra --long=31 would ask for 2 GiB. Memory is taken
/// only as far as there is data.
constexpr int kZstdWindowLog = 29;
/// What `xz -9` needs is 65 MiB.
constexpr uint64_t kXzMemory = 256u << 20;
/// The libraries count in 32 bits.
constexpr size_t kMaxStep = 1u << 30;

/// The compressed bytes: those that were peeked at, then the rest of the source.
class Input {
 public:
  Input(std::unique_ptr<ByteSource> inner, std::string_view head)
      : inner_(std::move(inner)), buffer_(kInputSize), end_(head.size()) {
    std::memcpy(buffer_.data(), head.data(), head.size());
  }

  /// What is there; empty until fill() says that there is more.
  std::string_view available() const { return {buffer_.data() + begin_, end_ - begin_}; }
  void consume(size_t count) { begin_ += count; }

  /// Makes available() non-empty; false at the end of the source.
  bool fill() {
    if (begin_ < end_) return true;
    begin_ = 0;
    end_ = inner_->read(buffer_.data(), buffer_.size());
    return end_ > 0;
  }

  size_t read_through(char* out, size_t size) {
    if (begin_ == end_) return inner_->read(out, size);
    const size_t count = std::min(size, end_ - begin_);
    std::memcpy(out, buffer_.data() + begin_, count);
    begin_ += count;
    return count;
  }

 private:
  std::unique_ptr<ByteSource> inner_;
  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t end_;
};

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(Input input) : input_(std::move(input)) {}
  size_t read(char* buffer, size_t size) override { return input_.read_through(buffer, size); }

 private:
  Input input_;
};

/// The loop that all decoders share; a subclass knows one library.
class Decoder : public ByteSource {
 public:
  Decoder(Input input, const char* format) : input_(std::move(input)), format_(format) {}

  size_t read(char* buffer, size_t size) final {
    if (size == 0) return 0;
    while (!ended_) {
      // Before any new input: the library may still hold output that did not fit last time.
      const size_t count = step(buffer, std::min(size, kMaxStep));
      if (count > 0) return count;
      if (!ended_ && !input_.fill()) at_end_of_input();
    }
    return 0;
  }

 protected:
  /// Decodes from input_ into `buffer`; returns what it wrote. Must make progress if there is
  /// input.
  virtual size_t step(char* buffer, size_t size) = 0;
  /// The input is over and step() gave nothing: sets ended_ or throws.
  virtual void at_end_of_input() = 0;

  [[noreturn]] void truncated() const {
    throw Error(std::string(format_) + " data ends too early", ErrorKind::corrupt);
  }
  [[noreturn]] void corrupt(std::string_view why) const {
    throw Error(std::string("malformed ") + format_ + " data: " + std::string(why),
                ErrorKind::corrupt);
  }

  Input input_;
  bool ended_ = false;

 private:
  const char* format_;
};

/// RFC 1952, by ISA-L: two to three times zlib's speed. Members may follow each other, then zeros.
class GzipSource : public Decoder {
 public:
  explicit GzipSource(Input input)
      : Decoder(std::move(input), "gzip"), state_(std::make_unique<inflate_state>()) {}

 private:
  enum class Place { header, body, between, padding };

  size_t step(char* buffer, size_t size) override {
    if (place_ == Place::between || place_ == Place::padding) skip_padding();
    if (place_ == Place::header) read_header();
    return place_ == Place::body ? inflate(buffer, size) : 0;
  }

  void at_end_of_input() override {
    if (place_ != Place::between && place_ != Place::padding) truncated();
    ended_ = true;
  }

  /// Tapes and some tools fill the last block with zeros; after them nothing else may come.
  void skip_padding() {
    const std::string_view rest = input_.available();
    const size_t zeros = std::min(rest.find_first_not_of('\0'), rest.size());
    input_.consume(zeros);
    if (zeros > 0) place_ = Place::padding;
    if (zeros == rest.size()) return;
    if (place_ == Place::padding) corrupt("garbage after the last member");
    place_ = Place::header;
    in_header_ = false;
  }

  void read_header() {
    if (!in_header_) {
      isal_inflate_init(state_.get());
      state_->crc_flag = ISAL_GZIP;
      isal_gzip_header_init(&header_);
      in_header_ = true;
    }
    offer_input();
    const int result = isal_read_gzip_header(state_.get(), &header_);
    take_input();
    if (result < 0) corrupt(describe(result));
    if (result == ISAL_DECOMP_OK) place_ = Place::body;
  }

  size_t inflate(char* buffer, size_t size) {
    offer_input();
    state_->next_out = reinterpret_cast<uint8_t*>(buffer);
    state_->avail_out = static_cast<uint32_t>(size);
    const int result = isal_inflate(state_.get());
    take_input();
    if (result < 0) corrupt(describe(result));
    if (state_->block_state == ISAL_BLOCK_FINISH) place_ = Place::between;
    return size - state_->avail_out;
  }

  void offer_input() {
    const std::string_view bytes = input_.available();
    // ISA-L reads only; its structure predates const.
    state_->next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(bytes.data()));
    state_->avail_in = static_cast<uint32_t>(bytes.size());
  }
  void take_input() { input_.consume(input_.available().size() - state_->avail_in); }

  static const char* describe(int result) {
    switch (result) {
      case ISAL_INCORRECT_CHECKSUM:
        return "the checksum or length does not match";
      case ISAL_INVALID_WRAPPER:
        return "no gzip header where a member should begin";
      case ISAL_UNSUPPORTED_METHOD:
        return "unknown compression method";
      default:
        return "invalid deflate block";
    }
  }

  std::unique_ptr<inflate_state> state_;  ///< 80 KiB
  isal_gzip_header header_{};
  Place place_ = Place::header;
  bool in_header_ = false;
};

/// RFC 8878: frames and skippable frames, any number of them.
class ZstdSource : public Decoder {
 public:
  explicit ZstdSource(Input input)
      : Decoder(std::move(input), "zstd"), context_(ZSTD_createDCtx(), &ZSTD_freeDCtx) {
    if (!context_) throw Error("could not set up zstd");
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kZstdWindowLog);
  }

 private:
  size_t step(char* buffer, size_t size) override {
    const std::string_view bytes = input_.available();
    ZSTD_inBuffer in = {bytes.data(), bytes.size(), 0};
    ZSTD_outBuffer out = {buffer, size, 0};
    // At a frame's end a call without input would announce the next frame's header as awaited.
    if (bytes.empty() && frame_ended_) return 0;
    const size_t result = ZSTD_decompressStream(context_.get(), &out, &in);
    // Whole, but not for us: nobody should take it for something else than zstd.
    if (ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge) {
      throw Error(fmt::format("the zstd data needs a window of more than {} MiB",
                              (uint64_t{1} << kZstdWindowLog) >> 20));
    }
    if (ZSTD_isError(result)) corrupt(ZSTD_getErrorName(result));
    input_.consume(in.pos);
    frame_ended_ = result == 0;
    return out.pos;
  }

  void at_end_of_input() override {
    if (!frame_ended_) truncated();
    ended_ = true;
  }

  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_;
  bool frame_ended_ = false;
};

class Bzip2Source : public Decoder {
 public:
  explicit Bzip2Source(Input input) : Decoder(std::move(input), "bzip2") { start(); }
  ~Bzip2Source() override { BZ2_bzDecompressEnd(&stream_); }

 private:
  void start() {
    stream_ = {};
    if (BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK) throw Error("could not set up bzip2");
  }

  size_t step(char* buffer, size_t size) override {
    std::string_view bytes = input_.available();
    if (stream_ended_) {
      if (bytes.empty()) return 0;
      // pbzip2 writes a stream per block.
      BZ2_bzDecompressEnd(&stream_);
      start();
      stream_ended_ = false;
    }
    stream_.next_in = const_cast<char*>(bytes.data());
    stream_.avail_in = static_cast<unsigned>(bytes.size());
    stream_.next_out = buffer;
    stream_.avail_out = static_cast<unsigned>(size);
    const int result = BZ2_bzDecompress(&stream_);
    input_.consume(bytes.size() - stream_.avail_in);
    if (result == BZ_STREAM_END) {
      stream_ended_ = true;
    } else if (result != BZ_OK) {
      corrupt(result == BZ_DATA_ERROR_MAGIC ? "no stream header where one should be"
                                            : "invalid block or checksum");
    }
    return size - stream_.avail_out;
  }

  void at_end_of_input() override {
    if (!stream_ended_) truncated();
    ended_ = true;
  }

  bz_stream stream_{};
  bool stream_ended_ = false;
};

class XzSource : public Decoder {
 public:
  explicit XzSource(Input input) : Decoder(std::move(input), "xz") {
    if (lzma_stream_decoder(&stream_, kXzMemory, LZMA_CONCATENATED) != LZMA_OK) {
      throw Error("could not set up xz");
    }
  }
  ~XzSource() override { lzma_end(&stream_); }

 private:
  size_t step(char* buffer, size_t size) override {
    check(failure_);
    const std::string_view bytes = input_.available();
    stream_.next_in = reinterpret_cast<const uint8_t*>(bytes.data());
    stream_.avail_in = bytes.size();
    stream_.next_out = reinterpret_cast<uint8_t*>(buffer);
    stream_.avail_out = size;
    const lzma_ret result = lzma_code(&stream_, input_ended_ ? LZMA_FINISH : LZMA_RUN);
    input_.consume(bytes.size() - stream_.avail_in);
    const size_t count = size - stream_.avail_out;
    // What was decoded before a mistake comes first: it may be all that is wanted.
    if (count > 0) {
      failure_ = result == LZMA_STREAM_END ? LZMA_OK : result;
    } else {
      check(result);
    }
    ended_ = result == LZMA_STREAM_END;
    return count;
  }

  void check(lzma_ret result) const {
    if (result == LZMA_MEMLIMIT_ERROR) {
      // Whole, but not for us: nobody should take it for something else than xz.
      throw Error("xz data needs more than 256 MiB to decompress");
    }
    // LZMA_BUF_ERROR only says that there was nothing to do yet.
    if (result != LZMA_OK && result != LZMA_STREAM_END && result != LZMA_BUF_ERROR) {
      corrupt("invalid block, header or checksum");
    }
  }

  /// Only a call with LZMA_FINISH tells a complete file from one whose next stream is missing.
  void at_end_of_input() override {
    if (input_ended_) truncated();
    input_ended_ = true;
  }

  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool input_ended_ = false;
  lzma_ret failure_ = LZMA_OK;  // to be told by the next step
};

class Borrowed : public ByteSource {
 public:
  explicit Borrowed(ByteSource& inner) : inner_(inner) {}
  size_t read(char* buffer, size_t size) override { return inner_.read(buffer, size); }

 private:
  ByteSource& inner_;
};

}  // namespace

Compression detect_compression(std::string_view first_bytes) {
  if (first_bytes.starts_with("\x1f\x8b\x08"sv)) return Compression::gzip;
  if (first_bytes.starts_with("\x28\xb5\x2f\xfd"sv)) return Compression::zstd;
  if (first_bytes.size() >= 4 && (first_bytes[0] & 0xf0) == 0x50 &&
      first_bytes.substr(1).starts_with("\x2a\x4d\x18"sv)) {
    return Compression::zstd;
  }
  if (first_bytes.starts_with("\xfd"
                              "7zXZ\0"sv)) {
    return Compression::xz;
  }
  // "BZh1" could be a file's name in a plain tar; a block's or the end's magic number follows.
  if (first_bytes.size() >= kPeekSize && first_bytes.starts_with("BZh") && first_bytes[3] >= '1' &&
      first_bytes[3] <= '9') {
    const std::string_view magic = first_bytes.substr(4, 6);
    if (magic == "\x31\x41\x59\x26\x53\x59"sv || magic == "\x17\x72\x45\x38\x50\x90"sv) {
      return Compression::bzip2;
    }
  }
  return Compression::none;
}

std::unique_ptr<ByteSource> decompress(std::unique_ptr<ByteSource> inner) {
  const std::string head = read_start(*inner, kPeekSize);
  Input input(std::move(inner), head);
  switch (detect_compression(head)) {
    case Compression::gzip:
      return std::make_unique<GzipSource>(std::move(input));
    case Compression::zstd:
      return std::make_unique<ZstdSource>(std::move(input));
    case Compression::bzip2:
      return std::make_unique<Bzip2Source>(std::move(input));
    case Compression::xz:
      return std::make_unique<XzSource>(std::move(input));
    case Compression::none:
      break;
  }
  return std::make_unique<PlainSource>(std::move(input));
}

std::unique_ptr<ByteSource> decompress(ByteSource& inner) {
  return decompress(std::make_unique<Borrowed>(inner));
}

}  // namespace lade
