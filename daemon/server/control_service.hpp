// moby.buildkit.v1.Control: builds, their progress and history, sessions, the worker and its disk.
#pragma once

#include <atomic>

#include "daemon/build/builds.hpp"
#include "daemon/build/history.hpp"
#include "daemon/proto/control.grpc.pb.h"
#include "daemon/server/worker.hpp"

namespace lade {

class ControlService final : public moby::buildkit::v1::Control::Service {
 public:
  /// All outlive it.
  ControlService(DaemonShared& shared, Builds& builds, History& history, const WorkerInfo& worker)
      : shared_(shared), builds_(builds), history_(history), worker_(worker) {}

  /// Ends what listens without an end of its own.
  void stop() { stopping_ = true; }

  grpc::Status Info(grpc::ServerContext* context, const moby::buildkit::v1::InfoRequest* request,
                    moby::buildkit::v1::InfoResponse* response) override;
  grpc::Status ListWorkers(grpc::ServerContext* context,
                           const moby::buildkit::v1::ListWorkersRequest* request,
                           moby::buildkit::v1::ListWorkersResponse* response) override;
  grpc::Status Solve(grpc::ServerContext* context, const moby::buildkit::v1::SolveRequest* request,
                     moby::buildkit::v1::SolveResponse* response) override;
  grpc::Status Status(grpc::ServerContext* context,
                      const moby::buildkit::v1::StatusRequest* request,
                      grpc::ServerWriter<moby::buildkit::v1::StatusResponse>* writer) override;
  grpc::Status Session(grpc::ServerContext* context,
                       grpc::ServerReaderWriter<moby::buildkit::v1::BytesMessage,
                                                moby::buildkit::v1::BytesMessage>* stream) override;
  grpc::Status DiskUsage(grpc::ServerContext* context,
                         const moby::buildkit::v1::DiskUsageRequest* request,
                         moby::buildkit::v1::DiskUsageResponse* response) override;
  grpc::Status Prune(grpc::ServerContext* context, const moby::buildkit::v1::PruneRequest* request,
                     grpc::ServerWriter<moby::buildkit::v1::UsageRecord>* writer) override;
  grpc::Status ListenBuildHistory(
      grpc::ServerContext* context, const moby::buildkit::v1::BuildHistoryRequest* request,
      grpc::ServerWriter<moby::buildkit::v1::BuildHistoryEvent>* writer) override;
  grpc::Status UpdateBuildHistory(
      grpc::ServerContext* context, const moby::buildkit::v1::UpdateBuildHistoryRequest* request,
      moby::buildkit::v1::UpdateBuildHistoryResponse* response) override;

 private:
  DaemonShared& shared_;
  Builds& builds_;
  History& history_;
  const WorkerInfo& worker_;
  std::atomic<bool> stopping_{false};
};

}  // namespace lade
