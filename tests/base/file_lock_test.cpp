#include "base/file_lock.hpp"

#include <atomic>
#include <csignal>
#include <future>
#include <string>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"

namespace lade {
namespace {

volatile std::sig_atomic_t signals = 0;

/// For its life SIGUSR1 interrupts system calls and is counted.
class CountedSignal {
 public:
  CountedSignal() {
    struct sigaction action = {};
    action.sa_handler = [](int) { signals = signals + 1; };
    signals = 0;
    ::sigaction(SIGUSR1, &action, &before_);
  }
  ~CountedSignal() { ::sigaction(SIGUSR1, &before_, nullptr); }
  CountedSignal(const CountedSignal&) = delete;
  CountedSignal& operator=(const CountedSignal&) = delete;

 private:
  struct sigaction before_ = {};
};

/// Returns once the thread sleeps in the kernel.
void wait_until_asleep(pid_t thread) {
  const std::string path = "/proc/self/task/" + std::to_string(thread) + "/stat";
  for (;;) {
    const std::string stat = sys::read_file(path).value_or("");
    if (stat.find(") S ") != std::string::npos) return;
    std::this_thread::yield();
  }
}

TEST(FileLock, SignalsDoNotEndTheWait) {
  const CountedSignal counted;
  const TempDir dir = TempDir::create(::testing::TempDir());
  const std::string path = dir.path() + "/lock";
  const UniqueFd holder = sys::open(path, O_RDWR | O_CREAT, 0600);
  lock_file(holder.get(), LOCK_EX, "the file");

  std::promise<pid_t> id;
  std::atomic<bool> locked = false;
  std::string error;
  std::thread waiter([&] {
    const UniqueFd fd = sys::open(path, O_RDWR);
    id.set_value(::gettid());
    try {
      lock_file(fd.get(), LOCK_EX, "the file");
      locked = true;
    } catch (const Error& caught) {
      error = caught.what();
    }
  });
  const pid_t thread = id.get_future().get();
  for (int sent = 0; sent < 3; ++sent) {
    wait_until_asleep(thread);
    if (::pthread_kill(waiter.native_handle(), SIGUSR1) != 0) break;
    while (signals <= sent && error.empty()) std::this_thread::yield();
  }
  EXPECT_FALSE(locked);
  ::flock(holder.get(), LOCK_UN);
  waiter.join();
  EXPECT_EQ(error, "");
  EXPECT_TRUE(locked);
}

TEST(FileLock, SaysWhatCouldNotBeLocked) {
  try {
    lock_file(-1, LOCK_EX, "the moon");
    FAIL() << "locked nothing";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("could not lock the moon"), 0U) << error.what();
  }
}

}  // namespace
}  // namespace lade
