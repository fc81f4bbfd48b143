#include "daemon/server/inherited_sockets.hpp"

#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "daemon/proto/secrets.grpc.pb.h"
#include "tests/support/error_of.hpp"

namespace lade {
namespace {

using ::testing::HasSubstr;

UniqueFd listening_socket(const std::string& path) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 8) != 0) {
    throw_errno("could not listen");
  }
  return socket;
}

/// What take_inherited_sockets() says in a process that is handed `fd`.
std::string answer_for(int fd, pid_t pid_said = 0) {
  sys::Pipe pipe = sys::pipe();
  const pid_t child = ::fork();
  if (child == 0) {
    if (fd != 3) ::dup2(fd, 3);
    ::setenv("LISTEN_PID", std::to_string(pid_said != 0 ? pid_said : ::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", "1", 1);
    std::string answer;
    try {
      auto sockets = take_inherited_sockets();
      answer = std::to_string(sockets.size()) + " of " + std::to_string(sockets[0].get());
      if (::getenv("LISTEN_FDS")) answer += ", still in the environment";
      if ((::fcntl(3, F_GETFD) & FD_CLOEXEC) == 0) answer += ", inherited on";
    } catch (const Error& error) {
      answer = error.message();
    }
    sys::write_all(pipe.write.get(), answer);
    ::_exit(0);
  }
  pipe.write.reset();
  std::string out;
  char buffer[256];
  for (ssize_t got; (got = ::read(pipe.read.get(), buffer, sizeof buffer)) > 0;) {
    out.append(buffer, static_cast<size_t>(got));
  }
  ::waitpid(child, nullptr, 0);
  return out;
}

class InheritedSocketsTest : public ::testing::Test {
 protected:
  std::string path() const { return temp_.path() + "/socket"; }

 private:
  TempDir temp_ = TempDir::create("/tmp", "lade-sockets-");
};

TEST_F(InheritedSocketsTest, AreTakenOnceAndKeptFromOthers) {
  // High up, since 3 is what the child is to find it at.
  const UniqueFd high(::fcntl(listening_socket(path()).get(), F_DUPFD_CLOEXEC, 100));
  EXPECT_EQ(answer_for(high.get()), "1 of 3");
}

TEST_F(InheritedSocketsTest, OfAnotherProcessAreNotTaken) {
  const UniqueFd high(::fcntl(listening_socket(path()).get(), F_DUPFD_CLOEXEC, 100));
  EXPECT_EQ(answer_for(high.get(), 1), "--addr fd://: no socket was handed over");
}

TEST_F(InheritedSocketsTest, OtherThingsAreRefused) {
  const UniqueFd file = sys::open("/dev/null", O_RDONLY);
  const std::string refused = "--addr fd://: descriptor 3 is not a listening unix socket";
  EXPECT_EQ(answer_for(file.get()), refused);
  const UniqueFd tcp(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::listen(tcp.get(), 1), 0);
  EXPECT_EQ(answer_for(tcp.get()), refused);
}

TEST_F(InheritedSocketsTest, ClientsThatConnectAreServed) {
  moby::buildkit::secrets::v1::Secrets::Service service;  // any
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  ASSERT_TRUE(server);
  std::vector<UniqueFd> sockets;
  sockets.push_back(listening_socket(path()));
  SocketAcceptor acceptor(std::move(sockets), *server);
  for (int i = 0; i < 3; ++i) {
    const auto channel = grpc::CreateChannel("unix:" + path(), grpc::InsecureChannelCredentials());
    EXPECT_TRUE(
        channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(20)));
  }
  server->Shutdown(std::chrono::system_clock::now());
}

}  // namespace
}  // namespace lade
