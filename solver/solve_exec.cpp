// Running the steps of a graph: ExecOps.
#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "snapshotter/cache_mount.hpp"
#include "snapshotter/reserve.hpp"
#include "solver/ops/restore_mount.hpp"
#include "solver/solve_run.hpp"

namespace lade {
namespace {

constexpr size_t kLogTail = 16 * 1024;
constexpr auto kCachePoll = std::chrono::milliseconds(20);

/// Holds one of the slots for running steps while it lives.
class Slot {
 public:
  explicit Slot(std::function<void()> release) : release_(std::move(release)) {}
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot() { release_(); }

 private:
  std::function<void()> release_;
};

bool succeeded(const ExecOp& op, const ExecResult& result) {
  if (!result.setup_error.empty()) return false;
  if (op.good_exit_codes.empty()) return result.exit_code == 0;
  return std::find(op.good_exit_codes.begin(), op.good_exit_codes.end(), result.exit_code) !=
         op.good_exit_codes.end();
}

/// In double quotes, on one line.
std::string shown_command(const ExecOp& op) {
  std::string out = "\"";
  for (const char c : join(op.args, " ")) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

void SolveRun::keep_log(uint32_t vertex, std::string_view bytes) {
  std::string& log = logs_[vertex];
  log += bytes;
  if (log.size() > 2 * kLogTail) log.erase(0, log.size() - kLogTail);
}

Task<SolveRun::Attempt> SolveRun::run_process(uint32_t vertex, const ExecSpec& spec,
                                              std::chrono::nanoseconds timeout) {
  struct Awaiter {
    SolveRun& run;
    uint32_t vertex;
    const ExecSpec& spec;
    std::chrono::nanoseconds timeout;
    Attempt attempt;
    Executor::StepId step = 0;
    std::optional<EventLoop::TimerId> timer;

    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      step = run.executor_->start(
          spec,
          [this](LogStream stream, std::string_view bytes) {
            run.keep_log(vertex, bytes);
            run.progress_.log(number(vertex), stream, bytes);
          },
          [this, waiter](const ExecResult& ended) {
            attempt.result = ended;
            if (timer) run.loop_.cancel(*timer);
            run.running_.erase(step);
            resume_soon(waiter);
          });
      run.running_.insert(step);
      if (timeout.count() > 0) start_timer();
    }
    void start_timer() {
      timer = run.loop_.after(std::chrono::ceil<std::chrono::milliseconds>(timeout), [this] {
        timer.reset();
        attempt.timed_out = true;
        run.executor_->kill(step);
      });
    }
    Attempt await_resume() { return std::move(attempt); }
  };
  Awaiter awaiter{*this, vertex, spec, timeout, {}, 0, {}};
  co_return co_await awaiter;
}

Error SolveRun::attempt_error(uint32_t vertex, const ExecOp& op, const Attempt& attempt) const {
  std::string message = fmt::format("process {} did not complete successfully", shown_command(op));
  const ExecResult& result = attempt.result;
  if (attempt.timed_out) {
    return Error(fmt::format("{}: it ran for longer than {:g} s", message,
                             std::chrono::duration<double>(op.timeout).count()));
  }
  if (result.setup_error.empty()) {
    if (result.out_of_memory) message += ": out of memory";
    if (result.pids_limit_met != 0) {
      message += fmt::format(": it met its limit of {} processes", result.pids_limit_met);
    }
    Error error(fmt::format("{}: exit code: {}", message, result.exit_code));
    // What the step wrote lies there still, whatever it says of its failure.
    if (is_disk_full(state_.root())) error.set_hint(kRoomHint);
    return error;
  }
  Error error(fmt::format("{}: {}", message, result.setup_error));
  const std::string& name = vertex_at(vertex).platform;
  const Platform platform = name.empty() ? Platform::host() : Platform::parse(name);
  if (!Platform::host().accepts(platform)) {
    error.set_hint(fmt::format(
        "this machine runs {0} only through an emulator that the kernel knows of: on Debian, "
        "apt-get install qemu-user-static (or: docker run --privileged --rm tonistiigi/binfmt "
        "--install {1}); or let FROM --platform=$BUILDPLATFORM cross-compile",
        platform.str(), platform.architecture));
  }
  return error;
}

void SolveRun::find_stale_caches() {
  for (uint32_t i = 0; i < states_.size(); ++i) {
    const auto* exec = std::get_if<ExecOp>(&vertex_at(i).op);
    if (!exec || !vertex_at(i).ignore_cache) continue;
    for (const auto& mount : exec->mounts) {
      if (mount.type == ExecMountType::cache) stale_caches_.insert(mount.id);
    }
  }
}

/// But for those that steps of other builds work in.
Task<void> SolveRun::empty_cache(Digest name) {
  std::vector<std::pair<UniqueFd, CacheMountDirectory>> held;
  for (auto& directory : CacheMountDirectory::all(state_.root(), name)) {
    if (auto lock = directory.try_lock(false)) held.emplace_back(std::move(*lock), directory);
  }
  if (held.empty()) co_return;
  auto work = [&] {
    for (const auto& [lock, directory] : held) directory.discard(state_);
  };
  co_await on_thread(loop_, work);
}

/// The name of the mount's directory. Of one that was never used here, and that a cache has which
/// this build reads, it is another one: that begins as the cache's tree.
Task<Digest> SolveRun::find_cache(uint32_t vertex, ExecMount mount, Digest name) {
  const bool is_stale = stale_caches_.contains(mount.id) && emptied_mounts_.insert(name).second;
  if (is_stale) co_await empty_cache(name);
  if (!options_.imports || mount.input || CacheMountDirectory(state_.root(), name).exists()) {
    co_return name;
  }
  co_await imports_;
  const auto shared = options_.imports->mount(name);
  if (!shared) co_return name;
  const Digest restored = restored_mount(name, shared->blob.digest);
  if (is_stale) co_await empty_cache(restored);
  co_await restore_cache(vertex, mount.id, *shared, CacheMountDirectory(state_.root(), restored));
  states_[vertex].mounts.emplace(restored, shared->origin);
  co_return restored;
}

/// Whoever else wants it waits for the lock; a mount that cannot be had is an empty one.
Task<void> SolveRun::restore_cache(uint32_t vertex, std::string id, CacheImports::Mount shared,
                                   CacheMountDirectory directory) {
  if (directory.exists()) co_return;
  const auto lock = directory.try_lock(false);
  if (!lock || directory.exists()) co_return;
  progress_.status(
      number(vertex),
      fmt::format("restoring the cache mount {} from {}", lade::quoted(id), shared.origin), 0, 0);
  auto work = [&]() -> std::string {
    try {
      restore_mount(state_, directory, shared.blob, *shared.provider);
      return "";
    } catch (const Error& error) {
      return error.message();
    }
  };
  const std::string problem = co_await on_thread(loop_, work);
  if (problem.empty()) co_return;
  progress_.warning(fmt::format("the cache mount {} of {} is not used: {}", lade::quoted(id),
                                shared.origin, problem));
}

Task<std::shared_ptr<std::vector<CacheMount>>> SolveRun::lease_caches(
    uint32_t vertex, const ExecOp& op, const std::vector<LayerStack>& inputs,
    std::map<size_t, std::string>& paths) {
  auto leases = std::make_shared<std::vector<CacheMount>>();
  // In the order of their names: two steps that lock the same caches must not wait for each other.
  std::multimap<Digest, size_t> by_name;
  // What a mount begins as may have to be hashed.
  auto find_names = [&] {
    for (size_t i = 0; i < op.mounts.size(); ++i) {
      if (op.mounts[i].type != ExecMountType::cache) continue;
      by_name.emplace(CacheMount::name_of(op.mounts[i], state_, inputs), i);
    }
  };
  const bool must_hash = std::any_of(op.mounts.begin(), op.mounts.end(), [](const auto& mount) {
    return mount.type == ExecMountType::cache && mount.input;
  });
  if (must_hash) {
    co_await on_cpu(loop_, find_names);
  } else {
    find_names();
  }
  std::map<Digest, std::string> leased;
  for (const auto& [own_name, i] : by_name) {
    // Two mounts of one name in one step share the first's lease.
    const auto known = leased.find(own_name);
    if (known != leased.end()) {
      paths[i] = known->second;
      continue;
    }
    const Digest name = co_await find_cache(vertex, op.mounts[i], own_name);
    used_mounts_.insert(own_name);
    for (;;) {
      check_canceled();
      auto lease = CacheMount::try_lease(state_.root(), op.mounts[i], name);
      if (lease) {
        paths[i] = leased[own_name] = lease->path();
        leases->push_back(std::move(*lease));
        break;
      }
      co_await sleep_for(loop_, kCachePoll);
    }
  }
  co_return leases;
}

/// What a step that has ended leaves: its outputs, in order.
std::vector<LayerStack> SolveRun::commit_outputs(const ExecOp& op, PreparedExec& prepared,
                                                 const std::vector<LayerStack>& inputs) {
  std::vector<LayerStack> outputs(output_count(op));
  outputs[0] = inputs[0];
  if (!op.read_only_root) {
    outputs[0].push_back(state_.layers().commit_upper(std::move(prepared.upper), inputs[0]));
  }
  for (const auto& mount : op.mounts) {
    if (!mount.output) continue;
    LayerStack& output = outputs.at(*mount.output);
    output = inputs.at(mount.input.value());
    // One that was replaced by a later mount of its target has not been there.
    const auto upper = prepared.outputs.find(*mount.output);
    if (upper == prepared.outputs.end()) continue;
    output.push_back(state_.layers().commit_upper(std::move(upper->second), output));
  }
  return outputs;
}

Task<void> SolveRun::keep_failed(uint32_t vertex, const ExecOp& op, PreparedExec& prepared,
                                 const std::vector<LayerStack>& inputs) {
  if (!options_.keep_failed) co_return;
  try {
    auto commit = [&] { return commit_outputs(op, prepared, inputs); };
    auto outputs = co_await on_cpu(loop_, commit);
    failed_steps[vertex] = {vertex, inputs, std::move(outputs)};
  } catch (const Error&) {
    // The step's own error says more.
  }
}

/// Of all that a step is to see: this may have to wait for another step that borrows of it.
Task<void> SolveRun::keep_private(const std::vector<LayerStack>& inputs) {
  LayerStore& layers = state_.layers();
  const bool done = std::all_of(inputs.begin(), inputs.end(), [&](const LayerStack& stack) {
    return layers.keep_private(stack, false);
  });
  if (done) co_return;
  auto work = [&] {
    for (const LayerStack& stack : inputs) layers.keep_private(stack, true);
  };
  co_await on_thread(loop_, work);
}

Task<std::vector<LayerStack>> SolveRun::run_exec(uint32_t vertex, const ExecOp& op,
                                                 std::vector<LayerStack> inputs) {
  if (!executor_) throw Error("this machine cannot run steps");
  if (options_.max_parallelism > 0) {
    struct WaitForSlot {
      SolveRun& run;
      bool await_ready() const {
        if (run.free_slots_ == 0) return false;
        --run.free_slots_;
        return true;
      }
      void await_suspend(std::coroutine_handle<> waiter) {
        run.waiting_for_slot_.push_back(waiter);
      }
      void await_resume() const {}
    };
    co_await WaitForSlot{*this};
  }
  const Slot slot([this] {
    if (options_.max_parallelism == 0) return;
    if (waiting_for_slot_.empty()) {
      ++free_slots_;
      return;
    }
    // Handed over, so that nobody else can take it in between.
    const auto next = waiting_for_slot_.front();
    waiting_for_slot_.pop_front();
    resume_soon(next);
  });
  check_canceled();
  std::map<size_t, std::string> cache_paths;
  const auto leases = co_await lease_caches(vertex, op, inputs, cache_paths);
  const ExecSecrets secrets{options_.secrets, options_.ssh};
  co_await keep_private(inputs);
  check_canceled();
  auto prepare = [&] { return prepare_exec(state_, op, inputs, cache_paths, secrets); };
  for (int attempt = 1;; ++attempt) {
    PreparedExec prepared = co_await on_cpu(loop_, prepare);
    check_canceled();
    std::vector<std::unique_ptr<SshForward>> forwards;
    for (auto& socket : prepared.ssh) {
      forwards.push_back(std::make_unique<SshForward>(loop_, std::move(socket)));
    }
    const Attempt ended = co_await run_process(vertex, prepared.spec, op.timeout);
    check_canceled();
    if (succeeded(op, ended.result)) {
      auto commit = [&] { return commit_outputs(op, prepared, inputs); };
      co_return co_await on_cpu(loop_, commit);
    }
    const Error error = attempt_error(vertex, op, ended);
    if (attempt > op.retries) {
      co_await keep_failed(vertex, op, prepared, inputs);
      throw error;
    }
    progress_.status(
        number(vertex),
        fmt::format("attempt {} of {}: {}; again", attempt, op.retries + 1, error.message()), 0, 0);
  }
}

}  // namespace lade
