#include "solver/source/stat_cache.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/wire.hpp"

namespace lade {
namespace {

constexpr std::string_view kMagic = "lade stat cache 2";
// Two ticks of the coarsest clock a kernel stamps files with (HZ=100).
constexpr int64_t kRacyNanoseconds = 20'000'000;
constexpr uint64_t kMaxBytes = 512u << 20;
constexpr size_t kLeastBytesPerFile = 8 * 7;  // what bounds a false count

int64_t nanoseconds(const timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

KnownFile read_file(WireReader& reader) {
  KnownFile file;
  file.path = reader.text();
  file.stamp = {reader.number<uint64_t>(), reader.number<uint64_t>(), reader.number<int64_t>(),
                reader.number<int64_t>()};
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
  writer.number(file.stamp.mtime_ns).number(file.stamp.ctime_ns).text(file.link_target);
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

bool FileStamp::is_settled(int64_t now_ns) const {
  return std::max(mtime_ns, ctime_ns) <= now_ns - kRacyNanoseconds;
}

StatCache::StatCache(const std::string& path) {
  try {
    auto bytes = sys::read_file(path, kMaxBytes);
    if (!bytes) return;
    bytes_ = std::move(*bytes);
    read(bytes_);
  } catch (const Error&) {
    files_.clear();
    selections_.clear();
  }
}

void StatCache::read(std::string_view bytes) {
  WireReader reader(bytes);
  if (reader.text() != kMagic) return;
  const size_t count = reader.count();
  files_.reserve(std::min(count, bytes.size() / kLeastBytesPerFile));
  for (size_t i = 0; i < count; ++i) files_.push_back(read_file(reader));
  const size_t selections = reader.count();
  for (size_t i = 0; i < selections; ++i) {
    const Digest question = reader.digest();
    selections_[question] = reader.digest();
  }
}

const KnownFile* StatCache::find(std::string_view file, const FileStamp& stamp) {
  if (cursor_ >= files_.size() || files_[cursor_].path != file) {
    if (by_path_.empty()) {
      by_path_.reserve(files_.size());
      for (size_t i = 0; i < files_.size(); ++i) by_path_.emplace(files_[i].path, i);
    }
    const auto found = by_path_.find(file);
    if (found == by_path_.end()) return nullptr;
    cursor_ = found->second;
  }
  const KnownFile& known = files_[cursor_++];
  return known.stamp == stamp ? &known : nullptr;
}

void StatCache::save(const std::string& path, const std::vector<KnownFile>& files,
                     const Selections& selections) {
  WireWriter writer;
  writer.text(kMagic).list(files, write_file).number(selections.size());
  for (const auto& [question, selection] : selections) writer.digest(question).digest(selection);
  try {
    sys::write_file_atomically(path, writer.str(), 0600);
  } catch (const Error&) {
    // The next build finds out again.
  }
}

}  // namespace lade
