// What a source is now, for clients that want to know before they use it.
#pragma once

#include <string>

#include "daemon/job/job.hpp"

namespace pb {
class Platform;
}
namespace moby::buildkit::v1::frontend {
class ResolveSourceMetaRequest;
class ResolveSourceMetaResponse;
}  // namespace moby::buildkit::v1::frontend

namespace lade {

/// Of images: digest and config; of the client's directories nothing. Policies are the caller's to
/// ask. Throws Error for what is not supported.
moby::buildkit::v1::frontend::ResolveSourceMetaResponse resolve_source_meta(
    Job& job, const moby::buildkit::v1::frontend::ResolveSourceMetaRequest& request);

/// This machine's if it says nothing.
Platform platform_of(const pb::Platform& platform);
/// "docker-image://name@sha256:...", "oci-layout://...@sha256:...": the digest at the end.
std::string digest_in(const std::string& identifier);
/// "pull", "local", "default".
void set_pull(Job& job, const std::string& mode);

}  // namespace lade
