// containerd's content service, as far as BuildKit's clients ask a daemon for it: which blobs there
// are, and their bytes. Writing and deleting are not offered.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "daemon/build/history.hpp"
#include "daemon/proto/content.grpc.pb.h"
#include "snapshotter/content/content_store.hpp"

namespace lade {

class ContentService final : public containerd::services::content::v1::Content::Service {
 public:
  /// `root` is the state directory; what the records of `history` refer to is there, too.
  ContentService(const std::string& root, const History& history);

  grpc::Status Info(grpc::ServerContext* context,
                    const containerd::services::content::v1::InfoRequest* request,
                    containerd::services::content::v1::InfoResponse* response) override;
  grpc::Status List(
      grpc::ServerContext* context,
      const containerd::services::content::v1::ListContentRequest* request,
      grpc::ServerWriter<containerd::services::content::v1::ListContentResponse>* writer) override;
  grpc::Status Read(
      grpc::ServerContext* context,
      const containerd::services::content::v1::ReadContentRequest* request,
      grpc::ServerWriter<containerd::services::content::v1::ReadContentResponse>* writer) override;

 private:
  std::optional<UniqueFd> open(const Digest& digest) const;

  std::string blobs_;  // their directory
  std::unique_ptr<ContentStore> store_;
  const History& history_;
};

}  // namespace lade
