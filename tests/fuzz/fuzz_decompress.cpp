// Compressed streams of strangers: they decompress or throw Error(corrupt), whatever the sizes of
// the reads, and the same way each time. The first byte chooses the sizes.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "snapshotter/content/decompress.hpp"

namespace {

using namespace lade;

constexpr size_t kEnough = 1 << 20;

class PieceSource : public ByteSource {
 public:
  PieceSource(std::string text, size_t piece) : inner_(std::move(text)), piece_(piece) {}
  size_t read(char* buffer, size_t size) override {
    return inner_.read(buffer, std::min(size, piece_));
  }

 private:
  StringSource inner_;
  size_t piece_;
};

/// The first megabyte of what `bytes` decompress to; nullopt if they are malformed.
std::optional<std::string> unpack(const std::string& bytes, size_t piece, size_t read_size) {
  try {
    const auto source = decompress(std::make_unique<PieceSource>(bytes, piece));
    std::string out;
    std::vector<char> buffer(read_size);
    while (out.size() < kEnough) {
      const size_t count = source->read(buffer.data(), buffer.size());
      if (count == 0) break;
      out.append(buffer.data(), count);
    }
    out.resize(std::min(out.size(), kEnough));
    return out;
  } catch (const Error& error) {
    // General: sound data that asks for more memory than lade gives.
    if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::general) std::abort();
    return std::nullopt;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto whole = unpack(bytes, kEnough, 64 * 1024);
  const auto pieces = unpack(bytes, 1 + (data[0] & 15), 1 + (data[0] >> 4) * 997);
  // Output that fills the megabyte exactly may hide an error behind it in one of the two.
  const bool full = (whole && whole->size() == kEnough) || (pieces && pieces->size() == kEnough);
  if (!full && whole != pieces) std::abort();
  return 0;
}
