// An executor without processes: steps end when their script says so.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <fcntl.h>

#include "base/event_loop.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "solver/executor/executor.hpp"

namespace lade::testing_solver {

/// What a step does.
struct FakeStep {
  std::chrono::milliseconds takes{0};
  bool hangs = false;                        ///< until it is killed
  std::map<std::string, std::string> files;  ///< written into the root
  /// Written into writable mounts, by their targets.
  std::map<std::string, std::map<std::string, std::string>> mounted{};
  std::string output;
  ExecResult result;
};

/// Steps are looked up by their arguments joined with blanks; unknown ones do nothing. Use and
/// destroy it on the event loop's thread.
class FakeExecutor : public Executor {
 public:
  std::map<std::string, FakeStep> steps;
  std::vector<std::string> started;  ///< in order
  std::vector<std::string> killed;
  std::vector<ExecSpec> specs;
  size_t running = 0;
  size_t most_running = 0;
  int prefetches = 0;

  void attach(EventLoop& loop) override { loop_ = &loop; }
  void prefetch_network() override { ++prefetches; }
  void signal(StepId, int) override {}

  StepId start(const ExecSpec& spec, OnOutput on_output, OnExit on_exit) override {
    const StepId id = ++last_id_;
    const std::string command = join(spec.args, " ");
    started.push_back(command);
    specs.push_back(spec);
    most_running = std::max(most_running, ++running);
    const FakeStep step = steps[command];
    live_[id] = {command, std::move(on_exit)};
    std::vector<std::pair<std::string, std::map<std::string, std::string>>> trees;
    trees.emplace_back(spec.rootfs.upper, step.files);
    for (const auto& mount : spec.mounts) {
      const auto written = step.mounted.find(mount.target);
      if (written != step.mounted.end()) trees.emplace_back(mount.upper, written->second);
    }
    const auto finish = [this, id, step, trees, on_output] {
      if (!live_.contains(id)) return;
      for (const auto& [upper, files] : trees) {
        for (const auto& [path, content] : files) {
          const std::string file = upper + "/" + path;
          sys::make_dirs(dir_name(file));
          sys::write_all(sys::open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644).get(), content);
        }
      }
      if (!step.output.empty()) on_output(LogStream::out, step.output);
      end(id, step.result);
    };
    if (!step.hangs) loop_->after(step.takes, finish);
    return id;
  }

  void kill(StepId step) override {
    const auto found = live_.find(step);
    if (found == live_.end()) return;
    killed.push_back(found->second.command);
    loop_->post([this, step] {
      ExecResult result;
      result.exit_code = 137;
      result.signal = 9;
      if (live_.contains(step)) end(step, result);
    });
  }

 private:
  struct Live {
    std::string command;
    OnExit on_exit;
  };

  void end(StepId id, const ExecResult& result) {
    const auto on_exit = live_.at(id).on_exit;
    live_.erase(id);
    --running;
    on_exit(result);
  }

  EventLoop* loop_ = nullptr;
  StepId last_id_ = 0;
  std::map<StepId, Live> live_;
};

}  // namespace lade::testing_solver
