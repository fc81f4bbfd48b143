#include "snapshotter/layers/durability.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include <unistd.h>

#include "base/error.hpp"

namespace lade {

struct DurabilitySweep::Shared {
  UniqueFd filesystem;
  std::function<std::unique_ptr<Database>()> connect;
  std::chrono::milliseconds delay;

  std::mutex mutex;
  std::condition_variable changed;
  bool wanted = false;  // guarded by mutex, as the rest
  bool stopped = false;
  bool syncing = false;  // nobody is to wait for the thread now
  std::thread thread;    // the owner's alone
};

DurabilitySweep::DurabilitySweep(UniqueFd filesystem,
                                 std::function<std::unique_ptr<Database>()> connect,
                                 std::chrono::milliseconds delay)
    : shared_(std::make_shared<Shared>()) {
  shared_->filesystem = std::move(filesystem);
  shared_->connect = std::move(connect);
  shared_->delay = delay;
}

DurabilitySweep::~DurabilitySweep() {
  bool syncing = false;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopped = true;
    syncing = shared_->syncing;
  }
  shared_->changed.notify_all();
  std::thread thread = std::move(shared_->thread);
  if (!thread.joinable()) return;
  if (syncing) {
    thread.detach();
  } else {
    thread.join();
  }
}

void DurabilitySweep::note_commit() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->wanted = true;
    if (!shared_->thread.joinable()) {
      shared_->thread = std::thread([shared = shared_] { run(shared); });
    }
  }
  shared_->changed.notify_all();
}

void DurabilitySweep::run(const std::shared_ptr<Shared>& shared) {
  std::unique_lock lock(shared->mutex);
  for (;;) {
    shared->changed.wait(lock, [&] { return shared->wanted || shared->stopped; });
    shared->changed.wait_for(lock, shared->delay, [&] { return shared->stopped; });
    if (shared->stopped) return;
    shared->wanted = false;
    lock.unlock();
    try {
      sweep(*shared);
    } catch (const Error&) {
      // The rows stay as they are; a later sweep or build marks them.
    }
    lock.lock();
    if (shared->stopped) return;
  }
}

void DurabilitySweep::sweep(Shared& shared) {
  std::vector<int64_t> rows;
  {
    const auto database = shared.connect();
    auto volatile_rows = database->prepare("SELECT id FROM layers WHERE durable = 0");
    while (volatile_rows.step()) rows.push_back(volatile_rows.integer(0));
  }
  if (rows.empty()) return;
  const auto set_syncing = [&](bool syncing) {
    const std::lock_guard lock(shared.mutex);
    shared.syncing = syncing;
    return !shared.stopped;
  };
  if (!set_syncing(true)) return;
  const bool synced = ::syncfs(shared.filesystem.get()) == 0;
  // From here on the owner waits for us again, unless it has gone already.
  if (!set_syncing(false) || !synced) return;
  const auto database = shared.connect();
  database->transaction([&] {
    for (const int64_t id : rows) {
      // Files that a layer is given while this goes on have not been synced.
      database
          ->prepare(
              "UPDATE layers SET durable = 1 WHERE id = ? AND NOT EXISTS("
              "SELECT 1 FROM shared_layers WHERE layer = id AND changing = 1)")
          .bind(id)
          .run();
    }
  });
}

}  // namespace lade
