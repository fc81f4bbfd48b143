// Working as an ordinary user: as root of a user namespace (user_namespaces(7)), where mounts,
// other namespaces and files of other users are to be had.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lade {

/// Whether the first user namespace is out of reach: there devices cannot be made, and trusted.*
/// xattrs neither read nor written. Asked of the kernel once.
bool in_user_namespace();

/// Makes this process root (user and group 0) of new user and mount namespaces. User 0 stands for
/// the one who calls; 1, 2, ... for the subordinate ids that /etc/subuid and /etc/subgid grant,
/// mapped by newuidmap(1) and newgidmap(1). Without any there is user 0 alone, and files cannot be
/// given to others. Descriptors, environment and process number stay.
/// For a process that has one thread, and no privileges. Throws Error with a hint if the kernel or
/// its settings refuse.
void become_root_of_namespace();

/// For the Error of a chown(2) or the like that the kernel has refused with `err`: what to do where
/// the namespace has no such id; empty otherwise.
std::string unmapped_owner_hint(int err);
/// Throws errno's Error, with that hint. `path`: of the file whose owner could not be set.
[[noreturn]] void throw_owner_error(const std::string& path);

struct IdRange {
  uint64_t first = 0;
  uint64_t count = 0;
  bool operator==(const IdRange&) const = default;
};

/// The ranges that a file in subuid(5)'s format grants to a user, by name or by number, in the
/// file's order. Lines that are not in the format are skipped.
std::vector<IdRange> subordinate_ids(std::string_view file, const std::string& user, uint64_t uid);

}  // namespace lade
