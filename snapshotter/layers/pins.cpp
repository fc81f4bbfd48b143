#include "snapshotter/layers/pins.hpp"

#include <cerrno>

#include <fcntl.h>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"

namespace lade {
namespace {

constexpr off_t kMounted = off_t{1} << 60;
constexpr off_t kStarts = off_t{1} << 61;
constexpr off_t kEnd = off_t{1} << 62;

UniqueFd open_pins(const std::string& root) {
  return sys::open(root + "/locks/pins", O_RDWR | O_CREAT, 0600);
}

struct flock range(short type, off_t start, off_t length) {
  struct flock out{};
  out.l_type = type;
  out.l_whence = SEEK_SET;
  out.l_start = start;
  out.l_len = length;
  return out;
}

void lock_shared(int fd, off_t byte) {
  auto lock = range(F_RDLCK, byte, 1);
  while (::fcntl(fd, F_OFD_SETLKW, &lock) != 0) {
    if (errno != EINTR) throw_errno("could not pin a layer");
  }
}

}  // namespace

Pins::Pins(const std::string& root) : fd_(open_pins(root)) {
  lock_shared(fd_.get(), kStarts + now_ms());
}

void Pins::pin(int64_t layer) {
  const std::lock_guard lock(mutex_);
  if (pinned_.contains(layer)) return;
  lock_shared(fd_.get(), layer);
  pinned_.insert(layer);
}

bool Pins::hold_mounted(int64_t layer, bool wait) {
  if (wait) {
    lock_shared(fd_.get(), kMounted + layer);
    return true;
  }
  auto lock = range(F_RDLCK, kMounted + layer, 1);
  while (::fcntl(fd_.get(), F_OFD_SETLK, &lock) != 0) {
    if (errno == EAGAIN || errno == EACCES) return false;
    if (errno != EINTR) throw_errno("could not hold a layer");
  }
  return true;
}

std::optional<MountBar> MountBar::try_make(const std::string& root, int64_t layer) {
  UniqueFd fd = open_pins(root);
  auto lock = range(F_WRLCK, kMounted + layer, 1);
  while (::fcntl(fd.get(), F_OFD_SETLK, &lock) != 0) {
    if (errno == EAGAIN || errno == EACCES) return std::nullopt;
    if (errno != EINTR) throw_errno("could not bar a layer from being mounted");
  }
  return MountBar(std::move(fd));
}

void Pins::keep_only(const std::unordered_set<int64_t>& layers) {
  const std::lock_guard lock(mutex_);
  std::erase_if(pinned_, [&](int64_t layer) {
    if (layers.contains(layer)) return false;
    auto lock_range = range(F_UNLCK, layer, 1);
    ::fcntl(fd_.get(), F_OFD_SETLK, &lock_range);
    return true;
  });
}

std::optional<int64_t> Pins::oldest_other_start() const {
  std::optional<int64_t> oldest;
  // The kernel names some lock of the range, not the first: ask for what is before it. The locks
  // of this description do not count for itself.
  for (off_t end = kEnd;;) {
    auto lock = range(F_WRLCK, kStarts, end - kStarts);
    if (::fcntl(fd_.get(), F_OFD_GETLK, &lock) != 0) throw_errno("could not look for processes");
    if (lock.l_type == F_UNLCK) return oldest;
    if (lock.l_start <= kStarts) return 0;
    end = lock.l_start;
    oldest = end - kStarts;
  }
}

PinCheck::PinCheck(const std::string& root) : fd_(open_pins(root)) {}

bool PinCheck::try_claim(int64_t layer) {
  auto lock = range(F_WRLCK, layer, 1);
  while (::fcntl(fd_.get(), F_OFD_SETLK, &lock) != 0) {
    if (errno == EAGAIN || errno == EACCES) return false;
    if (errno != EINTR) throw_errno("could not claim a layer");
  }
  return true;
}

bool PinCheck::is_pinned(int64_t layer) const {
  auto lock = range(F_WRLCK, layer, 1);
  if (::fcntl(fd_.get(), F_OFD_GETLK, &lock) != 0) throw_errno("could not look for pins");
  return lock.l_type != F_UNLCK;
}

void PinCheck::release() {
  auto lock = range(F_UNLCK, 0, 0);
  ::fcntl(fd_.get(), F_OFD_SETLK, &lock);
}

}  // namespace lade
