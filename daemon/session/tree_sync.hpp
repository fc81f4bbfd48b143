// Directories over a session: fsutil's packet protocol, both ways.
//
// The sender walks its tree and sends a stat of each entry, in order; the receiver asks by number
// for the contents that it wants and gets them in pieces, an empty one being the end; a fin from
// each side ends it. What comes from a client is not believed: paths must be clean, relative and in
// order, and what they lie below a directory that was sent before.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "snapshotter/tree/layer_index.hpp"

namespace fsutil::types {
class Packet;
class Stat;
}  // namespace fsutil::types

namespace lade {

/// One side's view of the stream. read() and write() may be called from two threads, each from one
/// at a time; both give false once the other side is gone.
class PacketStream {
 public:
  virtual ~PacketStream() = default;
  virtual bool read(fsutil::types::Packet& packet) = 0;
  virtual bool write(const fsutil::types::Packet& packet) = 0;
};

/// Told how many bytes have come so far.
using SyncProgress = std::function<void(uint64_t bytes)>;

/// A copy of a client's directory, kept so that the next time only changes cross. Held by one owner
/// at a time; another one that comes meanwhile gets a copy of its own.
class SyncedDirectory {
 public:
  /// Takes a free copy of `key` below `root`, or a new one. Throws Error.
  static SyncedDirectory take(const std::string& root, const std::string& key);
  SyncedDirectory(SyncedDirectory&&) noexcept = default;
  SyncedDirectory& operator=(SyncedDirectory&&) = delete;

  std::string path() const { return directory_ + "/tree"; }

  /// Brings it to what the other side has. After an Error (or a crash) the next one starts from
  /// nothing. Returns how many bytes of contents came.
  uint64_t receive(PacketStream& stream, const SyncProgress& progress);
  /// The next time everything crosses.
  void forget();

  /// Keeps a text beside the copy, until the next one.
  void remember(const std::string& text);
  /// What was remembered of a copy of `key`; empty if there is none.
  static std::string remembered(const std::string& root, const std::string& key);

 private:
  SyncedDirectory(std::string directory, UniqueFd lock)
      : directory_(std::move(directory)), lock_(std::move(lock)) {}

  std::string directory_;
  UniqueFd lock_;
};

/// Receives into memory what has one of these paths, symlinks to others of what is sent followed.
/// Throws Error for more than `limit` bytes.
std::map<std::string, std::string> receive_files(PacketStream& stream,
                                                 const std::vector<std::string>& paths,
                                                 uint64_t limit);

/// What send_tree() sends: entries in compare_paths() order, without the root.
struct TreeToSend {
  const std::vector<Entry>& entries;
  std::function<UniqueFd(const Entry&)> open;
};

/// Throws Error with the receiver's words if it fails.
void send_tree(PacketStream& stream, const TreeToSend& tree, const SyncProgress& progress);

}  // namespace lade
