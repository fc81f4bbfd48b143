#include "registry/blob_source.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace lade {

RemoteBlobSource::RemoteBlobSource(std::shared_ptr<RegistryAccess> access,
                                   std::vector<RegistryEndpoint> endpoints, Descriptor descriptor)
    : access_(std::move(access)),
      endpoints_(std::move(endpoints)),
      descriptor_(std::move(descriptor)) {
  at_an_endpoint([&] { connect(); });
}

/// Bytes that are wrong are not a mirror's absence: they end the blob, as its reader has some
/// already.
template <class Body>
void RemoteBlobSource::at_an_endpoint(Body body) {
  for (;;) {
    try {
      return access_->http().retry(body);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::canceled || at_ + 1 == endpoints_.size() ||
          (error.kind() == ErrorKind::corrupt && offset_ > 0)) {
        if (failures_.empty()) throw;
        throw with_failures(error, failures_);
      }
      failures_ += (failures_.empty() ? "" : "; ") + error.message();
      if (error.kind() == ErrorKind::unavailable) access_->note_away(endpoint());
    }
    ++at_;
    cuts_ = 0;
    response_.reset();
  }
}

size_t RemoteBlobSource::read(char* buffer, size_t size) {
  if (size == 0) return 0;
  if (offset_ == descriptor_.size) {
    check_end();
    return 0;
  }
  size_t count = 0;
  with_context(
      [&] {
        return fmt::format("{}: blob {} after {} of {} bytes", endpoint().name(),
                           descriptor_.digest.str(), offset_, descriptor_.size);
      },
      [&] { at_an_endpoint([&] { count = read_once(buffer, size); }); });
  return count;
}

size_t RemoteBlobSource::read_once(char* buffer, size_t size) {
  try {
    if (!response_) connect();
    const uint64_t rest = descriptor_.size - offset_;
    const size_t count = response_->read(buffer, std::min<uint64_t>(size, rest));
    if (count == 0) {
      // Without a Content-Length this is how a lost connection looks.
      throw TransientError(endpoint().host + " ended the blob too early");
    }
    offset_ += count;
    return count;
  } catch (const TransientError&) {
    response_.reset();
    count_cut();
    throw;
  }
}

void RemoteBlobSource::count_cut() {
  const uint64_t allowed =
      static_cast<uint64_t>(access_->http().options().attempts) + offset_ / kBytesPerCut;
  if (++cuts_ > allowed) {
    throw Error(fmt::format("{} cut the connection {} times", endpoint().host, cuts_),
                ErrorKind::unavailable);
  }
}

/// Manifests and configs are mostly smaller, and bounded as a whole.
constexpr uint64_t kLargeBlob = 1u << 20;

void RemoteBlobSource::connect() {
  std::vector<std::string> headers;
  if (offset_ > 0) headers.push_back(fmt::format("Range: bytes={}-", offset_));
  // Manifests that an index lists are no blobs for a registry (distribution-spec: pulling
  // manifests).
  const bool manifest = media_type::is_manifest(descriptor_.media_type) ||
                        media_type::is_index(descriptor_.media_type);
  if (manifest) headers.push_back("Accept: " + descriptor_.media_type);
  response_ = access_->request(
      endpoint(), {.path = (manifest ? "manifests/" : "blobs/") + descriptor_.digest.str(),
                   .headers = headers,
                   .large = descriptor_.size > kLargeBlob});
  const int status = response_->status();
  const auto length = response_->length();
  if (status == 200) {
    if (length && *length != descriptor_.size) wrong_size(*length);
    skip_what_was_read();
  } else if (status == 206 && offset_ > 0) {
    const std::string range = response_->header("content-range");
    const std::string expected =
        fmt::format("bytes {}-{}/", offset_, std::max<uint64_t>(descriptor_.size, 1) - 1);
    if (!range.starts_with(expected)) {
      throw Error(fmt::format("{} answered {} to a request for the bytes from {}", endpoint().host,
                              quoted(range), offset_),
                  ErrorKind::corrupt);
    }
  } else {
    RegistryAccess::fail(endpoint(), *response_);
  }
}

/// For servers that know no ranges and send everything again.
void RemoteBlobSource::skip_what_was_read() {
  std::vector<char> buffer(64 * 1024);
  for (uint64_t rest = offset_; rest > 0;) {
    const size_t count = response_->read(buffer.data(), std::min<uint64_t>(buffer.size(), rest));
    if (count == 0) throw TransientError(endpoint().host + " ended the blob too early");
    rest -= count;
  }
}

/// All bytes are there; a server that has more of them sent another blob.
void RemoteBlobSource::check_end() {
  if (!response_) return;
  const auto response = std::exchange(response_, nullptr);
  char more = 0;
  size_t count = 0;
  try {
    count = response->read(&more, 1);
  } catch (const TransientError&) {
    // Lost after the last byte: nothing is missing.
  }
  if (count > 0) wrong_size(descriptor_.size + 1);
}

void RemoteBlobSource::wrong_size(uint64_t actual) const {
  throw Error(fmt::format("{}: the blob {} has {} bytes{}, its descriptor says {}", endpoint().host,
                          descriptor_.digest.str(), actual,
                          actual == descriptor_.size + 1 ? " or more" : "", descriptor_.size),
              ErrorKind::corrupt);
}

}  // namespace lade
