#include "solver/source/stat_cache.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/wire.hpp"

namespace lade {
namespace {

constexpr std::string_view kMagic = "lade stat cache 3";
constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;
// Two ticks of the coarsest clock a kernel stamps files with (HZ=100).
constexpr int64_t kTicks = 20'000'000;
// The coarsest times are FAT's, of every other second.
constexpr int64_t kCoarseTicks = 2 * kNanosecondsPerSecond + kTicks;
constexpr int64_t kLongAhead = 3600 * kNanosecondsPerSecond;
constexpr uint64_t kMaxBytes = 512u << 20;
constexpr size_t kLeastBytesPerFile = 8 * 8;  // what bounds a false count

int64_t nanoseconds(const timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * kNanosecondsPerSecond + time.tv_nsec;
}

KnownFile read_file(WireReader& reader) {
  KnownFile file;
  file.path = reader.text();
  file.stamp = {reader.number<uint64_t>(), reader.number<uint64_t>(), reader.number<int64_t>(),
                reader.number<int64_t>()};
  file.filesystem = reader.number();
  file.link_target = reader.text();
  const size_t xattrs = reader.count();
  for (size_t i = 0; i < xattrs; ++i) {
    std::string name(reader.text());
    file.xattrs.push_back({std::move(name), std::string(reader.text())});
  }
  if (reader.number<bool>()) file.content = reader.digest();
  return file;
}

void write_file(WireWriter& writer, const KnownFile& file) {
  writer.text(file.path).number(file.stamp.inode).number(file.stamp.size);
  writer.number(file.stamp.mtime_ns).number(file.stamp.ctime_ns).number(file.filesystem);
  writer.text(file.link_target);
  writer.number(file.xattrs.size());
  for (const auto& xattr : file.xattrs) writer.text(xattr.name).text(xattr.value);
  writer.number(!file.content.empty());
  if (!file.content.empty()) writer.digest(file.content);
}

}  // namespace

FileStamp FileStamp::of(const struct stat& info) {
  return {info.st_ino, static_cast<uint64_t>(info.st_size), nanoseconds(info.st_mtim),
          nanoseconds(info.st_ctim)};
}

bool FileStamp::is_settled(int64_t clock_ns, bool precise) const {
  // Given before the clock was set back by much: nothing is stamped so for as long.
  if (precise && ctime_ns > clock_ns + kLongAhead) return true;
  const bool fine = precise && ctime_ns % kNanosecondsPerSecond != 0;
  return ctime_ns <= clock_ns - (fine ? kTicks : kCoarseTicks);
}

StatCache::StatCache(const std::string& path) {
  try {
    auto bytes = sys::read_file(path, kMaxBytes);
    if (!bytes) return;
    bytes_ = std::move(*bytes);
    read(bytes_);
  } catch (const Error&) {
    known_ = {};
  }
}

void StatCache::read(std::string_view bytes) {
  WireReader reader(bytes);
  if (reader.text() != kMagic) return;
  const size_t count = reader.count();
  known_.files.reserve(std::min(count, bytes.size() / kLeastBytesPerFile));
  for (size_t i = 0; i < count; ++i) known_.files.push_back(read_file(reader));
  const size_t selections = reader.count();
  for (size_t i = 0; i < selections; ++i) {
    const Digest question = reader.digest();
    known_.selections[question] = reader.digest();
  }
  const size_t clocks = reader.count();
  if (clocks == 0 || reader.text() != boot_id()) return;
  for (size_t i = 0; i < clocks; ++i) {
    const auto filesystem = reader.number();
    const auto stamp = reader.number<int64_t>();
    known_.clocks[filesystem] = {stamp, reader.number<int64_t>()};
  }
}

const KnownFile* StatCache::find(std::string_view file, const FileStamp& stamp,
                                 uint64_t filesystem) {
  const auto& files = known_.files;
  if (cursor_ >= files.size() || files[cursor_].path != file) {
    if (by_path_.empty()) {
      by_path_.reserve(files.size());
      for (size_t i = 0; i < files.size(); ++i) by_path_.emplace(files[i].path, i);
    }
    const auto found = by_path_.find(file);
    if (found == by_path_.end()) return nullptr;
    cursor_ = found->second;
  }
  const KnownFile& known = files[cursor_++];
  return known.stamp == stamp && known.filesystem == filesystem ? &known : nullptr;
}

void StatCache::save(const std::string& path, const KnownTree& tree) {
  WireWriter writer;
  writer.text(kMagic).list(tree.files, write_file).number(tree.selections.size());
  for (const auto& [question, selection] : tree.selections) {
    writer.digest(question).digest(selection);
  }
  writer.number(tree.clocks.size());
  if (!tree.clocks.empty()) writer.text(boot_id());
  for (const auto& [filesystem, clock] : tree.clocks) {
    writer.number(filesystem).number(clock.stamp_ns).number(clock.uptime_ns);
  }
  try {
    sys::write_file_atomically(path, writer.str(), 0600);
  } catch (const Error&) {
    // The next build finds out again.
  }
}

}  // namespace lade
