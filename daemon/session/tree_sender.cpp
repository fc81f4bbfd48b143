// A directory on its way to a client.
#include <optional>
#include <thread>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "daemon/proto/fsutil.pb.h"
#include "daemon/session/go_stat.hpp"
#include "daemon/session/tree_sync.hpp"

namespace lade {
namespace {

using fsutil::types::Packet;

constexpr size_t kPieceSize = 32u << 10;

class Sender {
 public:
  Sender(PacketStream& stream, const TreeToSend& tree, const SyncProgress& progress)
      : stream_(stream), tree_(tree), progress_(progress) {
    for (const Entry& entry : tree.entries) {
      // fsutil has no word for sockets.
      if (entry.type != EntryType::socket) entries_.push_back(&entry);
    }
  }

  void run() {
    std::exception_ptr failure;
    std::thread lister([&] {
      try {
        list();
      } catch (...) {
        failure = std::current_exception();
      }
    });
    std::optional<Error> ended;
    try {
      serve();
    } catch (const Error& error) {
      ended = error;
    }
    lister.join();
    if (ended) throw *ended;
    if (failure) std::rethrow_exception(failure);
  }

 private:
  void list() {
    std::map<uint32_t, const std::string*> links;  // first path of each hard link
    for (const Entry* listed : entries_) {
      const Entry& entry = *listed;
      Packet packet;
      packet.set_type(Packet::PACKET_STAT);
      auto& stat = *packet.mutable_stat();
      put_stat(entry, entry.path, stat);
      if (entry.hardlink_group != 0) {
        const auto [first, is_first] = links.try_emplace(entry.hardlink_group, &entry.path);
        if (!is_first) {
          stat.set_linkname(*first->second);
          stat.set_size(0);
        }
      }
      if (!write(packet)) return;
    }
    Packet last;
    last.set_type(Packet::PACKET_STAT);
    write(last);
  }

  void serve() {
    Packet packet;
    while (stream_.read(packet)) {
      switch (packet.type()) {
        case Packet::PACKET_ERR:
          throw Error("error from receiver: " + packet.data());
        case Packet::PACKET_REQ:
          send_file(packet.id());
          break;
        case Packet::PACKET_FIN: {
          Packet fin;
          fin.set_type(Packet::PACKET_FIN);
          write(fin);
          return;
        }
        default:
          break;
      }
    }
    throw Error("the client ended the transfer of a directory", ErrorKind::unavailable);
  }

  void send_file(uint32_t id) {
    if (id >= entries_.size() || entries_[id]->type != EntryType::regular) {
      throw Error("the client asked for a file that there is not", ErrorKind::corrupt);
    }
    const UniqueFd file = tree_.open(*entries_[id]);
    std::string buffer(kPieceSize, '\0');
    Packet packet;
    packet.set_type(Packet::PACKET_DATA);
    packet.set_id(id);
    for (;;) {
      const size_t size = sys::read_some(file.get(), buffer.data(), buffer.size());
      packet.set_data(buffer.substr(0, size));
      if (!write(packet)) throw Error("the client is gone", ErrorKind::unavailable);
      if (size == 0) return;
      sent_ += size;
      if (progress_) progress_(sent_);
    }
  }

  bool write(const Packet& packet) {
    const std::lock_guard lock(mutex_);
    return stream_.write(packet);
  }

  PacketStream& stream_;
  const TreeToSend& tree_;
  SyncProgress progress_;
  std::vector<const Entry*> entries_;  // by their numbers
  std::mutex mutex_;                   // of writing
  uint64_t sent_ = 0;
};

}  // namespace

void send_tree(PacketStream& stream, const TreeToSend& tree, const SyncProgress& progress) {
  Sender(stream, tree, progress).run();
}

}  // namespace lade
