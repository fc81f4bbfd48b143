// lade-daemon: speaks BuildKit's protocol, for docker buildx, buildctl and the like.
#include <csignal>

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/kernel.hpp"
#include "base/standard_streams.hpp"
#include "base/user_namespace.hpp"
#include "daemon/job/shared_executor.hpp"
#include "daemon/server/options.hpp"
#include "daemon/server/server.hpp"

int main(int argc, char** argv) {
  lade::become_zygote_if_asked(argc, argv);
  lade::fill_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);
  try {
    lade::require_kernel();
    const auto options = lade::read_options(argc, argv);
    if (!options) return 0;
    if (::geteuid() != 0) lade::become_root_of_namespace();
    // Before anything starts a thread.
    lade::ExecutorHost executor(
        {.network = {.deny = options->network_deny}, .pids = options->pids});
    return lade::serve(*options, executor);
  } catch (const lade::Error& error) {
    fmt::print(stderr, "ERROR: {}\n", error.message());
    if (!error.hint().empty()) fmt::print(stderr, "hint: {}\n", error.hint());
    return error.kind() == lade::ErrorKind::usage ? 2 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "ERROR: {}\n", error.what());
    return 1;
  }
}
