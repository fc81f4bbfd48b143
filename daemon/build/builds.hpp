// The builds of the daemon, by the reference that clients give them: what the services do, free of
// gRPC.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "daemon/build/exports.hpp"
#include "daemon/build/frontend.hpp"
#include "daemon/build/history.hpp"
#include "daemon/container/container.hpp"
#include "daemon/job/job.hpp"

namespace moby::buildkit::v1 {
class SolveRequest;
class SolveResponse;
namespace frontend {
class ReturnRequest;
class Result;
class SolveRequest;
class SolveResponse;
}  // namespace frontend
}  // namespace moby::buildkit::v1

namespace pb {
class Definition;
}

namespace lade {

/// One build, and the client that may drive it through the gateway.
class Build {
 public:
  Build(std::shared_ptr<Job> job) : job_(std::move(job)) {}

  Job& job() { return *job_; }
  const std::shared_ptr<Job>& shared_job() const { return job_; }

  std::map<std::string, std::shared_ptr<JobRef>> inputs;  ///< of the request's FrontendInputs
  std::map<std::string, std::string> input_definitions;   ///< the same, serialized
  Containers containers;

  /// What the client returns in the end. Once.
  void give(FrontendResult result);
  void give_error(std::exception_ptr error);
  /// Waits for that. Throws Error(canceled) with the job.
  FrontendResult wait();

 private:
  std::shared_ptr<Job> job_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<FrontendResult> result_;  // guarded by mutex_
  std::exception_ptr error_;              // guarded by mutex_
};

/// Thread-safe.
class Builds {
 public:
  Builds(DaemonShared& shared, History& history) : shared_(shared), history_(history) {}

  /// Control.Solve: runs a build to its end. `gone()` says that the client is not there any more.
  moby::buildkit::v1::SolveResponse solve(const moby::buildkit::v1::SolveRequest& request,
                                          const std::function<bool()>& gone);

  /// Waits for the build to begin, for some seconds. Null if it does not.
  std::shared_ptr<Build> find(const std::string& id, const std::function<bool()>& gone);

  /// The gateway's calls on one build.
  moby::buildkit::v1::frontend::SolveResponse gateway_solve(
      Build& build, const moby::buildkit::v1::frontend::SolveRequest& request);
  void gateway_return(Build& build, const moby::buildkit::v1::frontend::ReturnRequest& request);

  /// From a client's graph; results of other builds are found by it.
  std::shared_ptr<JobRef> load_graph(Build& build, const pb::Definition& definition);
  std::shared_ptr<JobRef> load_graph(Build& build, const pb::Definition& definition,
                                     const SourcePolicies& policies);

  /// Lets go of results of builds that have ended, unless their clients are still there to name
  /// them.
  void forget_old_results();

  /// Cancels all and waits until they have ended.
  void shut_down();

 private:
  /// A build that can be found; nothing of it has run.
  std::shared_ptr<Build> start(const moby::buildkit::v1::SolveRequest& request,
                               std::shared_ptr<SessionCalls> session,
                               std::shared_ptr<Journal> journal, const std::function<bool()>& gone);
  /// What the exporters answer.
  ExportAnswer run_and_export(Build& build, const moby::buildkit::v1::SolveRequest& request);
  void complete(moby::buildkit::v1::BuildHistoryRecord& record, const std::exception_ptr& failure);
  FrontendResult run(Build& build, const moby::buildkit::v1::SolveRequest& request);
  void put_result(Build& build, const FrontendResult& from,
                  moby::buildkit::v1::frontend::Result& to);
  void set_policies(Job& job, const moby::buildkit::v1::SolveRequest& request,
                    const std::function<bool()>& gone);

  struct Kept {
    std::shared_ptr<Job> job;
    std::shared_ptr<JobRef> ref;
  };

  DaemonShared& shared_;
  History& history_;
  std::mutex mutex_;  // guards what is below
  std::condition_variable ended_;
  std::map<std::string, std::shared_ptr<Build>> running_;
  std::map<std::string, Kept> results_;  // that clients may name in graphs
  bool shutting_down_ = false;
};

}  // namespace lade
