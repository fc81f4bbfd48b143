// Users and groups by name, as an image's /etc/passwd and /etc/group have them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "snapshotter/tree/layer_index.hpp"

namespace lade {

/// Who a process runs as.
struct UserSpec {
  uint32_t uid = 0;
  uint32_t gid = 0;
  /// For setgroups(2): the primary group, then the supplementary ones.
  std::vector<uint32_t> groups;
  bool operator==(const UserSpec&) const = default;
};

/// Who a copied file belongs to.
struct ChownSpec {
  uint32_t uid = 0;
  uint32_t gid = 0;
  /// Names that the image does not know: root is taken for them, as in BuildKit; worth a warning.
  std::vector<std::string> unknown;
  bool operator==(const ChownSpec&) const = default;
};

/// The answers that need no file of the image ("1000:1000", "root:root"); nullopt for all others.
/// The caller may spare itself the image's index.
std::optional<UserSpec> numeric_user(std::string_view spec);
std::optional<ChownSpec> numeric_chown(std::string_view spec);

/// USER (and RUN's user): "name|uid[:group|gid]" by Docker's rules. A user of the passwd file
/// brings its primary group and the supplementary groups that name it, unless a group is given; a
/// number without an entry has group 0. "" is root. Unknown names, and numbers beyond 2147483647,
/// are an Error. The files are untrusted: symlinks resolve inside the image, 10 MiB at most are
/// read, missing ones are empty.
UserSpec resolve_user(std::string_view spec, const MergedIndex& image, const OpenFound& open);

/// The home directory that the passwd file gives a uid; "/" if it does not know it. What HOME is to
/// a process whose environment has none.
std::string home_of(uint32_t uid, const MergedIndex& image, const OpenFound& open);

/// COPY/ADD --chown: "name|uid[:group|gid]". A numeric user implies the same group, a name that of
/// its passwd entry.
ChownSpec resolve_chown(std::string_view spec, const MergedIndex& image, const OpenFound& open);

}  // namespace lade
