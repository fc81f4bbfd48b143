// A client of BuildKit's protocol, as small as one can be: a session that offers what its members
// say, and calls.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/proto/control.grpc.pb.h"
#include "daemon/proto/gateway.grpc.pb.h"

namespace lade::test {

/// What a daemon asked of a directory.
struct AskedListing {
  std::string name;
  std::vector<std::string> exclude;
  std::vector<std::string> follow;
};

class BuildkitClient {
 public:
  /// `address` as gRPC has them: "unix:/path".
  explicit BuildkitClient(const std::string& address);
  /// Ends the session.
  ~BuildkitClient();
  BuildkitClient(const BuildkitClient&) = delete;
  BuildkitClient& operator=(const BuildkitClient&) = delete;

  // What the session offers; to be set before open_session().
  std::map<std::string, std::map<std::string, std::string>> directories;  ///< name, path, text
  std::map<std::string, std::string> secrets;
  std::map<std::string, std::pair<std::string, std::string>> credentials;  ///< by host

  /// Called before a directory is listed, by any thread.
  std::function<void(const AskedListing&)> on_listing = [](const AskedListing&) {};

  // What came.
  std::map<int, std::string> files;  ///< by exporter
  std::vector<std::string> asked;    ///< paths whose contents were sent

  /// Returns the session's ID.
  std::string open_session();
  /// As a client that vanishes: without a word.
  void cut_session();

  moby::buildkit::v1::Control::Stub& control() { return *control_; }
  moby::buildkit::v1::frontend::LLBBridge::Stub& gateway() { return *gateway_; }

  /// A request for a build of the Dockerfile that the session offers.
  moby::buildkit::v1::SolveRequest dockerfile_build(const std::string& ref) const;
  grpc::Status solve(const moby::buildkit::v1::SolveRequest& request,
                     moby::buildkit::v1::SolveResponse& response);
  /// All that is told of a build until it has ended.
  moby::buildkit::v1::StatusResponse status(const std::string& ref);

 private:
  class SessionSide;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<moby::buildkit::v1::Control::Stub> control_;
  std::unique_ptr<moby::buildkit::v1::frontend::LLBBridge::Stub> gateway_;
  std::unique_ptr<SessionSide> session_;
  std::string session_id_;
};

/// The bytes of /bin/busybox, for contexts whose steps need a program.
std::string busybox();

/// A running lade-daemon on a state directory of its own; ends with this object.
class DaemonProcess {
 public:
  /// Throws Error if it does not come up.
  DaemonProcess(const std::string& program, const std::string& directory,
                std::vector<std::string> args = {});
  ~DaemonProcess();
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;

  int pid() const { return pid_; }

  std::string address() const { return "unix:" + directory_ + "/socket"; }
  std::string root() const { return directory_ + "/state"; }
  /// Sends a signal and waits for the end; returns the exit code, 128 + N if signal N ended it.
  int end(int signal);

 private:
  std::string directory_;
  int pid_ = -1;
};

}  // namespace lade::test
