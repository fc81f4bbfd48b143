// The fault-injecting proxy as a program: fault_proxy UPSTREAM [ADDRESS]. Prints its own host:port
// and serves until its standard input ends.
#include <csignal>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.hpp"
#include "tests/support/fault_proxy.hpp"

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: fault_proxy UPSTREAM [ADDRESS]\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  try {
    const lade::test::FaultProxy proxy(argv[1], argc > 2 ? argv[2] : "127.0.0.1");
    fmt::print("{}\n", proxy.host());
    std::fflush(stdout);
    char byte = 0;
    while (::read(STDIN_FILENO, &byte, 1) > 0) {
    }
  } catch (const lade::Error& error) {
    fmt::print(stderr, "{}\n", error.message());
    return 1;
  }
  return 0;
}
