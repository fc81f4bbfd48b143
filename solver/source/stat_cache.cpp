#include "solver/source/stat_cache.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/wire.hpp"

namespace lade {
namespace {

constexpr std::string_view kMagic = "lade stat cache 1";
// Two ticks of the coarsest clock a kernel stamps files with (HZ=100).
constexpr int64_t kRacyNanoseconds = 20'000'000;
constexpr uint64_t kMaxBytes = 512u << 20;

int64_t nanoseconds(const timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

FileStamp FileStamp::of(const struct stat& info) {
  return {info.st_ino, static_cast<uint64_t>(info.st_size), nanoseconds(info.st_mtim),
          nanoseconds(info.st_ctim)};
}

StatCache::StatCache(std::string path) : path_(std::move(path)) {
  try {
    const auto bytes = sys::read_file(path_, kMaxBytes);
    if (!bytes) return;
    WireReader reader(*bytes);
    if (reader.text() != kMagic) return;
    const size_t count = reader.count();
    known_.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      std::string file(reader.text());
      Known known;
      known.stamp = {reader.number<uint64_t>(), reader.number<uint64_t>(), reader.number<int64_t>(),
                     reader.number<int64_t>()};
      known.digest = reader.digest();
      known_.emplace(std::move(file), known);
    }
  } catch (const Error&) {
    known_.clear();
  }
}

std::optional<Digest> StatCache::find(const std::string& file, const FileStamp& stamp) const {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(file);
  if (found == known_.end() || found->second.stamp != stamp) return std::nullopt;
  return found->second.digest;
}

void StatCache::put(const std::string& file, const FileStamp& stamp, const Digest& digest,
                    int64_t hashed_at_ns) {
  const int64_t newest = std::max(stamp.mtime_ns, stamp.ctime_ns);
  const std::lock_guard lock(mutex_);
  if (newest > hashed_at_ns - kRacyNanoseconds) {
    changed_ = known_.erase(file) > 0 || changed_;
    return;
  }
  known_[file] = {stamp, digest};
  changed_ = true;
}

void StatCache::save() {
  const std::lock_guard lock(mutex_);
  if (!changed_) return;
  WireWriter writer;
  writer.text(kMagic).number(known_.size());
  for (const auto& [file, known] : known_) {
    writer.text(file).number(known.stamp.inode).number(known.stamp.size);
    writer.number(known.stamp.mtime_ns).number(known.stamp.ctime_ns).digest(known.digest);
  }
  try {
    sys::write_file_atomically(path_, writer.str(), 0600);
    changed_ = false;
  } catch (const Error&) {
    // The next build hashes again.
  }
}

}  // namespace lade
