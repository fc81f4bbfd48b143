#include "base/close_descriptors.hpp"

#include <functional>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lade {
namespace {

/// What `look` answers in a child, whose descriptors are its own.
int in_child(const std::function<int()>& look) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(look());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

// Once more without close_range(2), by ctest.
TEST(CloseDescriptors, ClosesThoseOfTheRangeAndNoOthers) {
  EXPECT_EQ(in_child([] {
              constexpr int first = 50;
              constexpr int last = 1000;
              for (int fd = first; fd <= last; ++fd) {
                if (::dup2(STDERR_FILENO, fd) != fd) return 1;
              }
              sys::close_descriptors(first + 1, last - 1);
              for (int fd = first + 1; fd < last; ++fd) {
                if (is_open(fd)) return 2;
              }
              return is_open(first) && is_open(last) && is_open(STDERR_FILENO) ? 0 : 3;
            }),
            0);
}

TEST(CloseDescriptors, ARangeMayHaveNoEnd) {
  EXPECT_EQ(in_child([] {
              for (const int fd : {60, 61, 1000}) {
                if (::dup2(STDERR_FILENO, fd) != fd) return 1;
              }
              sys::close_descriptors(61, ~0U);
              return is_open(60) && !is_open(61) && !is_open(1000) ? 0 : 2;
            }),
            0);
}

}  // namespace
}  // namespace lade
