#include "base/digest.hpp"

// The functions behind OpenSSL's EVP: they cannot fail, and start without reading OpenSSL's
// configuration and algorithm tables, which takes longer than all that a cached build hashes.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "base/error.hpp"

namespace lade {
namespace {

constexpr std::string_view kPrefix = "sha256:";
constexpr char kHexDigits[] = "0123456789abcdef";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

Digest Digest::parse(std::string_view text) {
  if (text.starts_with("sha512:") || text.starts_with("sha384:")) {
    throw Error("digest " + quoted(text) +
                " uses an algorithm lade does not support (only sha256)");
  }
  if (!text.starts_with(kPrefix) || text.size() != kPrefix.size() + 64) {
    throw Error("invalid digest " + quoted(text.substr(0, 100)) +
                ": expected sha256: and 64 hex digits");
  }
  Bytes bytes{};
  const auto hex = text.substr(kPrefix.size());
  for (size_t i = 0; i < bytes.size(); ++i) {
    const int high = hex_value(hex[2 * i]);
    const int low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) {
      throw Error("invalid digest " + quoted(text) + ": expected lower-case hex digits");
    }
    bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return Digest(bytes);
}

Digest Digest::of(std::string_view data) {
  Hasher hasher;
  hasher.update(data);
  return hasher.finish();
}

std::string Digest::hex() const {
  std::string out;
  out.reserve(64);
  for (uint8_t byte : bytes_) {
    out += kHexDigits[byte >> 4];
    out += kHexDigits[byte & 15];
  }
  return out;
}

ChainId chain_id(const ChainId& parent, const DiffId& layer) {
  if (parent.digest.empty()) return ChainId{layer.digest};
  return ChainId{Digest::of(parent.digest.str() + " " + layer.digest.str())};
}

struct Hasher::Context {
  SHA256_CTX sha256;
};

Hasher::Hasher() : context_(std::make_unique<Context>()) {
  SHA256_Init(&context_->sha256);
}

Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(const void* data, size_t size) {
  SHA256_Update(&context_->sha256, data, size);
}

Digest Hasher::finish() {
  Digest::Bytes bytes{};
  SHA256_Final(bytes.data(), &context_->sha256);
  return Digest(bytes);
}

}  // namespace lade
