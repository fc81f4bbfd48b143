// The same work in several processes at once.
#pragma once

#include <cstdio>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"

namespace lade::test {

/// Runs `body(number)` in `count` children of this process and waits for them; each must return
/// without an Error.
template <class Body>
void in_processes(int count, Body&& body) {
  std::vector<pid_t> children;
  for (int number = 0; number < count; ++number) {
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      int status = 1;
      try {
        body(number);
        status = 0;
      } catch (const Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
      }
      ::_exit(status);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
}

}  // namespace lade::test
