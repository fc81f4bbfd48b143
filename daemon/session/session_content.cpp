// Content stores of a client: blobs by digest, and a manifest that the client names. What
// containerd calls its content API, of which Info, Read and Write are used.
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "daemon/proto/content.pb.h"
#include "daemon/session/session_connection.hpp"

namespace lade {
namespace {

namespace content_api = containerd::services::content::v1;

constexpr uint64_t kMaxManifest = 4u << 20;
constexpr size_t kBlobPiece = 1u << 20;
constexpr const char* kService = "/containerd.services.content.v1.Content/";

/// What all parts of one store share.
struct Store {
  std::shared_ptr<Session> session;
  std::shared_ptr<CallGroup> group;
  std::string id;

  std::unique_ptr<Call> call(const std::string& method) const {
    return std::make_unique<Call>(*session, group, kService + method,
                                  CallMetadata{{"buildkit-attachable-store-id", id}});
  }
};

std::unique_ptr<ByteSource> open_blob(const Store& store, const Digest& digest) {
  auto call = store.call("Read");
  content_api::ReadContentRequest request;
  request.set_digest(digest.str());
  call->write(request);
  call->writes_done();
  return std::make_unique<MessageSource<content_api::ReadContentResponse>>(
      store.session, std::move(call), "reading " + digest.str());
}

class Blobs : public BlobProvider {
 public:
  explicit Blobs(std::shared_ptr<const Store> store) : store_(std::move(store)) {}
  std::unique_ptr<ByteSource> open(const Descriptor& descriptor) override {
    return open_blob(*store_, descriptor.digest);
  }
  std::string where() const override { return "the client's store " + store_->id; }

 private:
  std::shared_ptr<const Store> store_;
};

class Storage : public CacheStorage {
 public:
  Storage(std::shared_ptr<const Store> store, std::optional<Descriptor> manifest)
      : store_(std::move(store)), manifest_(std::move(manifest)) {}

  std::shared_ptr<BlobProvider> blobs() override { return std::make_shared<Blobs>(store_); }

  std::optional<RemoteManifest> read_manifest() override {
    if (!manifest_) return std::nullopt;
    try {
      const auto source = open_blob(*store_, manifest_->digest);
      RemoteManifest manifest{*manifest_, read_all(*source, kMaxManifest, "a manifest")};
      if (Digest::of(manifest.bytes) != manifest_->digest) {
        throw Error(fmt::format("{}: the manifest {} has other bytes than its digest says",
                                Blobs(store_).where(), manifest_->digest.str()),
                    ErrorKind::corrupt);
      }
      return manifest;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::not_found) return std::nullopt;
      throw;
    }
  }

  bool has_blob(const Descriptor& blob) override {
    const auto call = store_->call("Info");
    content_api::InfoRequest request;
    request.set_digest(blob.digest.str());
    content_api::InfoResponse response;
    const auto status = call->answer(request, response);
    if (status.code == CallCode::not_found) return false;
    call->check(status, "asking for " + blob.digest.str());
    return true;
  }

  void write_blob(const Descriptor& blob, BlobProvider& source) override {
    const auto bytes = source.open(blob);
    write(blob, *bytes);
  }

  void write_manifest(const Descriptor& manifest, std::string_view bytes) override {
    if (has_blob(manifest)) return;
    StringSource source{std::string(bytes)};
    write(manifest, source);
  }

 private:
  void write(const Descriptor& blob, ByteSource& source) {
    const auto call = store_->call("Write");
    content_api::WriteContentRequest request;
    request.set_ref("lade-" + blob.digest.hex() + "-" + sys::random_hex(4));
    request.set_total(static_cast<int64_t>(blob.size));
    request.set_expected(blob.digest.str());
    request.set_action(content_api::WRITE);
    content_api::WriteContentResponse response;
    std::string buffer(kBlobPiece, '\0');
    int64_t offset = 0;
    for (;;) {
      const size_t size = source.read(buffer.data(), buffer.size());
      if (size == 0) break;
      request.set_offset(offset);
      request.set_data(buffer.substr(0, size));
      if (!call->write(request) || !call->read(response)) break;
      offset += static_cast<int64_t>(size);
    }
    request.clear_data();
    request.set_offset(offset);
    request.set_action(content_api::COMMIT);
    if (call->write(request)) call->read(response);
    call->writes_done();
    // The status comes after all answers.
    while (call->read(response)) {
    }
    const auto status = call->finish();
    if (status.code == CallCode::already_exists) return;
    call->check(status, "writing " + blob.digest.str());
  }

  std::shared_ptr<const Store> store_;
  std::optional<Descriptor> manifest_;
};

}  // namespace

std::shared_ptr<CacheStorage> session_content(std::shared_ptr<Session> session,
                                              std::shared_ptr<CallGroup> group,
                                              const std::string& store,
                                              std::optional<Descriptor> manifest) {
  return std::make_shared<Storage>(
      std::make_shared<const Store>(Store{std::move(session), std::move(group), store}),
      std::move(manifest));
}

}  // namespace lade
