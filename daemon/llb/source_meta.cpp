#include "daemon/llb/source_meta.hpp"

#include "base/error.hpp"
#include "daemon/proto/gateway.pb.h"

namespace lade {

namespace gateway = moby::buildkit::v1::frontend;

Platform platform_of(const pb::Platform& platform) {
  if (platform.os().empty()) return Platform::host();
  Platform out;
  out.os = platform.os();
  out.architecture = platform.architecture();
  out.variant = platform.variant();
  out.os_version = platform.osversion();
  return out.normalized();
}

std::string digest_in(const std::string& identifier) {
  const auto at = identifier.rfind('@');
  return at == std::string::npos ? "" : identifier.substr(at + 1);
}

void set_pull(Job& job, const std::string& mode) {
  if (mode == "pull") job.images().set_pull(PullPolicy::always);
  if (mode == "local") job.images().set_pull(PullPolicy::missing);
}

gateway::ResolveSourceMetaResponse resolve_source_meta(
    Job& job, const gateway::ResolveSourceMetaRequest& request) {
  gateway::ResolveSourceMetaResponse response;
  *response.mutable_source() = request.source();
  const std::string& id = request.source().identifier();
  const bool image = id.starts_with("docker-image://");
  const bool layout = id.starts_with("oci-layout://");
  if (!image && !layout) {
    if (id.starts_with("local://")) return response;
    throw Error("metadata of this source is not supported: " + lade::quoted(id));
  }
  if (request.image().attestationchain() || request.image().resolveattestations_size() > 0) {
    throw Error("attestations of images are not supported");
  }
  std::string source = id;
  if (layout) {
    const auto& attrs = request.source().attrs();
    const auto store = attrs.find("oci.store");
    source = "oci-layout://" + (store == attrs.end() ? "" : store->second) + "@" + digest_in(id);
  }
  set_pull(job, request.resolvemode());
  const BaseImage found = job.images().resolve(source, platform_of(request.platform()));
  auto& out = *response.mutable_image();
  out.set_digest(digest_in(found.identifier));
  if (!request.image().noconfig()) out.set_config(found.config.serialize());
  return response;
}

}  // namespace lade
