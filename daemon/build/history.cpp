#include "daemon/build/history.hpp"

#include <algorithm>
#include <chrono>

#include <fcntl.h>
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "daemon/proto/control.pb.h"

namespace lade {
namespace {

namespace api = moby::buildkit::v1;

constexpr size_t kKept = 50;         // ended builds that nobody pinned
constexpr size_t kMaxEvents = 1000;  // for listeners that are behind
constexpr auto kHistoryLookAround = std::chrono::milliseconds(100);
constexpr size_t kMaxRef = 128;
/// As BuildKit spells it.
constexpr const char* kStatusType = "application/vnd.googeapis.google.rpc.status+proto";

/// A client's name for a build becomes a file's.
bool is_sound(const std::string& ref) {
  return !ref.empty() && ref.size() <= kMaxRef && ref[0] != '.' &&
         std::all_of(ref.begin(), ref.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

}  // namespace

struct History::Entry {
  api::BuildHistoryRecord record;
  std::shared_ptr<Journal> journal;  // while it runs
  bool internal = false;
};

History::History(const std::string& root) : root_(root) {
  sys::make_dirs(root_, 0700);
  const UniqueFd dir = sys::open(root_, O_RDONLY | O_DIRECTORY);
  for (const auto& name : sys::list_dir(dir.get())) {
    const auto bytes = sys::read_file(root_ + "/" + name + "/record");
    auto entry = std::make_unique<Entry>();
    if (!bytes || !entry->record.ParseFromString(*bytes) || entry->record.ref() != name) {
      sys::remove_tree(dir.get(), name);  // of a daemon that died
      continue;
    }
    entries_[name] = std::move(entry);
  }
}

History::~History() = default;

std::string History::directory(const std::string& ref) const {
  return root_ + "/" + ref;
}

std::string History::error_file(const std::string& ref) const {
  return directory(ref) + "/error";
}

void History::store(const Entry& entry) const {
  sys::write_file_atomically(directory(entry.record.ref()) + "/record",
                             entry.record.SerializeAsString(), 0600);
}

std::shared_ptr<Journal> History::start(const api::BuildHistoryRecord& record, bool internal) {
  const std::string& ref = record.ref();
  if (!is_sound(ref)) throw Error("the build's reference " + lade::quoted(ref) + " is not usable");
  const std::lock_guard lock(mutex_);
  if (entries_.contains(ref)) throw Error("the build " + lade::quoted(ref) + " exists already");
  sys::make_dirs(directory(ref), 0700);
  auto entry = std::make_unique<Entry>();
  entry->record = record;
  entry->internal = internal;
  entry->journal = std::make_shared<Journal>(directory(ref) + "/journal");
  const auto journal = entry->journal;
  announce_locked(api::STARTED, *entry);
  entries_[ref] = std::move(entry);
  changed_.notify_all();
  return journal;
}

void History::complete(const api::BuildHistoryRecord& record, const std::string& error_status) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(record.ref());
  if (found == entries_.end()) return;
  Entry& entry = *found->second;
  const auto counts = entry.journal->counts();
  entry.record = record;
  entry.record.set_numtotalsteps(counts.total);
  entry.record.set_numcompletedsteps(counts.completed);
  entry.record.set_numcachedsteps(counts.cached);
  entry.record.set_numwarnings(counts.warnings);
  entry.record.set_generation(1);
  if (!error_status.empty() && !entry.internal) {
    sys::write_file_atomically(error_file(record.ref()), error_status, 0600);
    auto& external = *entry.record.mutable_externalerror();
    external.set_media_type(kStatusType);
    external.set_digest(Digest::of(error_status).str());
    external.set_size(static_cast<int64_t>(error_status.size()));
  }
  entry.journal.reset();
  announce_locked(api::COMPLETE, entry);
  if (entry.internal) {
    remove_locked(record.ref());
  } else {
    store(entry);
    trim_locked();
  }
  changed_.notify_all();
}

void History::remove_locked(const std::string& ref) {
  const UniqueFd dir = sys::open(root_, O_RDONLY | O_DIRECTORY);
  sys::remove_tree(dir.get(), ref);
  entries_.erase(ref);
}

void History::trim_locked() {
  std::vector<std::pair<int64_t, std::string>> old;
  for (const auto& [ref, entry] : entries_) {
    if (entry->journal || entry->record.pinned()) continue;
    old.emplace_back(entry->record.completedat().seconds(), ref);
  }
  if (old.size() <= kKept) return;
  std::sort(old.begin(), old.end());
  for (size_t i = 0; i < old.size() - kKept; ++i) remove_locked(old[i].second);
}

void History::announce_locked(int type, const Entry& entry) {
  if (entry.internal) return;
  api::BuildHistoryEvent event;
  event.set_type(static_cast<api::BuildHistoryEventType>(type));
  *event.mutable_record() = entry.record;
  events_.emplace_back(next_event_++, event.SerializeAsString());
  if (events_.size() > kMaxEvents) events_.pop_front();
}

std::shared_ptr<Journal> History::running_journal(const std::string& ref) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(ref);
  return found == entries_.end() ? nullptr : found->second->journal;
}

std::string History::ended_journal(const std::string& ref) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(ref);
  if (found == entries_.end() || found->second->journal) return {};
  return directory(ref) + "/journal";
}

std::vector<Digest> History::blobs() const {
  const std::lock_guard lock(mutex_);
  std::vector<Digest> out;
  for (const auto& [ref, entry] : entries_) {
    if (entry->record.has_externalerror()) {
      out.push_back(Digest::parse(entry->record.externalerror().digest()));
    }
  }
  return out;
}

std::optional<UniqueFd> History::open_blob(const Digest& digest) const {
  const std::string wanted = digest.str();
  const std::lock_guard lock(mutex_);
  for (const auto& [ref, entry] : entries_) {
    if (entry->record.externalerror().digest() == wanted) {
      return sys::try_openat(AT_FDCWD, error_file(ref), O_RDONLY | O_NOFOLLOW);
    }
  }
  return std::nullopt;
}

void History::update(const std::string& ref, bool pinned, bool remove) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(ref);
  if (found == entries_.end()) {
    throw Error(fmt::format("there is no record of the build {}", lade::quoted(ref)),
                ErrorKind::not_found);
  }
  Entry& entry = *found->second;
  if (remove) {
    if (entry.journal) throw Error("the build " + lade::quoted(ref) + " has not ended");
    announce_locked(api::DELETED, entry);
    remove_locked(ref);
  } else {
    entry.record.set_pinned(pinned);
    entry.record.set_generation(entry.record.generation() + 1);
    if (!entry.journal) {
      store(entry);
      announce_locked(api::COMPLETE, entry);
    }
  }
  changed_.notify_all();
}

void History::listen(const api::BuildHistoryRequest& request, const Send& send,
                     const std::function<bool()>& stop) {
  std::unique_lock lock(mutex_);
  const auto wanted = [&](const api::BuildHistoryRecord& record) {
    return request.ref().empty() || record.ref() == request.ref();
  };
  std::vector<api::BuildHistoryEvent> now;
  for (const auto& [ref, entry] : entries_) {
    if (!wanted(entry->record) || entry->internal) continue;
    if (request.activeonly() && !entry->journal) continue;
    api::BuildHistoryEvent event;
    event.set_type(entry->journal ? api::STARTED : api::COMPLETE);
    *event.mutable_record() = entry->record;
    now.push_back(std::move(event));
  }
  // Newest first, of which a limit keeps the first.
  std::sort(now.begin(), now.end(), [](const auto& a, const auto& b) {
    return a.record().createdat().seconds() > b.record().createdat().seconds();
  });
  if (request.limit() > 0 && now.size() > static_cast<size_t>(request.limit())) {
    now.resize(static_cast<size_t>(request.limit()));
  }
  uint64_t next = next_event_;
  lock.unlock();
  for (const auto& event : now) {
    if (!send(event)) return;
  }
  if (request.earlyexit()) return;
  lock.lock();
  while (!stop()) {
    std::vector<std::string> fresh;
    for (const auto& [number, bytes] : events_) {
      if (number >= next) fresh.push_back(bytes);
    }
    next = next_event_;
    lock.unlock();
    for (const auto& bytes : fresh) {
      api::BuildHistoryEvent event;
      if (!event.ParseFromString(bytes) || !wanted(event.record())) continue;
      if (!send(event)) return;
    }
    lock.lock();
    if (next == next_event_) changed_.wait_for(lock, kHistoryLookAround);
  }
}

void History::wake() {
  changed_.notify_all();
}

}  // namespace lade
