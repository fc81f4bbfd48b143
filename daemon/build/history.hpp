// Builds that were: their journals and records, in STATE/history/, and who listens for new ones.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/unique_fd.hpp"
#include "daemon/job/journal.hpp"

namespace moby::buildkit::v1 {
class BuildHistoryRecord;
class BuildHistoryEvent;
class BuildHistoryRequest;
}  // namespace moby::buildkit::v1

namespace lade {

/// Thread-safe. Keeps the last builds, and those that are pinned.
class History {
 public:
  /// Reads what is there. Throws Error.
  explicit History(const std::string& root);
  ~History();

  /// A build begins; a record that is `internal` is not kept afterwards.
  std::shared_ptr<Journal> start(const moby::buildkit::v1::BuildHistoryRecord& record,
                                 bool internal);
  /// It has ended; the journal must be finished. `error_status` is the google.rpc.Status with all
  /// there is to say of how it failed, which the record then refers to; empty: it did not.
  void complete(const moby::buildkit::v1::BuildHistoryRecord& record,
                const std::string& error_status = {});

  /// The journal of a build that runs; null for others.
  std::shared_ptr<Journal> running_journal(const std::string& ref) const;
  /// Path of an ended build's journal; empty if there is none.
  std::string ended_journal(const std::string& ref) const;

  /// What records refer to, by digest.
  std::vector<Digest> blobs() const;
  /// nullopt if there is no such blob.
  std::optional<UniqueFd> open_blob(const Digest& digest) const;

  /// Pins, unpins or deletes. Throws Error(not_found).
  void update(const std::string& ref, bool pinned, bool remove);

  using Send = std::function<bool(const moby::buildkit::v1::BuildHistoryEvent&)>;
  /// What there is, then (unless the request wants no more) what comes, until `send` fails or
  /// `stop()`.
  void listen(const moby::buildkit::v1::BuildHistoryRequest& request, const Send& send,
              const std::function<bool()>& stop);

  /// Wakes listeners, which then look at their `stop()`.
  void wake();

 private:
  struct Entry;
  std::string directory(const std::string& ref) const;
  std::string error_file(const std::string& ref) const;
  void store(const Entry& entry) const;
  void remove_locked(const std::string& ref);
  void trim_locked();
  void announce_locked(int type, const Entry& entry);

  std::string root_;
  mutable std::mutex mutex_;  // guards what is below
  std::condition_variable changed_;
  std::map<std::string, std::unique_ptr<Entry>> entries_;
  std::deque<std::pair<uint64_t, std::string>> events_;  // number, serialized event
  uint64_t next_event_ = 1;
};

}  // namespace lade
