#include "daemon/server/content_service.hpp"

#include <algorithm>

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "daemon/job/grpc_status.hpp"

namespace lade {
namespace {

namespace content_api = containerd::services::content::v1;

constexpr size_t kReadPiece = 1u << 20;
constexpr int kInfosAtOnce = 100;

void put_info(const Digest& digest, const struct stat& info, content_api::Info& out) {
  out.set_digest(digest.str());
  out.set_size(info.st_size);
  for (auto* time : {out.mutable_created_at(), out.mutable_updated_at()}) {
    time->set_seconds(info.st_mtim.tv_sec);
    time->set_nanos(static_cast<int32_t>(info.st_mtim.tv_nsec));
  }
}

[[noreturn]] void no_blob(const std::string& digest) {
  throw Error("content " + digest + ": not found", ErrorKind::not_found);
}

/// With the code by which clients know that there is no such blob.
grpc::Status guarded_lookup(const std::function<void()>& body) {
  try {
    body();
    return grpc::Status::OK;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) return to_status(error);
    return {grpc::StatusCode::NOT_FOUND, error.message()};
  }
}

}  // namespace

ContentService::ContentService(const std::string& root, const History& history)
    : blobs_(root + "/blobs/sha256"), store_(ContentStore::open(root)), history_(history) {}

std::optional<UniqueFd> ContentService::open(const Digest& digest) const {
  if (auto blob = store_->open_blob(digest)) return blob;
  return history_.open_blob(digest);
}

grpc::Status ContentService::Info(grpc::ServerContext*, const content_api::InfoRequest* request,
                                  content_api::InfoResponse* response) {
  return guarded_lookup([&] {
    const Digest digest = Digest::parse(request->digest());
    const auto blob = open(digest);
    if (!blob) no_blob(digest.str());
    put_info(digest, sys::fstat(blob->get()), *response->mutable_info());
  });
}

grpc::Status ContentService::List(grpc::ServerContext*,
                                  const content_api::ListContentRequest* request,
                                  grpc::ServerWriter<content_api::ListContentResponse>* writer) {
  return guarded([&] {
    if (request->filters_size() > 0) throw Error("filters of contents are not supported");
    const UniqueFd dir = sys::open(blobs_, O_RDONLY | O_DIRECTORY);
    content_api::ListContentResponse message;
    for (const auto& name : sys::list_dir(dir.get())) {
      const auto info = sys::lstatat(dir.get(), name);
      // It may have gone meanwhile.
      if (!info || !S_ISREG(info->st_mode)) continue;
      put_info(Digest::parse("sha256:" + name), *info, *message.add_info());
      if (message.info_size() < kInfosAtOnce) continue;
      if (!writer->Write(message)) return;
      message.clear_info();
    }
    for (const auto& digest : history_.blobs()) {
      const auto blob = history_.open_blob(digest);
      if (blob) put_info(digest, sys::fstat(blob->get()), *message.add_info());
    }
    if (message.info_size() > 0) writer->Write(message);
  });
}

grpc::Status ContentService::Read(grpc::ServerContext*,
                                  const content_api::ReadContentRequest* request,
                                  grpc::ServerWriter<content_api::ReadContentResponse>* writer) {
  return guarded_lookup([&] {
    const Digest digest = Digest::parse(request->digest());
    const auto blob = open(digest);
    if (!blob) no_blob(digest.str());
    const auto total = static_cast<int64_t>(sys::fstat(blob->get()).st_size);
    int64_t offset = std::max<int64_t>(0, request->offset());
    if (offset > total) throw Error("the offset is beyond the end of " + digest.str());
    const int64_t wanted = request->size() > 0 ? request->size() : total - offset;
    const int64_t end = offset + std::min(wanted, total - offset);
    content_api::ReadContentResponse message;
    std::string piece;
    while (offset < end) {
      piece.resize(std::min(kReadPiece, static_cast<size_t>(end - offset)));
      sys::pread_exact(blob->get(), piece.data(), piece.size(), static_cast<uint64_t>(offset));
      message.set_offset(offset);
      message.set_data(piece);
      if (!writer->Write(message)) return;
      offset += static_cast<int64_t>(piece.size());
    }
  });
}

}  // namespace lade
