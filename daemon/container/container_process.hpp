// One process of a container, and what it says and is told.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "base/sys.hpp"
#include "solver/executor/child/protocol.hpp"
#include "solver/executor/executor.hpp"

namespace lade {

/// How it ended. With `error` it was not (only) the process's doing.
struct ProcessEnd {
  int exit_code = 0;
  std::string error;
  bool canceled = false;
};

/// Reads the process's output at the pace of whoever takes it, on a thread of its own.
class ContainerProcess {
 public:
  /// Called on that thread, one at a time: the output as it comes, then the end, once.
  struct Listener {
    std::function<void(uint32_t fd, std::string_view bytes)> output;
    std::function<void(const ProcessEnd& end)> ended;
  };

  /// `fds` of 0, 1, 2 are those that somebody is at the other end of.
  ContainerProcess(const std::set<uint32_t>& fds, bool terminal, Listener listener);
  /// Waits for the end, which must have been told.
  ~ContainerProcess();
  ContainerProcess(const ContainerProcess&) = delete;
  ContainerProcess& operator=(const ContainerProcess&) = delete;

  // What the client does. Thread-safe.
  /// Waits until the process has taken it, has ended, or `stop()` (asked now and then) says so.
  void write_input(std::string_view bytes, const std::function<bool()>& stop);
  void close_input();
  void resize(uint16_t rows, uint16_t columns);

  // What the container does.
  /// Fills in the spec's descriptors, which are borrowed.
  void lend(ExecSpec& spec) const;
  /// The process has them now.
  void started();
  void end(ProcessEnd end);

 private:
  void run();
  void take_terminal();
  enum class Read { something, nothing, end };
  Read pass_on(int fd, uint32_t as);
  void drain();
  std::shared_ptr<UniqueFd> input();

  const std::set<uint32_t> fds_;
  const Listener listener_;
  // The process's sides, until it has them.
  UniqueFd null_;
  UniqueFd child_input_;
  UniqueFd child_output_;
  UniqueFd child_error_;
  sandbox::Channel child_terminal_;
  // Ours, of the thread alone:
  UniqueFd output_;
  UniqueFd error_;
  sandbox::Channel terminal_channel_;
  UniqueFd over_;  // an eventfd: the end was told

  std::mutex mutex_;  // guards what is below
  std::condition_variable changed_;
  std::shared_ptr<UniqueFd> input_;     // a pipe, or the terminal
  std::shared_ptr<UniqueFd> terminal_;  // our side
  bool expects_terminal_ = false;       // it may still come
  uint16_t rows_ = 0;
  uint16_t columns_ = 0;
  std::optional<ProcessEnd> end_;

  std::thread thread_;
};

}  // namespace lade
