#include "tests/support/daemon_program.hpp"

namespace lade::test {

const char* const kDaemonProgram = LADE_DAEMON;

}  // namespace lade::test
