// moby.buildkit.v1.frontend.LLBBridge: a client drives a build through it as a frontend does. Which
// build is meant is in the metadata of each call.
#pragma once

#include "daemon/build/builds.hpp"
#include "daemon/proto/gateway.grpc.pb.h"
#include "daemon/server/worker.hpp"

namespace lade {

class BridgeService final : public moby::buildkit::v1::frontend::LLBBridge::Service {
 public:
  /// Both outlive it.
  BridgeService(Builds& builds, const WorkerInfo& worker) : builds_(builds), worker_(worker) {}

  grpc::Status Ping(grpc::ServerContext* context,
                    const moby::buildkit::v1::frontend::PingRequest* request,
                    moby::buildkit::v1::frontend::PongResponse* response) override;
  grpc::Status Solve(grpc::ServerContext* context,
                     const moby::buildkit::v1::frontend::SolveRequest* request,
                     moby::buildkit::v1::frontend::SolveResponse* response) override;
  grpc::Status Return(grpc::ServerContext* context,
                      const moby::buildkit::v1::frontend::ReturnRequest* request,
                      moby::buildkit::v1::frontend::ReturnResponse* response) override;
  grpc::Status Inputs(grpc::ServerContext* context,
                      const moby::buildkit::v1::frontend::InputsRequest* request,
                      moby::buildkit::v1::frontend::InputsResponse* response) override;
  grpc::Status ReadFile(grpc::ServerContext* context,
                        const moby::buildkit::v1::frontend::ReadFileRequest* request,
                        moby::buildkit::v1::frontend::ReadFileResponse* response) override;
  grpc::Status ReadDir(grpc::ServerContext* context,
                       const moby::buildkit::v1::frontend::ReadDirRequest* request,
                       moby::buildkit::v1::frontend::ReadDirResponse* response) override;
  grpc::Status StatFile(grpc::ServerContext* context,
                        const moby::buildkit::v1::frontend::StatFileRequest* request,
                        moby::buildkit::v1::frontend::StatFileResponse* response) override;
  grpc::Status Evaluate(grpc::ServerContext* context,
                        const moby::buildkit::v1::frontend::EvaluateRequest* request,
                        moby::buildkit::v1::frontend::EvaluateResponse* response) override;
  grpc::Status ResolveImageConfig(
      grpc::ServerContext* context,
      const moby::buildkit::v1::frontend::ResolveImageConfigRequest* request,
      moby::buildkit::v1::frontend::ResolveImageConfigResponse* response) override;
  grpc::Status ResolveSourceMeta(
      grpc::ServerContext* context,
      const moby::buildkit::v1::frontend::ResolveSourceMetaRequest* request,
      moby::buildkit::v1::frontend::ResolveSourceMetaResponse* response) override;
  grpc::Status Warn(grpc::ServerContext* context,
                    const moby::buildkit::v1::frontend::WarnRequest* request,
                    moby::buildkit::v1::frontend::WarnResponse* response) override;

  // Containers (container.hpp), and processes in them (exec_stream.hpp).
  grpc::Status NewContainer(grpc::ServerContext* context,
                            const moby::buildkit::v1::frontend::NewContainerRequest* request,
                            moby::buildkit::v1::frontend::NewContainerResponse* response) override;
  grpc::Status ReleaseContainer(
      grpc::ServerContext* context,
      const moby::buildkit::v1::frontend::ReleaseContainerRequest* request,
      moby::buildkit::v1::frontend::ReleaseContainerResponse* response) override;
  grpc::Status ReadFileContainer(grpc::ServerContext* context,
                                 const moby::buildkit::v1::frontend::ReadFileRequest* request,
                                 moby::buildkit::v1::frontend::ReadFileResponse* response) override;
  grpc::Status ReadDirContainer(grpc::ServerContext* context,
                                const moby::buildkit::v1::frontend::ReadDirRequest* request,
                                moby::buildkit::v1::frontend::ReadDirResponse* response) override;
  grpc::Status StatFileContainer(grpc::ServerContext* context,
                                 const moby::buildkit::v1::frontend::StatFileRequest* request,
                                 moby::buildkit::v1::frontend::StatFileResponse* response) override;
  grpc::Status ExecProcess(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<moby::buildkit::v1::frontend::ExecMessage,
                               moby::buildkit::v1::frontend::ExecMessage>* stream) override;

 private:
  std::shared_ptr<Build> build_of(grpc::ServerContext& context);

  Builds& builds_;
  const WorkerInfo& worker_;
};

}  // namespace lade
