#include "daemon/container/exec_stream.hpp"

#include <charconv>
#include <csignal>
#include <cstring>

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "daemon/proto/gateway.grpc.pb.h"

namespace lade {
namespace {

namespace gateway = moby::buildkit::v1::frontend;

constexpr auto kStreamLookAround = std::chrono::milliseconds(50);

}  // namespace

std::optional<int> signal_number(std::string_view name) {
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (const auto& [prefix, base, sign] :
       {std::tuple("RTMIN+", SIGRTMIN, 1), std::tuple("RTMAX-", SIGRTMAX, -1)}) {
    if (!name.starts_with(prefix)) continue;
    name.remove_prefix(std::strlen(prefix));
    int offset = -1;
    const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), offset);
    const bool all = problem == std::errc() && end == name.data() + name.size();
    if (!all || offset < 0 || offset > SIGRTMAX - SIGRTMIN) return std::nullopt;
    return base + sign * offset;
  }
  if (name == "RTMIN") return SIGRTMIN;
  if (name == "RTMAX") return SIGRTMAX;
  for (int number = 1; number < SIGRTMIN; ++number) {
    const char* known = ::sigabbrev_np(number);
    if (known && name == known) return number;
  }
  // Other names of the same.
  if (name == "CLD") return SIGCHLD;
  if (name == "IOT") return SIGABRT;
  if (name == "POLL") return SIGPOLL;
  return std::nullopt;
}

void ExecStream::serve() {
  try {
    Message message;
    while (stream_.Read(&message)) handle(message);
  } catch (...) {
    finish(true);
    throw;
  }
  finish(false);
}

void ExecStream::handle(const Message& message) {
  const std::string& id = message.processid();
  if (id.empty()) throw Error("ProcessID required");
  if (message.has_init()) return begin(message);
  const auto found = processes_.find(id);
  if (found == processes_.end()) {
    throw Error(fmt::format("IO for process {} not found", lade::quoted(id)), ErrorKind::not_found);
  }
  Process& process = found->second;
  if (message.has_file()) {
    pass_input(process, message.file());
  } else if (message.has_resize()) {
    process.process->resize(static_cast<uint16_t>(message.resize().rows()),
                            static_cast<uint16_t>(message.resize().cols()));
  } else if (message.has_signal()) {
    const auto number = signal_number(message.signal().name());
    if (!number) throw Error("Unknown signal " + message.signal().name());
    process.container->signal(process.process, *number);
  } else {
    throw Error("a client does not send such messages");
  }
}

void ExecStream::pass_input(Process& to, const gateway::FdMessage& message) {
  if (message.fd() != 0) throw Error(fmt::format("fd {} unavailable to write", message.fd()));
  to.process->write_input(message.data(), gone_);
  if (message.eof()) to.process->close_input();
}

void ExecStream::begin(const Message& message) {
  const std::string& id = message.processid();
  const auto& init = message.init();
  if (processes_.contains(id)) throw Error(fmt::format("Process {} already exists", id));
  const auto container = containers_.find(init.containerid());
  Message started;
  started.set_processid(id);
  started.mutable_started();
  send(started);  // before anything that it writes
  {
    const std::lock_guard lock(mutex_);
    ++running_;
  }
  const std::set<uint32_t> fds(init.fds().begin(), init.fds().end());
  processes_[id] = {container, container->start(init, listener(id, fds))};
}

ContainerProcess::Listener ExecStream::listener(const std::string& id, std::set<uint32_t> fds) {
  return {.output =
              [this, id](uint32_t fd, std::string_view bytes) {
                Message message;
                message.set_processid(id);
                message.mutable_file()->set_fd(fd);
                message.mutable_file()->set_data(bytes.data(), bytes.size());
                send(message);
              },
          .ended =
              [this, id, fds = std::move(fds)](const ProcessEnd& end) {
                tell_end(id, fds, end);
                const std::lock_guard lock(mutex_);
                --running_;
                changed_.notify_all();
              }};
}

void ExecStream::tell_end(const std::string& id, const std::set<uint32_t>& fds,
                          const ProcessEnd& end) {
  Message exit;
  exit.set_processid(id);
  exit.mutable_exit()->set_code(static_cast<uint32_t>(end.exit_code));
  if (!end.error.empty()) {
    auto& error = *exit.mutable_exit()->mutable_error();
    error.set_code(end.canceled ? grpc::StatusCode::CANCELLED : grpc::StatusCode::UNKNOWN);
    error.set_message(end.error);
  }
  send(exit);
  for (const uint32_t fd : fds) {
    if (fd == 0) continue;
    Message eof;
    eof.set_processid(id);
    eof.mutable_file()->set_fd(fd);
    eof.mutable_file()->set_eof(true);
    send(eof);
  }
  Message done;
  done.set_processid(id);
  done.mutable_done();
  send(done);
}

/// To nobody if the client is gone.
void ExecStream::send(const Message& message) {
  const std::lock_guard lock(send_mutex_);
  stream_.Write(message);
}

void ExecStream::finish(bool kill) {
  for (auto& [id, process] : processes_) process.process->close_input();
  std::unique_lock lock(mutex_);
  while (running_ > 0) {
    if (kill || gone_()) {
      lock.unlock();
      for (auto& [id, process] : processes_) {
        process.container->signal(process.process, SIGKILL);
      }
      lock.lock();
    }
    changed_.wait_for(lock, kStreamLookAround);
  }
  lock.unlock();
  processes_.clear();  // with their threads
}

}  // namespace lade
