// Where the lade-daemon of this build is.
#pragma once

namespace lade::test {

extern const char* const kDaemonProgram;

}  // namespace lade::test
