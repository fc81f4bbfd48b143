#include "solver/executor/child/mounts.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/mount_api.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "solver/executor/cgroup/device_rules.hpp"
#include "solver/executor/child/overlay.hpp"

namespace lade::sandbox {
namespace {

bool has_subpath(const Mount& mount) {
  return !mount.subpath.empty() && mount.subpath != "/";
}

UniqueFd open_subpath(int tree, const std::string& subpath) {
  auto fd = sys::open_in_root(tree, subpath, O_PATH);
  if (!fd)
    throw Error("there is no " + quoted(subpath) + " in what is to be mounted",
                ErrorKind::not_found);
  return std::move(*fd);
}

UniqueFd open_bind(const Mount& mount) {
  const UniqueFd source = sys::open(mount.source, O_PATH);
  if (!has_subpath(mount)) return clone_tree(source.get());
  return clone_tree(open_subpath(source.get(), mount.subpath).get());
}

UniqueFd open_tmpfs(const Mount& mount) {
  FsContext context("tmpfs");
  context.set("source", "tmpfs");
  context.set("mode", fmt::format("{:o}", mount.mode));
  if (mount.size_bytes > 0) context.set("size", fmt::format("{}", mount.size_bytes));
  return context.mount(MOUNT_ATTR_NOSUID);
}

/// The part of a fresh filesystem that was asked for. Parts are copied from attached mounts only,
/// so the whole first gets a place in the staging area, where it stays unseen.
UniqueFd narrow(UniqueFd whole, const Mount& mount, Staging& staging) {
  if (!has_subpath(mount)) return whole;
  attach(whole.get(), staging.open_dir(staging.make_dir()).get());
  return clone_tree(open_subpath(whole.get(), mount.subpath).get());
}

UniqueFd open_mount(const Mount& mount, Staging& staging) {
  switch (mount.kind) {
    case MountKind::bind:
      return open_bind(mount);
    case MountKind::overlay:
      return narrow(open_overlay(mount, staging), mount, staging);
    case MountKind::tmpfs:
      return narrow(open_tmpfs(mount), mount, staging);
  }
  throw Error("unknown kind of mount");
}

/// A single node that any step may have does no harm, wherever it lies: the host's /dev/null over a
/// file is a habit.
bool has_nodes(const Mount& mount, Nodes nodes, int mount_fd) {
  if (nodes == Nodes::anywhere || (nodes == Nodes::by_rules && mount.devices)) return true;
  const struct stat info = sys::fstat(mount_fd);
  return may_open(info.st_mode, info.st_rdev);
}

/// Makes a missing target inside something that was mounted before it (/dev, a tmpfs, a cache):
/// what is made there is no part of the new layer. In the root filesystem itself targets must
/// exist.
UniqueFd make_target(int root, const std::string& target, bool directory) {
  const std::string path = clean_path("/" + target);
  const std::string parent = dir_name(path);
  auto dir = sys::open_in_root(root, parent, O_PATH | O_DIRECTORY);
  if (!dir && parent != "/") dir = make_target(root, parent, true);
  if (!dir || sys::fstat(dir->get()).st_dev == sys::fstat(root).st_dev) {
    throw Error("the target does not exist in the root filesystem", ErrorKind::not_found);
  }
  const std::string name = base_name(path);
  if (directory) {
    sys::mkdirat(dir->get(), name, 0755);
  } else {
    sys::openat(dir->get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
  }
  return sys::openat(dir->get(), name, O_PATH | O_NOFOLLOW);
}

/// O_PATH descriptor of a mount target, whose type must match that of what will cover it.
UniqueFd open_target(int root, const std::string& target, int mount_fd) {
  auto fd = sys::open_in_root(root, target, O_PATH);
  if (!fd) fd = make_target(root, target, S_ISDIR(sys::fstat(mount_fd).st_mode));
  const bool target_is_dir = S_ISDIR(sys::fstat(fd->get()).st_mode);
  const bool source_is_dir = S_ISDIR(sys::fstat(mount_fd).st_mode);
  if (target_is_dir != source_is_dir) {
    throw Error(fmt::format("the target is a {} and what is to be mounted is a {}",
                            target_is_dir ? "directory" : "file",
                            source_is_dir ? "directory" : "file"));
  }
  return std::move(*fd);
}

/// Whether the target resolves to the root itself, which a mount would hide with all that lies in
/// it.
bool is_root(int root, int target) {
  const struct stat a = sys::fstat(root);
  const struct stat b = sys::fstat(target);
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

void mount_file(int root, const EphemeralFile& file, Staging& staging, const std::string& name) {
  {
    const UniqueFd out =
        sys::openat(staging.fd(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    sys::write_all(out.get(), file.content);
    if (::fchown(out.get(), file.uid, file.gid) != 0) throw_errno("could not set its owner");
    // After the owner, since chown clears set-id bits.
    if (::fchmod(out.get(), file.mode) != 0) throw_errno("could not set its mode");
  }
  const UniqueFd source = sys::openat(staging.fd(), name, O_PATH | O_NOFOLLOW);
  const UniqueFd bind = clone_tree(source.get());
  attach(bind.get(), open_target(root, file.target, bind.get()).get());
  if (file.read_only) make_read_only(bind.get());
}

}  // namespace

UniqueFd mount_root(const Mount& mount, Nodes nodes, Staging& staging) {
  return with_context("could not mount the root filesystem", [&] {
    UniqueFd root = open_mount(mount, staging);
    if (!S_ISDIR(sys::fstat(root.get()).st_mode)) throw Error("it is not a directory");
    attach(root.get(), staging.open_dir(staging.make_dir()).get());
    if (mount.read_only) make_read_only(root.get());
    if (nodes == Nodes::in_dev) make_nodev(root.get());
    return root;
  });
}

void mount_into(int root, const Mount& mount, Nodes nodes, Staging& staging) {
  with_context([&] { return "could not mount at " + quoted(mount.target); },
               [&] {
                 const UniqueFd source = open_mount(mount, staging);
                 const UniqueFd target = open_target(root, mount.target, source.get());
                 if (is_root(root, target.get()))
                   throw Error("the target is the root filesystem itself");
                 attach(source.get(), target.get());
                 if (mount.read_only) make_read_only(source.get());
                 if (!has_nodes(mount, nodes, source.get())) make_nodev(source.get());
               });
}

void mount_files(int root, const std::vector<EphemeralFile>& files, bool before_mounts,
                 Staging& staging) {
  for (size_t i = 0; i < files.size(); ++i) {
    if (files[i].before_mounts != before_mounts) continue;
    with_context([&] { return "could not make the file " + quoted(files[i].target); },
                 [&] { mount_file(root, files[i], staging, fmt::format("file-{}", i)); });
  }
}

}  // namespace lade::sandbox
