#include "solver/executor/executor.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <unordered_map>

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/event_loop.hpp"
#include "base/sys.hpp"
#include "solver/executor/cgroup/cgroup_tree.hpp"
#include "solver/executor/child/protocol.hpp"
#include "solver/executor/network/host_addresses.hpp"
#include "solver/executor/network/hosts.hpp"
#include "solver/executor/network/network_helper.hpp"
#include "solver/executor/zygote.hpp"
#include "solver/executor/zygote_program.hpp"

namespace lade {
namespace {

constexpr int kPipeSize = 1 << 20;  // what the kernel allows everybody

using sandbox::Channel;

/// Lade's side: owns the zygote, the read ends of the steps' pipes, and the callbacks.
class ZygoteExecutor final : public Executor {
 public:
  ZygoteExecutor(Channel channel, pid_t zygote, NetworkReach reach)
      : channel_(std::move(channel)), zygote_(zygote), reach_(std::move(reach)) {}
  ~ZygoteExecutor() override;

  void attach(EventLoop& loop) override;
  void prefetch_network() override;
  StepId start(const ExecSpec& spec, OnOutput on_output, OnExit on_exit) override;
  void kill(StepId step) override { signal(step, SIGKILL); }
  void signal(StepId step, int number) override;
  bool is_lost() const override { return channel_.state() == Channel::State::closed; }

 private:
  struct Step {
    OnOutput on_output;
    OnExit on_exit;
    std::array<UniqueFd, 2> pipes;  // by LogStream
  };

  void receive();
  void zygote_lost();
  void forward(StepId id, LogStream stream);
  bool read_once(StepId id, LogStream stream, size_t limit);
  void close_pipe(Step& step, LogStream stream);
  void finish(StepId id, const ExecResult& result);
  const std::string& network_helper();
  std::string resolv_conf(NetworkMode network);

  Channel channel_;
  pid_t zygote_;
  NetworkReach reach_;
  std::optional<sandbox::HostAddresses> host_addresses_;  // once they were asked for
  EventLoop* loop_ = nullptr;
  std::unordered_map<StepId, Step> steps_;
  StepId last_id_ = 0;
  std::string network_helper_;
  std::array<char, 256 << 10> buffer_;  // one read's worth of output
};

size_t index_of(LogStream stream) {
  return stream == LogStream::out ? 0 : 1;
}

ZygoteExecutor::~ZygoteExecutor() {
  if (loop_ != nullptr) {
    loop_->unwatch(channel_.fd());
    for (auto& [id, step] : steps_) {
      for (const auto stream : {LogStream::out, LogStream::err}) close_pipe(step, stream);
    }
  }
  channel_.hang_up();
  int status = 0;
  while (::waitpid(zygote_, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) sandbox::sweep_groups(sandbox::find_hierarchies());
}

void ZygoteExecutor::attach(EventLoop& loop) {
  if (loop_ == &loop) return;
  loop_ = &loop;
  loop.watch(channel_.fd(), EPOLLIN, [this](uint32_t) { receive(); });
}

const std::string& ZygoteExecutor::network_helper() {
  if (network_helper_.empty()) network_helper_ = sandbox::find_network_helper();
  return network_helper_;
}

std::string ZygoteExecutor::resolv_conf(NetworkMode network) {
  if (network != NetworkMode::sandbox) return sandbox_resolv_conf(network, {});
  if (!host_addresses_) host_addresses_.emplace();
  host_addresses_->refresh();
  return sandbox_resolv_conf(
      network, AddressSet(sandbox::denied_addresses(reach_, host_addresses_->ranges())));
}

void ZygoteExecutor::prefetch_network() {
  try {
    channel_.send(WireWriter().number(sandbox::Request::prefetch_network).str());
  } catch (const Error&) {
    // start() meets the same and throws it.
  }
}

Executor::StepId ZygoteExecutor::start(const ExecSpec& spec, OnOutput on_output, OnExit on_exit) {
  if (loop_ == nullptr) throw Error("the executor is not attached to an event loop");
  sandbox::StartRequest request{spec, {}};
  if (spec.network == NetworkMode::sandbox && !spec.join) {
    request.network_helper = network_helper();
  }
  for (auto& file : request.spec.files) {
    if (file.resolv_conf) file.content = resolv_conf(spec.network);
  }
  const UniqueFd details = sandbox::memory_file(encode(request));
  sys::Pipe out;
  sys::Pipe err;
  if (spec.output_fd < 0) out = sys::pipe();
  if (spec.error_fd < 0) err = sys::pipe();
  // Only our ends: the other description is the command's, which may not expect O_NONBLOCK.
  for (const int fd : {out.read.get(), err.read.get()}) {
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    // So that a step which writes much need not wait for us at each few pages. Where the kernel
    // refuses, the usual 64 KiB will do.
    ::fcntl(fd, F_SETPIPE_SZ, kPipeSize);
  }

  const StepId id = ++last_id_;
  try {
    channel_.send(
        WireWriter().number(sandbox::Request::start).number(id).str(),
        {details.get(), spec.output_fd < 0 ? out.write.get() : spec.output_fd,
         spec.error_fd < 0 ? err.write.get() : spec.error_fd, spec.input_fd, spec.terminal_fd});
  } catch (const Error&) {
    receive();  // whether the zygote is lost, which the loop may not have noticed yet
    throw;
  }
  Step& step = steps_[id];
  step.on_output = std::move(on_output);
  step.on_exit = std::move(on_exit);
  step.pipes = {std::move(out.read), std::move(err.read)};
  for (const auto stream : {LogStream::out, LogStream::err}) {
    const int fd = step.pipes[index_of(stream)].get();
    if (fd >= 0) loop_->watch(fd, EPOLLIN, [this, id, stream](uint32_t) { forward(id, stream); });
  }
  return id;
}

void ZygoteExecutor::signal(StepId step, int number) {
  if (!steps_.contains(step)) return;
  try {
    channel_.send(WireWriter().number(sandbox::Request::signal).number(step).number(number).str());
  } catch (const Error&) {
    // A lost zygote has taken its sandboxes along; receive() reports that.
  }
}

void ZygoteExecutor::receive() {
  if (is_lost()) return;
  while (auto packet = channel_.receive()) {
    const auto report = sandbox::decode_exit_report(packet->bytes);
    finish(report.id, report.result);
  }
  if (channel_.state() == Channel::State::closed) zygote_lost();
}

void ZygoteExecutor::zygote_lost() {
  loop_->unwatch(channel_.fd());
  ExecResult result;
  result.exit_code = sandbox::sandbox_failed;
  result.setup_error =
      "the process that makes sandboxes (lade-zygote) died, and its sandboxes with it";
  while (!steps_.empty()) finish(steps_.begin()->first, result);
}

/// One read per event keeps the steps' shares fair; the loop asks again while there is more. A step
/// that writes faster than we read waits in its pipe.
void ZygoteExecutor::forward(StepId id, LogStream stream) {
  read_once(id, stream, buffer_.size());
}

/// False at the end of the pipe, which is closed then, or when there is nothing to read.
bool ZygoteExecutor::read_once(StepId id, LogStream stream, size_t limit) {
  Step& step = steps_.at(id);
  const int fd = step.pipes[index_of(stream)].get();
  const ssize_t size = ::read(fd, buffer_.data(), std::min(limit, buffer_.size()));
  if (size < 0) return errno == EINTR;
  if (size == 0) {
    close_pipe(step, stream);
    return false;
  }
  step.on_output(stream, {buffer_.data(), static_cast<size_t>(size)});
  return true;
}

void ZygoteExecutor::close_pipe(Step& step, LogStream stream) {
  UniqueFd& fd = step.pipes[index_of(stream)];
  if (!fd) return;
  loop_->unwatch(fd.get());
  fd.reset();
}

void ZygoteExecutor::finish(StepId id, const ExecResult& result) {
  const auto found = steps_.find(id);
  if (found == steps_.end()) return;
  for (const auto stream : {LogStream::out, LogStream::err}) {
    // All of the step's processes are gone, so what the pipe holds now is their last output.
    // Somebody outside may hold it open, too, and even write: neither its end nor its emptiness can
    // be waited for.
    int left = 0;
    const int fd = found->second.pipes[index_of(stream)].get();
    if (fd >= 0 && ::ioctl(fd, FIONREAD, &left) == 0) {
      while (left > 0 && read_once(id, stream, static_cast<size_t>(left))) {
        left -= std::min(left, static_cast<int>(buffer_.size()));
      }
    }
    close_pipe(steps_.at(id), stream);
  }
  const auto node = steps_.extract(id);
  node.mapped().on_exit(result);
}

}  // namespace

namespace {

void check_user() {
  if (::geteuid() != 0) throw Error("sandboxes need root, be it of a user namespace");
}

}  // namespace

std::unique_ptr<Executor> Executor::create(const ExecutorOptions& options) {
  check_user();
  auto pair = Channel::create_pair();
  // A signal of the terminal must not meet the zygote before it ignores those.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  if (pid != 0) ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) throw_errno("could not start the zygote");
  if (pid == 0) {
    pair.lade.close();
    sandbox::run_zygote(std::move(pair.zygote), options);
  }
  return std::make_unique<ZygoteExecutor>(std::move(pair.lade), pid, options.network);
}

std::unique_ptr<Executor> Executor::create_late(const ExecutorOptions& options) {
  check_user();
  auto pair = Channel::create_pair();
  const pid_t pid = sandbox::execute_zygote(pair.zygote, options);
  return std::make_unique<ZygoteExecutor>(std::move(pair.lade), pid, options.network);
}

}  // namespace lade
