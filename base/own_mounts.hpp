// What a process does first in a mount namespace of its own.
#pragma once

namespace lade::sandbox {

/// Cuts the caller's mount namespace off from the host's: every mount in it becomes private, so
/// that what is mounted or unmounted here never happens there. Where lade runs in a chroot, the
/// chroot's tree becomes the whole of the namespace, since what lies outside has no name by which
/// it could be made private, and a step could climb out to it. The working directory is "/"
/// afterwards.
///
/// The namespace must be fresh (CLONE_NEWNS) and the caller single-threaded. Throws Error.
void own_mounts();

/// The same, with the namespace, for a child that shares its parent's memory until it executes
/// something (vfork(2)): nothing but system calls. What failed, as errno says why; null if all is
/// well.
const char* try_own_mounts() noexcept;

}  // namespace lade::sandbox
