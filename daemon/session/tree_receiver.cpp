#include "daemon/session/tree_receiver.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "daemon/session/go_stat.hpp"

namespace lade::tree {
namespace {

constexpr size_t kMaxEntries = 4'000'000;
constexpr size_t kMaxPath = 4096;
constexpr size_t kMaxXattrs = 64u << 10;  // as the kernel's XATTR_SIZE_MAX

void check_stat(const Stat& stat) {
  const std::string& path = stat.path();
  if (path.empty() || path.size() > kMaxPath) refuse(stat, "is not a path");
  if (path.starts_with('/') || path.find('\0') != std::string::npos) refuse(stat, "is not a path");
  for (const auto& part : split(path, '/')) {
    if (part.empty() || part == "." || part == ".." || part.size() > 255) {
      refuse(stat, "is not a clean relative path");
    }
  }
  if (stat.size() < 0) refuse(stat, "has a negative size");
  if (stat.linkname().size() > kMaxPath || stat.linkname().find('\0') != std::string::npos) {
    refuse(stat, "links to what is not a path");
  }
  size_t xattrs = 0;
  for (const auto& [name, value] : stat.xattrs()) xattrs += name.size() + value.size();
  if (xattrs > kMaxXattrs) refuse(stat, "has too many extended attributes");
}

}  // namespace

bool is_directory(const Stat& stat) {
  return (stat.mode() & kGoType) == kGoDir;
}

bool has_data(const Stat& stat) {
  return (stat.mode() & kGoType) == 0;
}

void refuse(const Stat& stat, std::string_view why) {
  throw Error(fmt::format("the client sent {}, which {}", lade::quoted(stat.path()), why),
              ErrorKind::corrupt);
}

Requests::~Requests() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Requests::send(Packet packet) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(packet));
  }
  changed_.notify_one();
}

void Requests::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stop_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const Packet packet = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    // A stream that ended shows where it is read.
    const bool sent = stream_.write(packet);
    lock.lock();
    if (!sent) queue_.clear();
  }
}

void Receiver::run() {
  try {
    receive();
    finish();
    send(Packet::PACKET_FIN);
    drain();
  } catch (const Error& error) {
    Packet packet;
    packet.set_type(Packet::PACKET_ERR);
    packet.set_data(error.message());
    requests_.send(std::move(packet));
    throw;
  }
}

void Receiver::request(uint32_t id) {
  Packet packet;
  packet.set_type(Packet::PACKET_REQ);
  packet.set_id(id);
  requests_.send(std::move(packet));
}

void Receiver::send(Packet::PacketType type) {
  Packet packet;
  packet.set_type(type);
  requests_.send(std::move(packet));
}

void Receiver::receive() {
  Packet packet;
  while (!listed_ || waiting()) {
    if (!stream_.read(packet)) {
      throw Error("the client ended the transfer of a directory", ErrorKind::unavailable);
    }
    switch (packet.type()) {
      case Packet::PACKET_ERR:
        throw Error("error from sender: " + packet.data());
      case Packet::PACKET_STAT:
        take_stat(packet);
        break;
      case Packet::PACKET_DATA:
        data(packet.id(), packet.data());
        break;
      default:
        throw Error("the client sent a packet that has no place here", ErrorKind::corrupt);
    }
  }
}

void Receiver::take_stat(const Packet& packet) {
  if (listed_) throw Error("the client sent an entry after the last", ErrorKind::corrupt);
  if (!packet.has_stat()) {
    listed_ = true;
    all_listed();
    return;
  }
  const Stat& stat = packet.stat();
  check_stat(stat);
  if (!last_.empty() && compare_paths(last_, stat.path()) >= 0) refuse(stat, "is out of order");
  last_ = stat.path();
  const std::string_view parent = parent_of(last_);
  while (!parents_.empty() && parents_.back() != parent) parents_.pop_back();
  if (!parent.empty() && parents_.empty()) refuse(stat, "is below no directory");
  if (is_directory(stat)) parents_.push_back(last_);
  if (++count_ > kMaxEntries) throw Error("the client sends too many files");
  entry(stat, static_cast<uint32_t>(count_ - 1));
}

/// Until the sender has ended its side.
void Receiver::drain() {
  Packet packet;
  while (stream_.read(packet)) {
    if (packet.type() == Packet::PACKET_ERR) throw Error("error from sender: " + packet.data());
  }
}

}  // namespace lade::tree
