#include "solver/ops/ssh_forward.hpp"

#include <cstring>
#include <thread>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/event_loop.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"

namespace lade {
namespace {

std::string message(std::string_view body) {
  std::string out{0, 0, static_cast<char>(body.size() >> 8), static_cast<char>(body.size())};
  return out.append(body);
}

/// Bytes from `fd` until there are `size` of them or it ends.
std::string read_up_to(int fd, size_t size) {
  std::string out(size, '\0');
  size_t have = 0;
  while (have < size) {
    const ssize_t count = ::read(fd, out.data() + have, size - have);
    if (count <= 0) break;
    have += static_cast<size_t>(count);
  }
  out.resize(have);
  return out;
}

UniqueFd socket_at(const std::string& path, bool listening) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  if (listening) {
    EXPECT_EQ(::bind(fd.get(), name, sizeof address), 0);
    EXPECT_EQ(::listen(fd.get(), 4), 0);
  } else {
    EXPECT_EQ(::connect(fd.get(), name, sizeof address), 0);
  }
  return fd;
}

/// An agent that answers each request with "<its type>!", and a forward to it.
class SshForwardTest : public testing::Test {
 protected:
  SshForwardTest() {
    sys::make_dirs(step_);
    agent_ = socket_at(agent_path_, true);
    agent_thread_ = std::jthread([this] { serve(); });
  }
  ~SshForwardTest() override {
    ::shutdown(agent_.get(), SHUT_RDWR);
    agent_thread_.join();
  }

  /// Runs `client(connected socket)` on a thread while the loop serves.
  template <class Client>
  void with_client(Client client) {
    EventLoop loop;
    SshForward forward(loop, listen_for_ssh(step_, agent_path_, 0600, ::getuid(), ::getgid()));
    bool done = false;
    std::jthread thread([&] {
      client(socket_at(step_ + "/agent", false));
      loop.post([&] { done = true; });
    });
    loop.run_until([&] { return done; });
  }

  std::string received() const { return received_; }  // types that reached the agent

  TempDir dir_ = TempDir::create("/tmp", "lade-ssh-test-");
  std::string step_ = dir_.path() + "/step";

 private:
  void serve() {
    for (;;) {
      const UniqueFd client(::accept(agent_.get(), nullptr, nullptr));
      if (!client) return;
      for (;;) {
        const std::string header = read_up_to(client.get(), 4);
        if (header.size() < 4) break;
        const size_t size =
            static_cast<unsigned char>(header[2]) * 256u + static_cast<unsigned char>(header[3]);
        const std::string body = read_up_to(client.get(), size);
        received_ += body[0];
        sys::write_all(client.get(), message(body.substr(0, 1) + "!"));
      }
    }
  }

  std::string agent_path_ = dir_.path() + "/upstream";
  UniqueFd agent_;
  std::string received_;
  std::jthread agent_thread_;
};

TEST_F(SshForwardTest, ListingAndSigningReachTheAgentInOrder) {
  with_client([&](const UniqueFd& socket) {
    sys::write_all(socket.get(), message("\x0b") + message("\x0d"
                                                           "data"));
    EXPECT_EQ(read_up_to(socket.get(), 12), message("\x0b!") + message("\x0d!"));
  });
  EXPECT_EQ(received(), "\x0b\x0d");
}

TEST_F(SshForwardTest, WhatChangesTheAgentFailsWithoutReachingIt) {
  with_client([&](const UniqueFd& socket) {
    // Add, remove, remove all, lock, extension.
    for (const char type : {17, 18, 19, 22, 27}) {
      sys::write_all(socket.get(), message(std::string(1, type) + "x"));
      EXPECT_EQ(read_up_to(socket.get(), 5), message("\x05"));
    }
  });
  EXPECT_EQ(received(), "");
}

TEST_F(SshForwardTest, MessagesMayComeInPieces) {
  with_client([&](const UniqueFd& socket) {
    for (const char byte : message("\x0b")) sys::write_all(socket.get(), {&byte, 1});
    EXPECT_EQ(read_up_to(socket.get(), 6), message("\x0b!"));
  });
}

TEST_F(SshForwardTest, AbsurdMessagesEndTheConnection) {
  with_client([&](const UniqueFd& socket) {
    sys::write_all(socket.get(), std::string(4, '\x7f'));
    EXPECT_EQ(read_up_to(socket.get(), 1), "");
  });
  EXPECT_EQ(received(), "");
}

TEST_F(SshForwardTest, TheSocketHasTheModeThatWasAskedFor) {
  const SshSocket socket = listen_for_ssh(step_, "/nowhere", 0640, ::getuid(), ::getgid());
  struct stat info{};
  ASSERT_EQ(::stat((step_ + "/agent").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
}

}  // namespace
}  // namespace lade
