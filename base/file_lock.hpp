// flock(2) that signals do not end.
#pragma once

#include <string_view>

namespace lade {

/// Waits for the lock. `operation` is LOCK_SH or LOCK_EX; `what` says in errors what is locked.
/// Throws Error.
void lock_file(int fd, int operation, std::string_view what);

}  // namespace lade
