// Directories over a session, with a client in memory.
#include "daemon/session/tree_sync.hpp"

#include <condition_variable>
#include <deque>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "daemon/proto/fsutil.pb.h"
#include "daemon/session/go_stat.hpp"
#include "tests/support/error_of.hpp"

namespace lade {
namespace {

using fsutil::types::Packet;
using fsutil::types::Stat;

/// Packets of one direction.
class Queue {
 public:
  void push(const Packet& packet) {
    const std::lock_guard lock(mutex_);
    packets_.push_back(packet);
    changed_.notify_all();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  bool pop(Packet& packet) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !packets_.empty(); });
    if (packets_.empty()) return false;
    packet = packets_.front();
    packets_.pop_front();
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Packet> packets_;
  bool closed_ = false;
};

struct End : PacketStream {
  Queue* in;
  Queue* out;
  bool read(Packet& packet) override { return in->pop(packet); }
  bool write(const Packet& packet) override {
    out->push(packet);
    return true;
  }
};

struct Wire {
  Queue up;
  Queue down;
  End client;
  End daemon;
  Wire() {
    client.in = &down;
    client.out = &up;
    daemon.in = &up;
    daemon.out = &down;
  }
};

Stat file(const std::string& path, int64_t size, int64_t time = 1'000'000'000) {
  Stat stat;
  stat.set_path(path);
  stat.set_mode(0644);
  stat.set_size(size);
  stat.set_modtime(time);
  return stat;
}

Stat directory(const std::string& path) {
  Stat stat;
  stat.set_path(path);
  stat.set_mode(0755 | kGoDir);
  stat.set_modtime(2'000'000'000);
  return stat;
}

Stat link_to(const std::string& path, const std::string& target) {
  Stat stat;
  stat.set_path(path);
  stat.set_mode(0777 | kGoSymlink);
  stat.set_linkname(target);
  return stat;
}

/// A client that has these entries, whose files hold their own path.
class Client {
 public:
  explicit Client(std::vector<Stat> entries) : entries_(std::move(entries)) {}

  std::vector<std::string> asked;

  void serve(PacketStream& stream) {
    Packet packet;
    packet.set_type(Packet::PACKET_STAT);
    for (const auto& stat : entries_) {
      *packet.mutable_stat() = stat;
      stream.write(packet);
    }
    packet.clear_stat();
    stream.write(packet);
    while (stream.read(packet)) {
      if (packet.type() == Packet::PACKET_FIN) {
        stream.write(packet);
        return;
      }
      if (packet.type() != Packet::PACKET_REQ) return;
      const std::string path = entries_.at(packet.id()).path();
      asked.push_back(path);
      Packet data;
      data.set_type(Packet::PACKET_DATA);
      data.set_id(packet.id());
      data.set_data(path);
      stream.write(data);
      data.clear_data();
      stream.write(data);
    }
  }

 private:
  std::vector<Stat> entries_;
};

class TreeSync : public testing::Test {
 protected:
  /// What crossed: the paths that were asked for.
  std::vector<std::string> sync(const std::vector<Stat>& entries) {
    Wire wire;
    Client client(entries);
    std::thread thread([&] {
      client.serve(wire.client);
      wire.up.close();
    });
    std::exception_ptr failure;
    try {
      SyncedDirectory::take(dir_.path(), "key").receive(wire.daemon, nullptr);
    } catch (...) {
      failure = std::current_exception();
    }
    wire.down.close();
    thread.join();
    if (failure) std::rethrow_exception(failure);
    return client.asked;
  }
  std::string tree() { return SyncedDirectory::take(dir_.path(), "key").path(); }
  std::string read(const std::string& path) {
    return sys::read_file(tree() + "/" + path).value_or("(missing)");
  }

  TempDir dir_ = TempDir::create(testing::TempDir());
};

TEST_F(TreeSync, BringsFilesDirectoriesAndLinks) {
  sync({directory("a"), file("a/b", 3), link_to("a/c", "../../outside"), file("d", 1)});
  EXPECT_EQ(read("a/b"), "a/b");
  EXPECT_EQ(read("d"), "d");
  char target[64] = {};
  EXPECT_GT(::readlink((tree() + "/a/c").c_str(), target, sizeof target - 1), 0);
  EXPECT_STREQ(target, "../../outside");
  struct stat info{};
  ASSERT_EQ(::stat((tree() + "/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mtim.tv_sec, 2);
}

TEST_F(TreeSync, AsksOnlyForWhatChanged) {
  const std::vector<Stat> before = {directory("a"), file("a/b", 3), file("c", 1), file("d", 1)};
  EXPECT_EQ(sync(before).size(), 3u);
  EXPECT_TRUE(sync(before).empty());
  EXPECT_EQ(sync({directory("a"), file("a/b", 3), file("c", 1, 5), file("d", 1)}),
            std::vector<std::string>{"c"});
}

TEST_F(TreeSync, AsksAgainForWhatCouldHaveChangedWithoutAnotherTime) {
  constexpr int64_t kSecond = 1'000'000'000;
  const int64_t now = now_ns();
  const int64_t whole = now - now % kSecond;
  const std::vector<Stat> entries = {
      file("a", 1, whole - 10 * kSecond),     file("b", 1, whole - 100 * kSecond),
      file("c", 1, whole - 10 * kSecond + 1), file("d", 1, (now + kSecond) | 1),
      file("e", 1, whole + 10'000 * kSecond), directory("f")};
  EXPECT_EQ(sync(entries).size(), 5u);
  EXPECT_EQ(sync(entries), (std::vector<std::string>{"a", "d"}));
  EXPECT_EQ(read("a"), "a");
}

TEST_F(TreeSync, RemovesWhatIsGone) {
  sync({directory("a"), directory("a/b"), file("a/b/c", 5), file("z", 1)});
  sync({file("a", 1)});
  EXPECT_EQ(read("a"), "a");
  EXPECT_EQ(read("z"), "(missing)");
}

TEST_F(TreeSync, AFailedTransferIsStartedAnew) {
  sync({file("a", 1), file("b", 1)});
  EXPECT_NE(error_of([&] { sync({file("a", 1), file("../x", 1)}); }), "");
  EXPECT_EQ(sync({file("a", 1), file("b", 1)}).size(), 2u);
}

TEST_F(TreeSync, ACopyThatIsInUseIsLeftAlone) {
  sync({file("a", 1)});
  const auto held = SyncedDirectory::take(dir_.path(), "key");
  const auto other = SyncedDirectory::take(dir_.path(), "key");
  EXPECT_NE(held.path(), other.path());
}

TEST_F(TreeSync, RefusesPathsThatLeadElsewhere) {
  for (const char* path : {"../x", "/x", "a/../../x", "a//b", ".", "..", "", "a/."}) {
    EXPECT_NE(error_of([&] { sync({directory("a"), file(path, 1)}); }), "") << path;
  }
  EXPECT_NE(error_of([&] { sync({file(std::string("a\0b", 3), 1)}); }), "");
}

TEST_F(TreeSync, RefusesToWriteThroughLinks) {
  const auto error = error_of([&] { sync({link_to("a", dir_.path()), file("a/x", 1)}); });
  EXPECT_NE(error.find("below no directory"), std::string::npos) << error;
  EXPECT_FALSE(sys::read_file(dir_.path() + "/x"));
}

TEST_F(TreeSync, RefusesDisorderAndDuplicates) {
  EXPECT_NE(error_of([&] { sync({file("b", 1), file("a", 1)}); }), "");
  EXPECT_NE(error_of([&] { sync({file("a", 1), file("a", 1)}); }), "");
}

TEST_F(TreeSync, RefusesHardLinksToElsewhere) {
  Stat stat = file("b", 1);
  stat.set_linkname("../../etc/passwd");
  EXPECT_NE(error_of([&] { sync({file("a", 1), stat}); }), "");
  stat.set_linkname("a");
  sync({file("a", 1), stat});
  EXPECT_EQ(read("b"), "a");
}

TEST_F(TreeSync, RefusesDevicesAndAbsurdSizes) {
  Stat device = file("a", 0);
  device.set_mode(0600 | kGoDevice | kGoCharDevice);
  EXPECT_NE(error_of([&] { sync({device}); }), "");
  EXPECT_NE(error_of([&] { sync({file("a", -1)}); }), "");
}

TEST_F(TreeSync, RefusesContentsNobodyAskedFor) {
  Wire wire;
  Packet packet;
  packet.set_type(Packet::PACKET_DATA);
  packet.set_id(7);
  packet.set_data("x");
  wire.client.write(packet);
  EXPECT_NE(
      error_of([&] { SyncedDirectory::take(dir_.path(), "other").receive(wire.daemon, nullptr); }),
      "");
}

TEST_F(TreeSync, AClientThatGoesIsAnError) {
  Wire wire;
  wire.up.close();
  EXPECT_NE(
      error_of([&] { SyncedDirectory::take(dir_.path(), "other").receive(wire.daemon, nullptr); }),
      "");
}

TEST_F(TreeSync, FilesInMemoryFollowLinks) {
  Wire wire;
  Client client({link_to("Dockerfile", "sub/real"), directory("sub"), file("sub/real", 8)});
  std::thread thread([&] {
    client.serve(wire.client);
    wire.up.close();
  });
  const auto files = receive_files(wire.daemon, {"Dockerfile", "absent"}, 1000);
  wire.down.close();
  thread.join();
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files.at("Dockerfile"), "sub/real");
}

TEST_F(TreeSync, FilesInMemoryAreBounded) {
  Wire wire;
  Client client({file("long-name", 9)});
  std::thread thread([&] {
    client.serve(wire.client);
    wire.up.close();
  });
  EXPECT_NE(error_of([&] { receive_files(wire.daemon, {"long-name"}, 3); }), "");
  wire.down.close();
  thread.join();
}

TEST_F(TreeSync, WhatIsSentArrivesAsItWas) {
  Wire wire;
  std::vector<Entry> entries(3);
  entries[0].path = "a";
  entries[0].type = EntryType::directory;
  entries[0].mode = 0755;
  entries[1].path = "a/file";
  entries[1].mode = 04711;
  entries[1].size = 5;
  entries[2].path = "link";
  entries[2].type = EntryType::symlink;
  entries[2].link_target = "a/file";
  const std::string source = dir_.path() + "/source";
  sys::write_file_atomically(source, "bytes");
  std::thread sender([&] {
    send_tree(wire.client, {entries, [&](const Entry&) { return sys::open(source, O_RDONLY); }},
              nullptr);
    wire.up.close();
  });
  SyncedDirectory::take(dir_.path(), "key").receive(wire.daemon, nullptr);
  sender.join();
  EXPECT_EQ(read("a/file"), "bytes");
  EXPECT_EQ(read("link"), "bytes");
  struct stat info{};
  ASSERT_EQ(::stat((tree() + "/a/file").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 04711u);
}

}  // namespace
}  // namespace lade
