#include "solver/cache/step_lock.hpp"

#include <cerrno>
#include <utility>

#include <sys/file.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"

namespace lade {
namespace {

constexpr std::string_view kSucceeded = "succeeded";
constexpr std::string_view kFailed = "failed ";
constexpr size_t kMaxOutcome = 64 * 1024;

}  // namespace

StepLock::StepLock(const std::string& lock_dir, const Digest& key)
    : path_(lock_dir + "/step-" + key.hex()) {
  reopen();
}

StepLock::StepLock(StepLock&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::move(other.fd_)),
      owned_(std::exchange(other.owned_, false)) {}

StepLock::~StepLock() {
  if (owned_) ::unlink(path_.c_str());
}

void StepLock::reopen() {
  fd_ = sys::open(path_, O_RDWR | O_CREAT, 0600);
}

StepLock::Attempt StepLock::try_acquire() {
  if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK || errno == EINTR) return Attempt::busy;
    throw_errno("could not lock " + quoted(path_));
  }
  std::string outcome(kMaxOutcome, '\0');
  const ssize_t size = ::pread(fd_.get(), outcome.data(), outcome.size(), 0);
  outcome.resize(size > 0 ? static_cast<size_t>(size) : 0);
  const auto mine = sys::fstat(fd_.get());
  const auto there = sys::lstatat(AT_FDCWD, path_);
  if (there && there->st_ino == mine.st_ino && outcome.empty()) {
    owned_ = true;
    return Attempt::owned;
  }
  // The step ended while we waited. Later callers use a new file.
  reopen();
  if (outcome.starts_with(kFailed)) throw Error(outcome.substr(kFailed.size()));
  return Attempt::finished;
}

void StepLock::finish(const std::string& outcome) {
  if (!owned_) return;
  owned_ = false;
  ::unlink(path_.c_str());
  sys::write_all(fd_.get(), std::string_view(outcome).substr(0, kMaxOutcome));
  fd_.reset();
}

void StepLock::succeed() {
  finish(std::string(kSucceeded));
}
void StepLock::fail(const std::string& message) {
  finish(std::string(kFailed) + message);
}

}  // namespace lade
