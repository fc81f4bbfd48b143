#include "registry/blob_push.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "registry/verified_source.hpp"

namespace lade {
namespace {

/// N of "Range: 0-N" (or "bytes=0-N") plus one; "0-0" may mean one byte or none, so it is none.
uint64_t bytes_of_range(std::string_view range) {
  if (range.starts_with("bytes=")) range.remove_prefix(6);
  if (!range.starts_with("0-")) return 0;
  range.remove_prefix(2);
  uint64_t last = 0;
  const auto [end, error] = std::from_chars(range.data(), range.data() + range.size(), last);
  if (error != std::errc() || end != range.data() + range.size() || last == 0) return 0;
  return last + 1;
}

constexpr const char* kBytes = "Content-Type: application/octet-stream";

}  // namespace

BlobUpload::BlobUpload(RegistryAccess& access, const RegistryEndpoint& endpoint,
                       const Descriptor& blob, BlobProvider& source, const PushOptions& options)
    : access_(access), endpoint_(endpoint), blob_(blob), source_(source), options_(options) {}

bool BlobUpload::present(RegistryAccess& access, const RegistryEndpoint& endpoint,
                         const Descriptor& blob, bool push) {
  const bool manifest =
      media_type::is_manifest(blob.media_type) || media_type::is_index(blob.media_type);
  RegistryRequest request{.method = HttpMethod::head,
                          .path = (manifest ? "manifests/" : "blobs/") + blob.digest.str(),
                          .push = push};
  if (manifest) request.headers.push_back("Accept: " + blob.media_type);
  const auto response = access.request(endpoint, request);
  if (response->status() == 404) return false;
  if (!is_success(response->status())) RegistryAccess::fail(endpoint, *response);
  return true;
}

BlobPush BlobUpload::run() {
  bool is_there = false;
  access_.http().retry([&] { is_there = present(access_, endpoint_, blob_, true); });
  if (is_there) return BlobPush::present;
  for (const auto& from : options_.mount_from) {
    bool mounted = false;
    access_.http().retry([&] { mounted = mount(from); });
    if (mounted) return BlobPush::mounted;
    // The registry answered with an upload, which will do for the bytes.
    if (!location_.empty()) break;
  }
  upload();
  return BlobPush::uploaded;
}

/// False if the registry would rather have the bytes: location_ is where, if it said.
bool BlobUpload::mount(const Reference& from) {
  const RegistryEndpoint other = access_.push_endpoint(from);
  if (other.host != endpoint_.host || other.repository == endpoint_.repository) return false;
  try {
    return mount_at(other);
  } catch (const TransientError&) {
    throw;
  } catch (const Error& error) {
    // No right to read there, or no token for it: uploading may still work.
    if (error.kind() == ErrorKind::canceled) throw;
    return false;
  }
}

bool BlobUpload::mount_at(const RegistryEndpoint& other) {
  const auto response = access_.request(
      endpoint_, {.method = HttpMethod::post,
                  .path = fmt::format("blobs/uploads/?mount={}&from={}",
                                      url_encode(blob_.digest.str()), url_encode(other.repository)),
                  .push = true,
                  .pull_from = {other.repository}});
  if (response->status() == 201) return true;
  if (response->status() == 202) location_ = location(*response);
  return false;
}

void BlobUpload::begin() {
  offset_ = 0;
  const auto response = send(HttpMethod::post, "blobs/uploads/", {}, {});
  if (response->status() != 202) RegistryAccess::fail(endpoint_, *response);
  location_ = location(*response);
}

/// Where the registry says that the upload goes on; relative to what was asked.
std::string BlobUpload::location(const HttpResponse& response) const {
  const std::string text = response.header("location");
  if (text.empty()) {
    throw Error(fmt::format("{} did not say where an upload goes", endpoint_.host));
  }
  if (text.find("://") != std::string::npos) return text;
  const std::string origin = url_origin(access_.url(endpoint_, ""));
  return origin + (text.starts_with('/') ? "" : "/") + text;
}

void BlobUpload::upload() {
  // What moves the upload on does not count as a failed attempt: a connection that is cut now and
  // then does not end the push of a large blob.
  uint64_t cuts = 0;
  for (bool again = true; again;) {
    again = false;
    const uint64_t before = offset_;
    access_.http().retry([&] {
      try {
        upload_once();
      } catch (const TransientError&) {
        ask_offset();
        again = offset_ > before && ++cuts <= offset_ / kBytesPerCut;
        if (!again) throw;
      }
    });
  }
}

void BlobUpload::upload_once() {
  if (location_.empty()) begin();
  const auto with_digest = [&] {
    return location_ + (location_.find('?') == std::string::npos ? "?" : "&") +
           "digest=" + url_encode(blob_.digest.str());
  };
  if (offset_ == 0) {
    const auto response = send(HttpMethod::put, with_digest(), {kBytes}, body());
    return finish(*response);
  }
  if (offset_ < blob_.size) {
    const std::string range = fmt::format("Content-Range: {}-{}", offset_, blob_.size - 1);
    const auto response = send(HttpMethod::patch, location_, {kBytes, range}, body());
    if (!is_success(response->status())) {
      // Another idea of how much is there: start again, with all of it.
      location_.clear();
      offset_ = 0;
      throw TransientError(fmt::format("{} answered {} to the rest of an upload", endpoint_.host,
                                       response->status()));
    }
    location_ = location(*response);
    offset_ = blob_.size;
  }
  const auto response = send(HttpMethod::put, with_digest(), {kBytes}, {});
  finish(*response);
}

void BlobUpload::finish(HttpResponse& response) {
  if (!is_success(response.status())) {
    // An upload that the registry has lost or given up says nothing of the next one.
    const bool lost = response.status() == 404 || response.status() == 416;
    location_.clear();
    offset_ = 0;
    if (!lost) RegistryAccess::fail(endpoint_, response);
    throw TransientError(fmt::format("{} lost an upload", endpoint_.host));
  }
  const std::string digest = response.header("docker-content-digest");
  if (!digest.empty() && digest != blob_.digest.str()) {
    throw Error(fmt::format("{} stored the blob {} as {}", endpoint_.host, blob_.digest.str(),
                            quoted(digest)),
                ErrorKind::corrupt);
  }
}

/// After a cut: how much the registry has. Where it cannot say, the upload starts again.
void BlobUpload::ask_offset() {
  const std::string location_before = std::exchange(location_, "");
  offset_ = 0;
  if (location_before.empty()) return;
  try {
    const auto response = send(HttpMethod::get, location_before, {}, {});
    if (response->status() != 204 && response->status() != 202) return;
    const uint64_t offset = bytes_of_range(response->header("range"));
    if (offset == 0 || offset > blob_.size) return;
    location_ = response->header("location").empty() ? location_before : location(*response);
    offset_ = offset;
  } catch (const Error&) {
    // Still away, or the upload is: the next attempt finds out.
  }
}

HttpBody BlobUpload::body() {
  const uint64_t from = offset_;
  return {blob_.size - from, [this, from]() -> std::unique_ptr<ByteSource> {
            if (options_.progress) options_.progress(from);
            return std::make_unique<VerifiedSource>(source_.open(blob_), blob_, from,
                                                    options_.progress);
          }};
}

std::unique_ptr<HttpResponse> BlobUpload::send(HttpMethod method, const std::string& path,
                                               std::vector<std::string> headers, HttpBody body) {
  return access_.request(endpoint_,
                         {.method = method,
                          .path = path,
                          .headers = std::move(headers),
                          .body = std::move(body),
                          // It hashes and moves the blob before it answers that.
                          .large = method == HttpMethod::put || method == HttpMethod::patch,
                          .push = true});
}

}  // namespace lade
