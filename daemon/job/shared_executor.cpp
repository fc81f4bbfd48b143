#include "daemon/job/shared_executor.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>

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

/// A step on its way to the host's thread.
struct Start {
  Executor::StepId id = 0;
  bool counted = false;
  ExecSpec spec;
  UniqueFd input;
  UniqueFd terminal;
  UniqueFd output;
  UniqueFd error;
  std::shared_ptr<Callbacks> callbacks;
  std::shared_ptr<Receiver> receiver;
};

void deliver(const std::shared_ptr<Receiver>& receiver, std::function<void()> callback) {
  const std::lock_guard lock(receiver->mutex);
  if (receiver->loop) receiver->loop->post(std::move(callback));
}

}  // namespace

struct ExecutorHost::State {
  explicit State(ExecutorOptions asked) : options(std::move(asked)) {}

  const ExecutorOptions options;
  std::unique_ptr<Executor> executor;
  std::thread thread;
  std::mutex mutex;
  EventLoop* loop = nullptr;  // guarded by mutex
  std::atomic<bool> stop{false};
  int limit = 0;
  // Of the thread alone:
  std::map<uint64_t, Executor::StepId> steps;
  int counted = 0;  // steps that run and count
  std::deque<std::shared_ptr<Start>> waiting;

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

  void start_or_wait(std::shared_ptr<Start> step) {
    waiting.push_back(std::move(step));
    start_next();
  }

  /// What may run now: what does not count need not wait for what does.
  void start_next() {
    for (auto next = waiting.begin(); next != waiting.end();) {
      const auto step = *next;
      if (step->counted && limit > 0 && counted >= limit) {
        ++next;
        continue;
      }
      next = waiting.erase(next);
      if (step->counted) ++counted;
      start(*step);
    }
  }

  /// A daemon lives longer than one zygote may: the kernel kills what it likes when memory is
  /// short. The steps that ran have ended by then.
  void replace_lost() {
    if (!executor->is_lost()) return;
    fmt::print(stderr, "lade daemon: the process that makes sandboxes had died; it is replaced\n");
    executor = Executor::create_late(options);
    executor->attach(*loop);
  }

  /// As the executor is to be told: with its own number of the step that is joined.
  ExecSpec located(const Start& step) const {
    ExecSpec spec = step.spec;
    if (!spec.join) return spec;
    const auto joined = steps.find(*spec.join);
    if (joined == steps.end()) throw Error("the container has ended");
    spec.join = joined->second;
    return spec;
  }

  void start(const Start& step) {
    const auto ended = [this, id = step.id, count = step.counted, receiver = step.receiver,
                        callbacks = step.callbacks](const ExecResult& result) {
      steps.erase(id);
      if (count) {
        --counted;
        post([this] { start_next(); });
      }
      deliver(receiver, [callbacks, result] { callbacks->exit(result); });
    };
    const auto output = [receiver = step.receiver, callbacks = step.callbacks](
                            LogStream stream, std::string_view bytes) {
      deliver(receiver,
              [callbacks, stream, text = std::string(bytes)] { callbacks->output(stream, text); });
    };
    try {
      replace_lost();
      try {
        steps[step.id] = executor->start(located(step), output, ended);
      } catch (const Error&) {
        if (!executor->is_lost()) throw;
        replace_lost();
        steps[step.id] = executor->start(located(step), output, ended);
      }
    } catch (const Error& error) {
      ExecResult result;
      result.exit_code = kNoSandbox;
      result.setup_error = error.message();
      ended(result);
    }
  }

  void kill(Executor::StepId id) {
    if (const auto found = steps.find(id); found != steps.end()) {
      executor->kill(found->second);
      return;
    }
    const auto found = std::find_if(waiting.begin(), waiting.end(),
                                    [&](const auto& step) { return step->id == id; });
    if (found == waiting.end()) return;
    const auto step = std::move(*found);
    waiting.erase(found);
    ExecResult result;
    result.signal = SIGKILL;
    result.exit_code = 128 + SIGKILL;
    deliver(step->receiver, [callbacks = step->callbacks, result] { callbacks->exit(result); });
  }
};

namespace {

class StandIn : public Executor {
 public:
  StandIn(std::shared_ptr<ExecutorHost::State> host, bool counted)
      : host_(std::move(host)), counted_(counted) {}

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
    work->id = id;
    work->counted = counted_;
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
    host_->post([host = host_.get(), work] { host->start_or_wait(work); });
    return id;
  }

  void kill(StepId step) override {
    host_->post([host = host_.get(), step] { host->kill(step); });
  }

  void signal(StepId step, int number) override {
    host_->post([host = host_.get(), step, number] {
      const auto found = host->steps.find(step);
      if (found != host->steps.end()) host->executor->signal(found->second, number);
    });
  }

 private:
  std::shared_ptr<ExecutorHost::State> host_;
  std::shared_ptr<Receiver> receiver_ = std::make_shared<Receiver>();
  bool counted_;
  std::set<StepId> running_;
};

}  // namespace

ExecutorHost::ExecutorHost(const ExecutorOptions& options)
    : state_(std::make_shared<State>(options)) {
  state_->executor = Executor::create(options);
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

void ExecutorHost::limit(int steps) {
  state_->limit = steps;
}

std::unique_ptr<Executor> ExecutorHost::stand_in(Counted counted) {
  return std::make_unique<StandIn>(state_, counted == Counted::yes);
}

}  // namespace lade
