// Descriptors that a process inherited and that what it becomes shall not have.
#pragma once

namespace lade::sys {

/// close_range(2), or what it does one by one where there is none (Linux 5.8, some containers).
/// System calls only, so a child of vfork(2) may call it, too.
void close_descriptors(unsigned first, unsigned last) noexcept;

}  // namespace lade::sys
