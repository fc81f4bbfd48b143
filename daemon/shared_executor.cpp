#include "daemon/shared_executor.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <fcntl.h>

#include "base/error.hpp"
#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"

namespace lade {
namespace {

constexpr int kNoSandbox = 125;

UniqueFd duplicate(int fd) {
  if (fd < 0) return {};
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) throw_errno("could not duplicate a descriptor");
  return copy;
}

/// Where a step's callbacks go while its stand-in lives.
struct Receiver {
  std::mutex mutex;
  EventLoop* loop = nullptr;  ///< guarded; null once nobody listens
};

struct Callbacks {
  Executor::OnOutput output;
  Executor::OnExit exit;
};

}  // namespace

struct ExecutorHost::State {
  std::unique_ptr<Executor> executor;
  std::thread thread;
  std::mutex mutex;
  EventLoop* loop = nullptr;  // guarded by mutex
  std::atomic<bool> stop{false};
  // Of the thread alone:
  std::map<uint64_t, Executor::StepId> steps;

  void post(std::function<void()> work) {
    const std::lock_guard lock(mutex);
    if (loop) loop->post(std::move(work));
  }

  std::condition_variable started;

  void run() {
    EventLoop own;
    executor->attach(own);
    {
      const std::lock_guard lock(mutex);
      loop = &own;
    }
    started.notify_all();
    own.run_until([this] { return stop.load(); });
    {
      const std::lock_guard lock(mutex);
      loop = nullptr;
    }
    executor.reset();  // before its loop
  }
};

namespace {

class StandIn : public Executor {
 public:
  explicit StandIn(std::shared_ptr<ExecutorHost::State> host) : host_(std::move(host)) {}

  ~StandIn() override {
    {
      const std::lock_guard lock(receiver_->mutex);
      receiver_->loop = nullptr;
    }
    for (const StepId step : running_) kill(step);
  }

  void attach(EventLoop& loop) override {
    const std::lock_guard lock(receiver_->mutex);
    receiver_->loop = &loop;
  }

  void prefetch_network() override {
    host_->post([host = host_.get()] { host->executor->prefetch_network(); });
  }

  StepId start(const ExecSpec& spec, OnOutput on_output, OnExit on_exit) override {
    static std::atomic<StepId> next{1};
    const StepId id = next++;
    running_.insert(id);
    auto work = std::make_shared<Start>();
    work->spec = spec;
    work->input = duplicate(spec.input_fd);
    work->terminal = duplicate(spec.terminal_fd);
    work->output = duplicate(spec.output_fd);
    work->error = duplicate(spec.error_fd);
    work->spec.input_fd = work->input.get();
    work->spec.terminal_fd = work->terminal.get();
    work->spec.output_fd = work->output.get();
    work->spec.error_fd = work->error.get();
    work->callbacks = std::make_shared<Callbacks>(
        Callbacks{std::move(on_output), [this, id, on_exit](const ExecResult& result) {
                    running_.erase(id);
                    on_exit(result);
                  }});
    work->receiver = receiver_;
    host_->post([host = host_.get(), id, work] { start_there(*host, id, *work); });
    return id;
  }

  void kill(StepId step) override {
    host_->post([host = host_.get(), step] {
      const auto found = host->steps.find(step);
      if (found != host->steps.end()) host->executor->kill(found->second);
    });
  }

  void signal(StepId step, int number) override {
    host_->post([host = host_.get(), step, number] {
      const auto found = host->steps.find(step);
      if (found != host->steps.end()) host->executor->signal(found->second, number);
    });
  }

 private:
  struct Start {
    ExecSpec spec;
    UniqueFd input;
    UniqueFd terminal;
    UniqueFd output;
    UniqueFd error;
    std::shared_ptr<Callbacks> callbacks;
    std::shared_ptr<Receiver> receiver;
  };

  static void deliver(const std::shared_ptr<Receiver>& receiver, std::function<void()> callback) {
    const std::lock_guard lock(receiver->mutex);
    if (receiver->loop) receiver->loop->post(std::move(callback));
  }

  /// On the host's thread.
  static void start_there(ExecutorHost::State& host, StepId id, Start& work) {
    const auto receiver = work.receiver;
    const auto callbacks = work.callbacks;
    const auto ended = [&host, id, receiver, callbacks](const ExecResult& result) {
      host.steps.erase(id);
      deliver(receiver, [callbacks, result] { callbacks->exit(result); });
    };
    try {
      if (work.spec.join) {
        const auto joined = host.steps.find(*work.spec.join);
        if (joined == host.steps.end()) throw Error("the container has ended");
        work.spec.join = joined->second;
      }
      host.steps[id] = host.executor->start(
          work.spec,
          [receiver, callbacks](LogStream stream, std::string_view bytes) {
            deliver(receiver, [callbacks, stream, text = std::string(bytes)] {
              callbacks->output(stream, text);
            });
          },
          ended);
    } catch (const Error& error) {
      ExecResult result;
      result.exit_code = kNoSandbox;
      result.setup_error = error.message();
      ended(result);
    }
  }

  std::shared_ptr<ExecutorHost::State> host_;
  std::shared_ptr<Receiver> receiver_ = std::make_shared<Receiver>();
  std::set<StepId> running_;
};

}  // namespace

ExecutorHost::ExecutorHost() : state_(std::make_shared<State>()) {
  state_->executor = Executor::create({});
}

void ExecutorHost::start_thread() {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
  std::unique_lock lock(state_->mutex);
  state_->started.wait(lock, [&] { return state_->loop != nullptr; });
}

ExecutorHost::~ExecutorHost() {
  if (!state_->thread.joinable()) return;
  state_->stop = true;
  state_->post([] {});
  state_->thread.join();
}

std::unique_ptr<Executor> ExecutorHost::stand_in() {
  return std::make_unique<StandIn>(state_);
}

}  // namespace lade
