#include "tests/support/fake_registry.hpp"

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/text.hpp"

namespace lade::test {
namespace {

std::string decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// The value of `name` in "a=b&c=d".
std::string parameter(const std::string& query, const std::string& name) {
  for (const auto& field : split(query, '&')) {
    if (field.starts_with(name + "=")) return decoded(field.substr(name.size() + 1));
  }
  return "";
}

HttpServerReply failure(int status, const char* code) {
  return {.status = status, .body = fmt::format(R"({{"errors":[{{"code":"{}"}}]}})", code)};
}

}  // namespace

FakeRegistry::FakeRegistry(const std::string& address)
    : server_([this](const HttpServerRequest& request) { return answer(request); }, address) {}

void FakeRegistry::add_blob(const std::string& repository, const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  blobs_[{repository, Digest::of(bytes).str()}] = bytes;
}

std::optional<std::string> FakeRegistry::blob(const std::string& repository,
                                              const std::string& digest) const {
  const std::lock_guard lock(mutex_);
  const auto found = blobs_.find({repository, digest});
  return found == blobs_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::pair<std::string, std::string>> FakeRegistry::manifest(
    const std::string& repository, const std::string& reference) const {
  const std::lock_guard lock(mutex_);
  const auto found = manifests_.find({repository, reference});
  return found == manifests_.end() ? std::nullopt : std::optional(found->second);
}

size_t FakeRegistry::count(const std::string& method, const std::string& text) const {
  size_t out = 0;
  for (const auto& request : server_.requests()) {
    if (request.method == method && request.target.find(text) != std::string::npos) ++out;
  }
  return out;
}

uint64_t FakeRegistry::uploaded_bytes() const {
  uint64_t out = 0;
  for (const auto& request : server_.requests()) {
    if (request.target.find("/blobs/") != std::string::npos) out += request.body.size();
  }
  return out;
}

HttpServerReply FakeRegistry::answer(const HttpServerRequest& request) {
  if (bend) {
    if (auto bent = bend(request)) return *bent;
  }
  const std::string path = request.target.substr(0, request.target.find('?'));
  if (path == "/v2/") return {};
  const size_t blobs = path.find("/blobs/");
  const size_t manifests = path.find("/manifests/");
  if (blobs != std::string::npos) {
    return answer_blob(request, path.substr(4, blobs - 4), path.substr(blobs + 7));
  }
  if (manifests == std::string::npos) return failure(404, "UNSUPPORTED");
  return answer_manifest(request, path.substr(4, manifests - 4), path.substr(manifests + 11));
}

HttpServerReply FakeRegistry::answer_blob(const HttpServerRequest& request,
                                          const std::string& repository, const std::string& rest) {
  const size_t mark = request.target.find('?');
  const std::string query = mark == std::string::npos ? "" : request.target.substr(mark + 1);
  if (rest == "uploads/") return start_upload(repository, query);
  if (rest.starts_with("uploads/")) return upload(request, rest.substr(8), query);
  const auto bytes = blob(repository, rest);
  if (!bytes) return failure(404, "BLOB_UNKNOWN");
  return {.headers = {{"Docker-Content-Digest", rest}}, .body = *bytes};
}

HttpServerReply FakeRegistry::accepted(const std::string& id) const {
  return {.status = 202, .headers = {{"Location", upload_base + "/v2/x/blobs/uploads/" + id}}};
}

HttpServerReply FakeRegistry::start_upload(const std::string& repository,
                                           const std::string& query) {
  const std::string digest = parameter(query, "mount");
  const auto from = blob(parameter(query, "from"), digest);
  const std::lock_guard lock(mutex_);
  if (from && mounts) {
    blobs_[{repository, digest}] = *from;
    return {.status = 201};
  }
  const std::string id = fmt::format("u{}", next_upload_++);
  uploads_[id] = {repository, ""};
  return accepted(id);
}

HttpServerReply FakeRegistry::upload(const HttpServerRequest& request, const std::string& id,
                                     const std::string& query) {
  const std::lock_guard lock(mutex_);
  const auto found = uploads_.find(id);
  if (found == uploads_.end()) return failure(404, "BLOB_UPLOAD_UNKNOWN");
  Upload& upload = found->second;
  if (request.truncated && !resumable) {
    uploads_.erase(found);
    return {};
  }
  if (request.method == "GET") {
    HttpServerReply reply = accepted(id);
    reply.status = 204;
    reply.headers.emplace_back(
        "Range", fmt::format("0-{}", upload.bytes.empty() ? 0 : upload.bytes.size() - 1));
    return reply;
  }
  const std::string range = request.header("content-range");
  if (!range.empty() && range.substr(0, range.find('-')) != std::to_string(upload.bytes.size())) {
    return failure(416, "BLOB_UPLOAD_INVALID");
  }
  upload.bytes += request.body;
  if (request.truncated) return {};
  if (request.method == "PATCH") return accepted(id);
  const std::string digest = parameter(query, "digest");
  const Upload done = upload;
  uploads_.erase(found);
  if (Digest::of(done.bytes).str() != digest) return failure(400, "DIGEST_INVALID");
  blobs_[{done.repository, digest}] = done.bytes;
  return {.status = 201, .headers = {{"Docker-Content-Digest", digest}}};
}

HttpServerReply FakeRegistry::answer_manifest(const HttpServerRequest& request,
                                              const std::string& repository,
                                              const std::string& reference) {
  if (request.method == "PUT") {
    const std::string digest = Digest::of(request.body).str();
    const std::lock_guard lock(mutex_);
    manifests_[{repository, reference}] =
        manifests_[{repository, digest}] = {request.header("content-type"), request.body};
    return {.status = 201, .headers = {{"Docker-Content-Digest", digest}}};
  }
  const auto found = manifest(repository, reference);
  if (!found) return failure(404, "MANIFEST_UNKNOWN");
  return {.headers = {{"Content-Type", found->first},
                      {"Docker-Content-Digest", Digest::of(found->second).str()}},
          .body = found->second};
}

}  // namespace lade::test
