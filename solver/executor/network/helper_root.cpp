#include "solver/executor/network/helper_root.hpp"

#include <climits>
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <sys/mount.h>

#include "base/error.hpp"
#include "base/mount_api.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"

namespace lade::sandbox {
namespace {

/// The directory below /run that resolv.conf really is in, without "/run"; empty if it is
/// elsewhere. The directory and not the file, which is replaced when it changes.
std::string resolver_directory() {
  char path[PATH_MAX];
  if (::realpath("/etc/resolv.conf", path) == nullptr) return {};
  const std::string directory = dir_name(path);
  return directory.starts_with("/run/") ? directory.substr(5) : std::string();
}

}  // namespace

void hide_run() {
  const UniqueFd run = sys::open("/run", O_PATH | O_DIRECTORY);
  const UniqueFd empty = new_filesystem("tmpfs", {{"source", "run"}, {"mode", "0755"}},
                                        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  const std::string kept = resolver_directory();
  if (kept.empty()) return attach(empty.get(), run.get());
  const UniqueFd source = sys::openat(run.get(), kept, O_PATH | O_DIRECTORY);
  const UniqueFd tree = clone_tree(source.get());
  attach(empty.get(), run.get());
  sys::make_dirs("/run/" + kept);
  attach(tree.get(), sys::open("/run/" + kept, O_PATH | O_DIRECTORY).get());
}

}  // namespace lade::sandbox
