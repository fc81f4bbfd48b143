#include "daemon/bridge_service.hpp"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include "base/error.hpp"
#include "base/pattern.hpp"
#include "base/text.hpp"
#include "daemon/go_stat.hpp"
#include "daemon/grpc_status.hpp"
#include "daemon/proto/control.pb.h"
#include "daemon/ref_files.hpp"
#include "daemon/source_meta.hpp"

namespace lade {
namespace {

namespace api = moby::buildkit::v1::frontend;

constexpr const char* kBuildId = "buildkit-controlapi-buildid";
constexpr uint64_t kMaxFile = 16u << 20;  // what a message may be

RefFiles open_ref(Build& build, const std::string& id) {
  std::shared_ptr<JobRef> ref;
  if (!id.empty()) {
    ref = build.job().find_ref(id);
    if (!ref) throw Error("there is no result " + lade::quoted(id), ErrorKind::not_found);
  }
  return {build.job(), build.job().layers(ref)};
}

grpc::Status no_containers() {
  return {grpc::StatusCode::UNIMPLEMENTED, "containers of the gateway are not supported"};
}

}  // namespace

std::shared_ptr<Build> BridgeService::build_of(grpc::ServerContext& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(kBuildId);
  if (found == metadata.end()) throw Error("no buildid found in context");
  const std::string id(found->second.data(), found->second.size());
  auto build = builds_.find(id, [&] { return context.IsCancelled(); });
  if (!build) throw Error("no such job " + id, ErrorKind::not_found);
  return build;
}

grpc::Status BridgeService::Ping(grpc::ServerContext* context, const api::PingRequest*,
                                 api::PongResponse* response) {
  return guarded([&] {
    build_of(*context);
    put_pong(worker_, *response);
  });
}

grpc::Status BridgeService::Solve(grpc::ServerContext* context, const api::SolveRequest* request,
                                  api::SolveResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    *response = builds_.gateway_solve(*build, *request);
  });
}

grpc::Status BridgeService::Return(grpc::ServerContext* context, const api::ReturnRequest* request,
                                   api::ReturnResponse*) {
  return guarded([&] {
    const auto build = build_of(*context);
    builds_.gateway_return(*build, *request);
  });
}

grpc::Status BridgeService::Inputs(grpc::ServerContext* context, const api::InputsRequest*,
                                   api::InputsResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    for (const auto& [name, bytes] : build->input_definitions) {
      (*response->mutable_definitions())[name].ParseFromString(bytes);
    }
  });
}

grpc::Status BridgeService::ReadFile(grpc::ServerContext* context,
                                     const api::ReadFileRequest* request,
                                     api::ReadFileResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    const RefFiles files = open_ref(*build, request->ref());
    uint64_t offset = 0;
    uint64_t length = 0;
    if (request->has_range()) {
      offset = static_cast<uint64_t>(std::max<int64_t>(0, request->range().offset()));
      length = static_cast<uint64_t>(std::max<int64_t>(0, request->range().length()));
    }
    response->set_data(files.read(request->filepath(), offset, length, kMaxFile));
  });
}

grpc::Status BridgeService::ReadDir(grpc::ServerContext* context,
                                    const api::ReadDirRequest* request,
                                    api::ReadDirResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    const RefFiles files = open_ref(*build, request->ref());
    std::optional<Glob> wanted;
    if (!request->includepattern().empty()) {
      wanted.emplace(request->includepattern(), Glob::Dialect::path);
    }
    for (const auto& [name, found] : files.list(request->dirpath())) {
      if (wanted && !wanted->matches(name)) continue;
      put_stat(*found.entry, name, *response->add_entries());
    }
  });
}

grpc::Status BridgeService::StatFile(grpc::ServerContext* context,
                                     const api::StatFileRequest* request,
                                     api::StatFileResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    const RefFiles files = open_ref(*build, request->ref());
    const auto found = files.find(request->path(), false);
    if (!found) {
      throw Error(fmt::format("lstat {}: no such file or directory", request->path()),
                  ErrorKind::not_found);
    }
    put_stat(*found->entry, base_name(request->path()), *response->mutable_stat());
  });
}

grpc::Status BridgeService::Evaluate(grpc::ServerContext* context,
                                     const api::EvaluateRequest* request, api::EvaluateResponse*) {
  return guarded([&] {
    const auto build = build_of(*context);
    if (request->ref().empty()) return;
    const auto ref = build->job().find_ref(request->ref());
    if (!ref)
      throw Error("there is no result " + lade::quoted(request->ref()), ErrorKind::not_found);
    build->job().evaluate({ref});
  });
}

grpc::Status BridgeService::ResolveImageConfig(grpc::ServerContext* context,
                                               const api::ResolveImageConfigRequest* request,
                                               api::ResolveImageConfigResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    set_pull(build->job(), request->resolvemode());
    const bool layout = request->resolvertype() != 0;
    std::string source = "docker-image://" + request->ref();
    if (layout) source = "oci-layout://" + request->storeid() + "@" + digest_in(request->ref());
    const SourcePolicies policies = extended(build->job().policies, request->sourcepolicies());
    const BaseImage image = PolicyImages(build->job().images(), policies)
                                .resolve(source, platform_of(request->platform()));
    response->set_ref(request->ref());
    response->set_digest(digest_in(image.identifier));
    response->set_config(image.config.serialize());
  });
}

grpc::Status BridgeService::ResolveSourceMeta(grpc::ServerContext* context,
                                              const api::ResolveSourceMetaRequest* request,
                                              api::ResolveSourceMetaResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    Job& job = build->job();
    const SourcePolicies policies = extended(job.policies, request->sourcepolicies());
    api::ResolveSourceMetaRequest asked = *request;
    policies.apply(*asked.mutable_source(), platform_of(request->platform()).str());
    *response = resolve_source_meta(job, asked);
  });
}

grpc::Status BridgeService::Warn(grpc::ServerContext* context, const api::WarnRequest* request,
                                 api::WarnResponse*) {
  return guarded([&] {
    const auto build = build_of(*context);
    moby::buildkit::v1::StatusResponse message;
    auto& out = *message.add_warnings();
    out.set_vertex(request->digest());
    out.set_level(request->level());
    out.set_short_(request->short_());
    for (const auto& detail : request->detail()) out.add_detail(detail);
    out.set_url(request->url());
    if (request->has_info()) *out.mutable_info() = request->info();
    for (const auto& range : request->ranges()) *out.add_ranges() = range;
    build->job().journal().append(message);
  });
}

grpc::Status BridgeService::NewContainer(grpc::ServerContext*, const api::NewContainerRequest*,
                                         api::NewContainerResponse*) {
  return no_containers();
}

grpc::Status BridgeService::ReleaseContainer(grpc::ServerContext*,
                                             const api::ReleaseContainerRequest*,
                                             api::ReleaseContainerResponse*) {
  return no_containers();
}

grpc::Status BridgeService::ReadFileContainer(grpc::ServerContext*, const api::ReadFileRequest*,
                                              api::ReadFileResponse*) {
  return no_containers();
}

grpc::Status BridgeService::ReadDirContainer(grpc::ServerContext*, const api::ReadDirRequest*,
                                             api::ReadDirResponse*) {
  return no_containers();
}

grpc::Status BridgeService::StatFileContainer(grpc::ServerContext*, const api::StatFileRequest*,
                                              api::StatFileResponse*) {
  return no_containers();
}

grpc::Status BridgeService::ExecProcess(
    grpc::ServerContext*, grpc::ServerReaderWriter<api::ExecMessage, api::ExecMessage>*) {
  return no_containers();
}

}  // namespace lade
