#include "app/run/container.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "app/run/input_pump.hpp"
#include "app/run/terminal.hpp"
#include "app/run/terminal_keys.hpp"
#include "base/error.hpp"
#include "base/event_loop.hpp"
#include "base/sys.hpp"
#include "solver/executor/child/protocol.hpp"

namespace lade {
namespace {

constexpr int kBrokenPipe = 128 + SIGPIPE;

class Foreground {
 public:
  Foreground(std::unique_ptr<Executor> executor, const RunRequest& request, SignalRelay& signals)
      : request_(request),
        signals_(signals),
        executor_(std::move(executor)),
        keys_(request.detach_keys) {
    executor_->attach(loop_);
  }

  int run(ExecSpec spec) {
    std::optional<sandbox::Channel::Pair> channel;
    sys::Pipe input;
    if (request_.terminal) {
      channel = sandbox::Channel::create_pair();
      spec.terminal_fd = channel->zygote.fd();
    } else if (request_.interactive) {
      input = sys::pipe();
      spec.input_fd = input.read.get();
    }
    step_ = executor_->start(
        spec, [this](LogStream stream, std::string_view bytes) { write_out(stream, bytes); },
        [this](const ExecResult& result) { result_ = result; });
    if (channel) {
      terminal_channel_ = std::move(channel->lade);
      channel->zygote.close();
      loop_.watch(terminal_channel_.fd(), EPOLLIN, [this](uint32_t) { receive_terminal(); });
    } else if (request_.interactive) {
      input.read.reset();
      pump_.emplace(STDIN_FILENO, std::move(input.write));
    }
    take_signals();
    // What a quick command wrote to its terminal may come after its end.
    loop_.run_until(
        [this] { return result_.has_value() && !terminal_ && terminal_channel_.fd() < 0; });
    return finish();
  }

 private:
  int finish() {
    signals_.set_receiver({}, {});
    pump_.reset();
    raw_.reset();
    if (broken_pipe_) return kBrokenPipe;
    if (keys_.ending() == TerminalKeys::Ending::detached) {
      fmt::print(stderr,
                 "lade: the container has ended: without a daemon nothing keeps it when nobody is "
                 "attached\n");
    }
    if (!result_->setup_error.empty()) {
      fmt::print(stderr, "lade: {}\n", result_->setup_error);
    } else if (result_->exit_code != 0 && result_->pids_limit_met != 0) {
      fmt::print(stderr, "lade: the container met its limit of {} processes (--pids-limit)\n",
                 result_->pids_limit_met);
    }
    return result_->exit_code;
  }

  void take_signals() {
    signals_.set_receiver([this](int signal) { loop_.post([this, signal] { pass_on(signal); }); },
                          [this] {
                            if (raw_) raw_->restore();
                          });
  }

  void pass_on(int signal) {
    if (signal != SIGWINCH) {
      executor_->signal(step_, signal);
    } else if (terminal_) {
      copy_window_size(STDOUT_FILENO, terminal_.get());
    }
  }

  /// Standard output and error as they come. When nobody reads them any more the container ends, as
  /// a program in a pipeline would.
  void write_out(LogStream stream, std::string_view bytes) {
    if (broken_pipe_) return;
    try {
      sys::write_all(stream == LogStream::out ? STDOUT_FILENO : STDERR_FILENO, bytes);
    } catch (const Error&) {
      broken_pipe_ = true;
      executor_->kill(step_);
    }
  }

  void receive_terminal() {
    auto packet = terminal_channel_.receive();
    if (!packet && terminal_channel_.state() == sandbox::Channel::State::open) return;
    loop_.unwatch(terminal_channel_.fd());
    terminal_channel_.close();
    // Closed without a word: it never came to be, which on_exit reports.
    if (!packet || packet->fds.size() != 1) return;
    terminal_ = std::move(packet->fds[0]);
    ::fcntl(terminal_.get(), F_SETFL, O_NONBLOCK);
    copy_window_size(STDOUT_FILENO, terminal_.get());
    loop_.watch(terminal_.get(), EPOLLIN, [this](uint32_t) { read_terminal(); });
    if (!request_.interactive) return;
    raw_.emplace(STDIN_FILENO);
    pump_.emplace(STDIN_FILENO, UniqueFd(::fcntl(terminal_.get(), F_DUPFD_CLOEXEC, 3)),
                  [this](std::string_view typed) { return typed_keys(typed); });
  }

  /// By the pump's thread, which ends before the loop does.
  std::string typed_keys(std::string_view typed) {
    std::string out = keys_.take(typed);
    if (keys_.ending() != TerminalKeys::Ending::none) {
      loop_.post([this] { executor_->kill(step_); });
    }
    return out;
  }

  /// Until the last process that had it open is gone (EIO) and all it wrote is read.
  void read_terminal() {
    const ssize_t size = ::read(terminal_.get(), buffer_.data(), buffer_.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (size > 0) {
      const std::string_view output(buffer_.data(), static_cast<size_t>(size));
      keys_.answered(output);
      return write_out(LogStream::out, output);
    }
    loop_.unwatch(terminal_.get());
    pump_.reset();
    terminal_.reset();
  }

  const RunRequest& request_;
  SignalRelay& signals_;
  EventLoop loop_;
  std::unique_ptr<Executor> executor_;  // ends before the loop that it reports to
  Executor::StepId step_ = 0;
  std::optional<ExecResult> result_;
  TerminalKeys keys_;
  sandbox::Channel terminal_channel_;
  UniqueFd terminal_;  // the side that we have
  std::optional<RawTerminal> raw_;
  std::optional<InputPump> pump_;
  bool broken_pipe_ = false;
  std::array<char, 16 << 10> buffer_{};
};

}  // namespace

int run_in_foreground(std::unique_ptr<Executor> executor, ExecSpec spec, const RunRequest& request,
                      SignalRelay& signals) {
  Foreground foreground(std::move(executor), request, signals);
  return foreground.run(std::move(spec));
}

}  // namespace lade
