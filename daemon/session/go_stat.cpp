#include "daemon/session/go_stat.hpp"

#include <sys/stat.h>

#include "daemon/proto/fsutil.pb.h"

namespace lade {
namespace {

uint32_t go_mode(const Entry& entry) {
  uint32_t mode = entry.mode & 0777;
  if (entry.mode & S_ISUID) mode |= kGoSetuid;
  if (entry.mode & S_ISGID) mode |= kGoSetgid;
  if (entry.mode & S_ISVTX) mode |= kGoSticky;
  switch (entry.type) {
    case EntryType::directory:
      return mode | kGoDir;
    case EntryType::symlink:
      return mode | kGoSymlink;
    case EntryType::char_device:
      return mode | kGoDevice | kGoCharDevice;
    case EntryType::block_device:
      return mode | kGoDevice;
    case EntryType::fifo:
      return mode | kGoNamedPipe;
    case EntryType::socket:
      return mode | kGoSocket;
    case EntryType::regular:
    case EntryType::whiteout:
      break;
  }
  return mode;
}

}  // namespace

void put_stat(const Entry& entry, const std::string& path, fsutil::types::Stat& out) {
  out.set_path(path);
  out.set_mode(go_mode(entry));
  out.set_uid(entry.uid);
  out.set_gid(entry.gid);
  out.set_size(static_cast<int64_t>(entry.size));
  out.set_modtime(entry.mtime_sec * 1'000'000'000 + entry.mtime_nsec);
  out.set_linkname(entry.link_target);
  out.set_devmajor(entry.dev_major);
  out.set_devminor(entry.dev_minor);
  for (const auto& xattr : entry.xattrs) (*out.mutable_xattrs())[xattr.name] = xattr.value;
}

}  // namespace lade
