// A root filesystem of busybox, an executor, and a way to run a step to its end.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/types.h>

#include "base/event_loop.hpp"
#include "base/temp_dir.hpp"
#include "solver/executor/executor.hpp"

namespace lade::testing {

struct Finished {
  ExecResult result;
  std::string out;
  std::string err;
};

/// A directory below `parent` with /bin/busybox, links for its applets, and empty /proc /sys /dev
/// /etc /tmp.
void make_busybox_root(const std::string& root);

/// A step of `sh -c script` on `root` (bind), without a network of its own: the quickest kind.
ExecSpec shell(const std::string& root, const std::string& script);

/// Processes whose command line has `marker` in it, by /proc.
std::vector<pid_t> processes_with(const std::string& marker);
/// Processes of a session.
std::vector<pid_t> processes_of_session(pid_t session);
std::optional<pid_t> child_named(pid_t parent, const std::string& name);

bool write_text(const std::string& path, const std::string& text, int mode = 0644);
std::string read_text(const std::string& path);

/// Polls until `done` or the time is over; the final answer of `done`.
bool eventually(const std::function<bool()>& done, int milliseconds = 10000);

/// Each test ends with the mounts that it began with.
class SandboxTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  virtual ExecutorOptions options() const { return {}; }

  const std::string& root() const { return root_; }
  const std::string& dir() const { return temp_.path(); }
  std::string make_dir(const std::string& name);
  ExecSpec sh(const std::string& script) const { return shell(root_, script); }

  /// An overlay of `lowers` (top first) over the busybox root, with a fresh upper directory.
  Mount overlay(std::vector<std::string> lowers);
  const std::string& upper() const { return upper_; }

  Executor& executor() { return *executor_; }
  EventLoop& loop() { return *loop_; }
  Finished run(const ExecSpec& spec);
  /// Standard output of a step that must succeed.
  std::string output_of(const ExecSpec& spec);
  void end_executor() { executor_.reset(); }
  /// Another executor.
  void restart(const ExecutorOptions& options);

 private:
  TempDir temp_;
  std::string root_;
  std::string upper_;
  std::set<std::string> mounts_;  // before the test, lines of /proc/self/mountinfo
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Executor> executor_;
};

}  // namespace lade::testing
