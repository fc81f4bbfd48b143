// A block device of the machine's that is a test's own: a file as a loop device.
#pragma once

#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/sys.hpp"
#include "base/unique_fd.hpp"

namespace lade::test {

class LoopDisk {
 public:
  static constexpr const char* content = "what lies on a disk";

  /// Makes the file. False where no loop device can be had.
  explicit LoopDisk(std::string file) : file_(std::move(file)) {
    std::string bytes = content;
    bytes.resize(64 << 10);
    const UniqueFd backing = sys::open(file_, O_RDWR | O_CREAT | O_TRUNC, 0600);
    sys::write_all(backing.get(), bytes);
    const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    // Another process may take the free one first.
    for (int i = 0; control && i < 20 && !fd_; ++i) {
      const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
      UniqueFd fd(::open(fmt::format("/dev/loop{}", number).c_str(), O_RDWR | O_CLOEXEC));
      if (fd && ::ioctl(fd.get(), LOOP_SET_FD, backing.get()) == 0) fd_ = std::move(fd);
    }
  }
  LoopDisk(const LoopDisk&) = delete;
  LoopDisk& operator=(const LoopDisk&) = delete;
  ~LoopDisk() {
    if (fd_) ::ioctl(fd_.get(), LOOP_CLR_FD);
  }

  explicit operator bool() const { return bool(fd_); }
  dev_t number() const { return sys::fstat(fd_.get()).st_rdev; }
  /// As mknod(1) takes it.
  std::string node() const { return fmt::format("b {} {}", major(number()), minor(number())); }

  /// What lies on it now, as long as what lay there first.
  std::string now() const {
    ::fsync(fd_.get());
    std::string text = sys::read_file(file_).value_or("");
    text.resize(std::char_traits<char>::length(content));
    return text;
  }

 private:
  std::string file_;
  UniqueFd fd_;
};

}  // namespace lade::test
