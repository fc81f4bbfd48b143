// The process between a sandbox's interface and slirp4netns. It is started by the first packet:
// most steps send none.
#pragma once

#include <string>
#include <vector>

#include "solver/executor/network/network_reach.hpp"

namespace lade::sandbox {

/// How the process ends.
enum class HelperExit : int {
  ended = 0,     ///< it was told to, or the interface is gone
  no_start = 2,  ///< slirp4netns did not come up; `errors` says why
  lost = 3,      ///< slirp4netns ended after it had come up; `errors` says how
};

/// Starts slirp4netns from `helper` and carries frames between it and `tap` until `exit_fd` is
/// closed at its other end. To be called in a forked child; slirp4netns is gone when it ends.
/// slirp4netns's messages go to `errors`. This machine itself is not reached through it
/// (frame_filter.hpp), but for what `reach` grants.
///
/// slirp4netns has a mount namespace of its own: it detaches all mounts that it finds, which on a
/// host whose mounts are shared would detach the host's.
[[noreturn]] void run_network_helper(const std::string& helper, const NetworkReach& reach, int tap,
                                     int exit_fd, int errors);

/// The path of slirp4netns. Throws Error that says what to install.
std::string find_network_helper();

}  // namespace lade::sandbox
