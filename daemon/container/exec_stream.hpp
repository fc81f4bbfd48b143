// LLBBridge.ExecProcess: the processes of a build's containers, all in one stream, told apart by
// the IDs that the client gives them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "daemon/container/container.hpp"

namespace grpc {
template <class W, class R>
class ServerReaderWriter;
}

namespace moby::buildkit::v1::frontend {
class ExecMessage;
class FdMessage;
class SignalMessage;
}  // namespace moby::buildkit::v1::frontend

namespace lade {

class ExecStream {
 public:
  using Message = moby::buildkit::v1::frontend::ExecMessage;
  using Stream = grpc::ServerReaderWriter<Message, Message>;

  /// All outlive it. `gone()` says that the client is not there any more.
  ExecStream(Containers& containers, Stream& stream, std::function<bool()> gone)
      : containers_(containers), stream_(stream), gone_(std::move(gone)) {}

  /// Serves until the client has ended its side and all processes have ended; when the client is
  /// gone, its processes are killed. Throws Error for what the protocol does not allow.
  void serve();

 private:
  struct Process {
    std::shared_ptr<Container> container;
    std::shared_ptr<ContainerProcess> process;
  };
  void handle(const Message& message);
  void begin(const Message& message);
  void pass_input(Process& to, const moby::buildkit::v1::frontend::FdMessage& message);
  ContainerProcess::Listener listener(const std::string& id, std::set<uint32_t> fds);
  void tell_end(const std::string& id, const std::set<uint32_t>& fds, const ProcessEnd& end);
  void send(const Message& message);
  void finish(bool kill);

  Containers& containers_;
  Stream& stream_;
  const std::function<bool()> gone_;
  std::map<std::string, Process> processes_;  // of the thread in serve()
  std::mutex send_mutex_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t running_ = 0;  // guarded by mutex_
};

/// The number of "TERM", "SIGTERM", "RTMIN+3"; nullopt for no signal's name.
std::optional<int> signal_number(std::string_view name);

}  // namespace lade
