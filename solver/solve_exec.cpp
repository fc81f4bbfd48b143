// Running the steps of a graph: ExecOps.
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
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

[[noreturn]] void throw_exit(const ExecOp& op, const ExecResult& result) {
  std::string message =
      fmt::format("process \"{}\" did not complete successfully", join(op.args, " "));
  if (!result.setup_error.empty()) {
    throw Error(fmt::format("{}: {}", message, result.setup_error));
  }
  if (result.out_of_memory) message += ": out of memory";
  throw Error(fmt::format("{}: exit code: {}", message, result.exit_code));
}

}  // namespace

void Solver::Run::keep_log(uint32_t vertex, std::string_view bytes) {
  std::string& log = logs_[vertex];
  log += bytes;
  if (log.size() > 2 * kLogTail) log.erase(0, log.size() - kLogTail);
}

Task<ExecResult> Solver::Run::run_process(uint32_t vertex, const ExecSpec& spec) {
  struct Awaiter {
    Run& run;
    uint32_t vertex;
    const ExecSpec& spec;
    ExecResult result;
    Executor::StepId step = 0;

    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      step = run.executor_->start(
          spec,
          [this](LogStream stream, std::string_view bytes) {
            run.keep_log(vertex, bytes);
            run.progress_.log(number(vertex), stream, bytes);
          },
          [this, waiter](const ExecResult& ended) {
            result = ended;
            run.running_.erase(step);
            resume_soon(waiter);
          });
      run.running_.insert(step);
    }
    ExecResult await_resume() { return std::move(result); }
  };
  Awaiter awaiter{*this, vertex, spec, {}};
  co_return co_await awaiter;
}

Task<std::shared_ptr<std::vector<CacheMount>>> Solver::Run::lease_caches(
    const ExecOp& op, std::map<size_t, std::string>& paths) {
  auto leases = std::make_shared<std::vector<CacheMount>>();
  const std::string root = state_.root() + "/cache-mounts";
  // In the order of their ids: two steps that lock the same caches must not wait for each other.
  std::multimap<std::string, size_t> by_id;
  for (size_t i = 0; i < op.mounts.size(); ++i) {
    if (op.mounts[i].type == ExecMountType::cache) by_id.emplace(op.mounts[i].id, i);
  }
  std::map<std::string, std::string> leased;
  for (const auto& [id, i] : by_id) {
    // Two mounts of one id in one step share the first's lease.
    const auto known = leased.find(id);
    if (known != leased.end()) {
      paths[i] = known->second;
      continue;
    }
    for (;;) {
      check_canceled();
      auto lease = CacheMount::try_lease(root, op.mounts[i]);
      if (lease) {
        paths[i] = leased[id] = lease->path();
        leases->push_back(std::move(*lease));
        break;
      }
      co_await sleep_for(loop_, kCachePoll);
    }
  }
  co_return leases;
}

Task<LayerId> Solver::Run::run_exec(uint32_t vertex, const ExecOp& op,
                                    std::vector<LayerStack> inputs) {
  if (!executor_) throw Error("this machine cannot run steps");
  if (options_.max_parallelism > 0) {
    struct WaitForSlot {
      Run& run;
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
  const auto leases = co_await lease_caches(op, cache_paths);
  auto prepare = [&] { return prepare_exec(state_, op, inputs, cache_paths, options_.secrets); };
  PreparedExec prepared = co_await on_cpu(loop_, prepare);
  check_canceled();
  const ExecResult result = co_await run_process(vertex, prepared.spec);
  check_canceled();
  if (!result.setup_error.empty() || result.exit_code != 0) throw_exit(op, result);
  auto commit = [&] { return state_.layers().commit_upper(std::move(prepared.upper), inputs[0]); };
  co_return co_await on_cpu(loop_, commit);
}

}  // namespace lade
