#include "daemon/job/llb_mount.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "daemon/proto/ops.pb.h"

namespace lade {
namespace {

/// Secrets and sockets have the same options.
template <class Options>
void set_options(const Options& options, ExecMount& out) {
  out.id = options.id();
  out.uid = options.uid();
  out.gid = options.gid();
  out.mode = options.mode();
  out.required = !options.optional();
}

template <class Options>
void put_options(const ExecMount& mount, Options& out) {
  out.set_id(mount.id);
  out.set_uid(mount.uid);
  out.set_gid(mount.gid);
  out.set_mode(mount.mode);
  out.set_optional(!mount.required);
}

CacheMountSharing sharing_of(const pb::CacheOpt& options) {
  if (options.sharing() == pb::LOCKED) return CacheMountSharing::locked;
  if (options.sharing() == pb::PRIVATE) return CacheMountSharing::exclusive;
  return CacheMountSharing::shared;
}

}  // namespace

ExecMount load_mount(const pb::Mount& mount) {
  ExecMount out;
  out.target = mount.dest();
  out.subpath = mount.selector();
  out.read_only = mount.readonly();
  switch (mount.mounttype()) {
    case pb::BIND:
      break;
    case pb::CACHE:
      out.type = ExecMountType::cache;
      out.id = mount.cacheopt().id();
      out.sharing = sharing_of(mount.cacheopt());
      out.mode = 0755;
      break;
    case pb::TMPFS:
      out.type = ExecMountType::tmpfs;
      out.read_only = false;
      out.size_bytes = static_cast<uint64_t>(std::max<int64_t>(0, mount.tmpfsopt().size()));
      break;
    case pb::SECRET:
      out.type = ExecMountType::secret;
      set_options(mount.secretopt(), out);
      break;
    case pb::SSH:
      out.type = ExecMountType::ssh;
      set_options(mount.sshopt(), out);
      if (out.id.empty()) out.id = "default";
      break;
    default:
      throw Error(
          fmt::format("mount type {} is not supported", static_cast<int>(mount.mounttype())));
  }
  return out;
}

void put_mount(const ExecMount& mount, pb::Mount& out) {
  out.set_dest(mount.target);
  out.set_selector(mount.subpath);
  out.set_readonly(mount.read_only);
  switch (mount.type) {
    case ExecMountType::bind:
      break;
    case ExecMountType::cache:
      out.set_mounttype(pb::CACHE);
      out.mutable_cacheopt()->set_id(mount.id);
      out.mutable_cacheopt()->set_sharing(mount.sharing == CacheMountSharing::locked ? pb::LOCKED
                                          : mount.sharing == CacheMountSharing::exclusive
                                              ? pb::PRIVATE
                                              : pb::SHARED);
      break;
    case ExecMountType::tmpfs:
      out.set_mounttype(pb::TMPFS);
      out.mutable_tmpfsopt()->set_size(static_cast<int64_t>(mount.size_bytes));
      break;
    case ExecMountType::secret:
      out.set_mounttype(pb::SECRET);
      put_options(mount, *out.mutable_secretopt());
      break;
    case ExecMountType::ssh:
      out.set_mounttype(pb::SSH);
      put_options(mount, *out.mutable_sshopt());
      break;
  }
}

}  // namespace lade
