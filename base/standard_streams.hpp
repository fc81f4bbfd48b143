// The descriptors 0, 1 and 2.
#pragma once

namespace lade {

/// Opens /dev/null where this process was started with standard input, output or error closed: the
/// next descriptors that it opens would take their numbers, and get what is printed. Writing to a
/// standard output that was closed stays an error (EBADF). To be called first of all.
void fill_standard_streams();

}  // namespace lade
