#include "solver/ops/borrowed_files.hpp"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "base/cpu_pool.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "solver/ops/entry_metadata.hpp"

namespace lade {
namespace {

constexpr size_t kFilesAtOnce = 512;

void copy_file(int from, int into, const std::string& name, const Entry& entry) {
  const UniqueFd bytes = sys::openat(from, name, O_RDONLY | O_NOFOLLOW);
  const UniqueFd fd = sys::openat(into, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (sys::copy_data(bytes.get(), fd.get(), entry.size) != entry.size) {
    throw Error("an earlier layer lost a part of " + quoted(entry.path), ErrorKind::corrupt);
  }
  set_metadata(fd.get(), entry, entry.path);
  set_times(into, name, entry);
}

}  // namespace

struct BorrowedFiles::Batch {
  UniqueFd from;
  UniqueFd into;
  Borrowing how;
  std::vector<const Entry*> files;  // of the donor's index

  void run() const {
    for (const Entry* entry : files) {
      const std::string name = base_name(entry->path);
      // Among others, a file may have as many links as its filesystem allows already.
      if (how == Borrowing::link &&
          ::linkat(from.get(), name.c_str(), into.get(), name.c_str(), 0) == 0) {
        continue;
      }
      copy_file(from.get(), into.get(), name, *entry);
    }
  }
};

struct BorrowedFiles::Queue {
  std::mutex mutex;
  std::condition_variable idle;
  std::deque<std::unique_ptr<Batch>> waiting;
  int running = 0;
  std::exception_ptr failure;  // the first

  /// False if there was nothing to do.
  bool run_one() {
    std::unique_lock lock(mutex);
    if (waiting.empty()) return false;
    const auto batch = std::move(waiting.front());
    waiting.pop_front();
    ++running;
    lock.unlock();
    std::exception_ptr failed;
    try {
      batch->run();
    } catch (...) {
      failed = std::current_exception();
    }
    lock.lock();
    if (failed && !failure) failure = failed;
    if (--running == 0) idle.notify_all();
    return true;
  }

  /// For those that workers are at: what nobody has begun the caller has done itself, so that this
  /// takes no longer than one batch even if all workers wait here.
  void wait() {
    std::unique_lock lock(mutex);
    idle.wait(lock, [&] { return running == 0; });
  }
};

BorrowedFiles::BorrowedFiles(std::shared_ptr<const LayerIndex> donor, UniqueFd root, Borrowing how)
    : donor_(std::move(donor)),
      root_(std::move(root)),
      how_(how),
      queue_(std::make_shared<Queue>()) {}

BorrowedFiles::~BorrowedFiles() {
  {
    const std::lock_guard lock(queue_->mutex);
    queue_->waiting.clear();
  }
  queue_->wait();
}

const Entry* BorrowedFiles::find(const std::string& path) {
  const auto& entries = donor_->entries();
  const Entry* found =
      next_ < entries.size() && entries[next_].path == path ? &entries[next_] : donor_->find(path);
  if (found) next_ = static_cast<size_t>(found - entries.data()) + 1;
  return found;
}

bool BorrowedFiles::is_open(std::string_view directory) const {
  return batch_ && directory_ == directory;
}

bool BorrowedFiles::open(const std::string& directory, UniqueFd into) {
  hand_over();
  auto from = sys::open_in_root(root_.get(), directory.empty() ? "." : directory,
                                O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!from) return false;
  batch_ = std::make_unique<Batch>(Batch{std::move(*from), std::move(into), how_, {}});
  directory_ = directory;
  return true;
}

void BorrowedFiles::add(const Entry& entry) {
  batch_->files.push_back(&entry);
  if (batch_->files.size() < kFilesAtOnce) return;
  const UniqueFd& into = batch_->into;
  open(directory_, UniqueFd(sys::openat(into.get(), ".", O_RDONLY | O_DIRECTORY)));
}

void BorrowedFiles::finish() {
  hand_over();
  while (queue_->run_one()) {
  }
  queue_->wait();
  const std::lock_guard lock(queue_->mutex);
  if (queue_->failure) std::rethrow_exception(std::exchange(queue_->failure, nullptr));
}

void BorrowedFiles::hand_over() {
  const auto batch = std::move(batch_);
  if (!batch || batch->files.empty()) return;
  {
    const std::lock_guard lock(queue_->mutex);
    queue_->waiting.push_back(std::make_unique<Batch>(std::move(*batch)));
  }
  cpu_enqueue([queue = queue_] { queue->run_one(); });
}

}  // namespace lade
