// What slirp4netns sees of the machine's files.
#pragma once

namespace lade::sandbox {

/// Covers /run, where the sockets are that root's programs listen at, with an empty directory that
/// holds only what /etc/resolv.conf is a link to. slirp4netns reads that now and then, and keeps
/// /etc and /run for it; should a step ever take slirp4netns over, that is all it finds.
///
/// The mounts must be the caller's own (own_mounts.hpp). Throws Error.
void hide_run();

}  // namespace lade::sandbox
