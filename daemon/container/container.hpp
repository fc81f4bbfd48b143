// Containers that clients make through the gateway (`buildx debug` has its shells in them): a root
// and mounts made of results, and processes in them.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daemon/container/container_process.hpp"
#include "daemon/container/live_tree.hpp"
#include "daemon/job/job.hpp"
#include "solver/ops/exec_op.hpp"

namespace moby::buildkit::v1::frontend {
class InitMessage;
class NewContainerRequest;
}  // namespace moby::buildkit::v1::frontend

namespace lade {

/// The first process makes the sandbox and is PID 1 of it; others join it, and end with it. Nothing
/// of what they write is kept. Thread-safe; belongs to one job, which outlives it.
class Container {
 public:
  /// Solves what is mounted and brings it here. Throws Error.
  Container(Job& job, const moby::buildkit::v1::frontend::NewContainerRequest& request);
  /// release().
  ~Container();
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;

  /// Starts a process. What is wrong with it (an unknown user, say) is told as its end.
  std::shared_ptr<ContainerProcess> start(const moby::buildkit::v1::frontend::InitMessage& request,
                                          ContainerProcess::Listener listener);
  void signal(const std::shared_ptr<ContainerProcess>& process, int number);

  /// Kills what runs and waits until it is gone.
  void release();

  /// The files of mount `index` of the request, without what is mounted in it. Throws Error for one
  /// that has none to show.
  LiveTree files(int index);

 private:
  void load_mounts(const moby::buildkit::v1::frontend::NewContainerRequest& request);
  uint32_t add_input(const std::string& result);
  ExecSecrets find_secrets();
  void lease_caches();
  LiveTree root_files();
  ExecSpec spec_of(const moby::buildkit::v1::frontend::InitMessage& request);
  void launch(const std::shared_ptr<ContainerProcess>& process, ExecSpec spec);
  bool post(std::function<void()> work);
  void run();

  Job& job_;
  ExecOp op_;
  std::string default_path_;
  std::vector<LayerStack> inputs_;                ///< of op_: the root first
  std::vector<std::optional<ExecMount>> mounts_;  ///< as the request has them; nullopt: the root
  std::vector<CacheMount> caches_;
  std::map<size_t, std::string> cache_paths_;
  PreparedExec prepared_;

  std::mutex mutex_;  // guards what is below
  std::condition_variable changed_;
  EventLoop* loop_ = nullptr;
  bool closed_ = false;
  // Of the thread alone:
  std::unique_ptr<Executor> executor_;
  std::optional<Executor::StepId> first_;
  std::map<ContainerProcess*, Executor::StepId> running_;
  bool released_ = false;

  std::mutex join_mutex_;
  std::thread thread_;
};

/// The containers of one build, by the IDs that its client gives them. Thread-safe.
class Containers {
 public:
  /// Throws Error if there is one of the name, or the build has ended.
  void add(const std::string& id, std::shared_ptr<Container> container);
  /// Throws Error(not_found).
  std::shared_ptr<Container> find(const std::string& id);
  /// Null if there is none.
  std::shared_ptr<Container> take(const std::string& id);
  /// Releases all; no more can be added.
  void close();

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Container>> containers_;
  bool closed_ = false;
};

}  // namespace lade
