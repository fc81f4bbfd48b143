// Single files of a client's directory, received into memory.
#include <optional>
#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "daemon/session/go_stat.hpp"
#include "daemon/session/tree_receiver.hpp"

namespace lade {
namespace {

using tree::has_data;
using tree::Stat;

constexpr int kMaxSymlinks = 40;

class MemoryReceiver : public tree::Receiver {
 public:
  MemoryReceiver(PacketStream& stream, const std::vector<std::string>& paths, uint64_t limit)
      : Receiver(stream), paths_(paths), limit_(limit) {}

  std::map<std::string, std::string> take() {
    std::map<std::string, std::string> out;
    for (const auto& [path, id] : wanted_) out[path] = contents_[id];
    return out;
  }

 private:
  void entry(const Stat& stat, uint32_t id) override {
    if (has_data(stat)) {
      files_[stat.path()] = id;
    } else if ((stat.mode() & kGoType) == kGoSymlink) {
      links_[stat.path()] = stat.linkname();
    }
  }

  /// Only now is it known where links lead.
  void all_listed() override {
    for (const auto& path : paths_) {
      const auto id = resolve(path);
      if (!id) continue;
      wanted_[path] = *id;
      if (waiting_.insert(*id).second) request(*id);
    }
  }

  std::optional<uint32_t> resolve(const std::string& path) const {
    std::string at = clean_path("/" + path).substr(1);
    for (int links = 0; links < kMaxSymlinks; ++links) {
      if (const auto file = files_.find(at); file != files_.end()) return file->second;
      // The longest part of the path that is a symlink.
      std::string head = at;
      auto link = links_.find(head);
      while (link == links_.end() && !head.empty()) {
        head = parent_of(head);
        link = links_.find(head);
      }
      if (link == links_.end()) return std::nullopt;
      const std::string rest = at.substr(head.size());
      at = clean_path(join_path("/" + std::string(parent_of(head)), link->second) + rest).substr(1);
    }
    return std::nullopt;
  }

  void data(uint32_t id, const std::string& bytes) override {
    if (!waiting_.contains(id)) {
      throw Error("the client sent contents that nobody asked for", ErrorKind::corrupt);
    }
    size_ += bytes.size();
    if (size_ > limit_) {
      throw Error(fmt::format("a file that is to be read is larger than {} bytes", limit_));
    }
    contents_[id] += bytes;
    if (bytes.empty()) waiting_.erase(id);
  }

  bool waiting() const override { return !waiting_.empty(); }

  const std::vector<std::string>& paths_;
  uint64_t limit_;
  uint64_t size_ = 0;
  std::map<std::string, uint32_t> files_;
  std::map<std::string, std::string> links_;
  std::map<std::string, uint32_t> wanted_;  // by the path as asked for
  std::set<uint32_t> waiting_;
  std::map<uint32_t, std::string> contents_;
};

}  // namespace

std::map<std::string, std::string> receive_files(PacketStream& stream,
                                                 const std::vector<std::string>& paths,
                                                 uint64_t limit) {
  MemoryReceiver receiver(stream, paths, limit);
  receiver.run();
  return receiver.take();
}

}  // namespace lade
