#include "daemon/server/bridge_service.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include "base/error.hpp"
#include "base/pattern.hpp"
#include "base/text.hpp"
#include "daemon/container/exec_stream.hpp"
#include "daemon/job/grpc_status.hpp"
#include "daemon/job/ref_files.hpp"
#include "daemon/llb/source_meta.hpp"
#include "daemon/proto/control.pb.h"
#include "daemon/session/go_stat.hpp"

namespace lade {
namespace {

namespace gateway = moby::buildkit::v1::frontend;

constexpr const char* kBuildId = "buildkit-controlapi-buildid";
constexpr uint64_t kMaxFile = 16u << 20;  // what a message may be

RefFiles open_ref(Build& build, const std::string& id) {
  std::shared_ptr<JobRef> ref;
  if (!id.empty()) {
    ref = build.job().find_ref(id);
    if (!ref) throw Error("there is no result " + lade::quoted(id), ErrorKind::not_found);
  }
  return open_result(build.job(), ref);
}

[[noreturn]] void no_such_file(const char* call, const std::string& path) {
  throw Error(fmt::format("{} {}: no such file or directory", call, path), ErrorKind::not_found);
}

/// Offset and length of what is asked for; length 0: to the end.
std::pair<uint64_t, uint64_t> range_of(const gateway::ReadFileRequest& request) {
  if (!request.has_range()) return {0, 0};
  return {static_cast<uint64_t>(std::max<int64_t>(0, request.range().offset())),
          static_cast<uint64_t>(std::max<int64_t>(0, request.range().length()))};
}

/// Which names of a directory are wanted.
class NameFilter {
 public:
  explicit NameFilter(const std::string& pattern) {
    if (!pattern.empty()) glob_.emplace(pattern, Glob::Dialect::path);
  }
  bool takes(const std::string& name) const { return !glob_ || glob_->matches(name); }

 private:
  std::optional<Glob> glob_;
};

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

grpc::Status BridgeService::Ping(grpc::ServerContext* context, const gateway::PingRequest*,
                                 gateway::PongResponse* response) {
  return guarded([&] {
    build_of(*context);
    put_pong(worker_, *response);
  });
}

grpc::Status BridgeService::Solve(grpc::ServerContext* context,
                                  const gateway::SolveRequest* request,
                                  gateway::SolveResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    *response = builds_.gateway_solve(*build, *request);
  });
}

grpc::Status BridgeService::Return(grpc::ServerContext* context,
                                   const gateway::ReturnRequest* request,
                                   gateway::ReturnResponse*) {
  return guarded([&] {
    const auto build = build_of(*context);
    builds_.gateway_return(*build, *request);
  });
}

grpc::Status BridgeService::Inputs(grpc::ServerContext* context, const gateway::InputsRequest*,
                                   gateway::InputsResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    for (const auto& [name, bytes] : build->input_definitions) {
      (*response->mutable_definitions())[name].ParseFromString(bytes);
    }
  });
}

grpc::Status BridgeService::ReadFile(grpc::ServerContext* context,
                                     const gateway::ReadFileRequest* request,
                                     gateway::ReadFileResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    const RefFiles files = open_ref(*build, request->ref());
    const auto [offset, length] = range_of(*request);
    response->set_data(files.read(request->filepath(), offset, length, kMaxFile));
  });
}

grpc::Status BridgeService::ReadDir(grpc::ServerContext* context,
                                    const gateway::ReadDirRequest* request,
                                    gateway::ReadDirResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    const RefFiles files = open_ref(*build, request->ref());
    const NameFilter wanted(request->includepattern());
    for (const auto& [name, found] : files.list(request->dirpath())) {
      if (wanted.takes(name)) put_stat(*found.entry, name, *response->add_entries());
    }
  });
}

grpc::Status BridgeService::StatFile(grpc::ServerContext* context,
                                     const gateway::StatFileRequest* request,
                                     gateway::StatFileResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    const RefFiles files = open_ref(*build, request->ref());
    const auto found = files.find(request->path(), false);
    if (!found) no_such_file("lstat", request->path());
    put_stat(*found->entry, base_name(request->path()), *response->mutable_stat());
  });
}

grpc::Status BridgeService::Evaluate(grpc::ServerContext* context,
                                     const gateway::EvaluateRequest* request,
                                     gateway::EvaluateResponse*) {
  return guarded([&] {
    const auto build = build_of(*context);
    if (request->ref().empty()) return;
    const auto ref = build->job().find_ref(request->ref());
    if (!ref)
      throw Error("there is no result " + lade::quoted(request->ref()), ErrorKind::not_found);
    build->job().keep_failed_steps();
    build->job().evaluate({ref});
  });
}

grpc::Status BridgeService::ResolveImageConfig(grpc::ServerContext* context,
                                               const gateway::ResolveImageConfigRequest* request,
                                               gateway::ResolveImageConfigResponse* response) {
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
                                              const gateway::ResolveSourceMetaRequest* request,
                                              gateway::ResolveSourceMetaResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    Job& job = build->job();
    const SourcePolicies policies = extended(job.policies, request->sourcepolicies());
    gateway::ResolveSourceMetaRequest asked = *request;
    policies.apply(*asked.mutable_source(), platform_of(request->platform()).str());
    *response = resolve_source_meta(job, asked);
  });
}

grpc::Status BridgeService::Warn(grpc::ServerContext* context, const gateway::WarnRequest* request,
                                 gateway::WarnResponse*) {
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

grpc::Status BridgeService::NewContainer(grpc::ServerContext* context,
                                         const gateway::NewContainerRequest* request,
                                         gateway::NewContainerResponse*) {
  return guarded([&] {
    const auto build = build_of(*context);
    build->containers.add(request->containerid(),
                          std::make_shared<Container>(build->job(), *request));
  });
}

grpc::Status BridgeService::ReleaseContainer(grpc::ServerContext* context,
                                             const gateway::ReleaseContainerRequest* request,
                                             gateway::ReleaseContainerResponse*) {
  return guarded([&] {
    const auto build = build_of(*context);
    const auto container = build->containers.take(request->containerid());
    if (!container) {
      throw Error(fmt::format("container details for {} not found", request->containerid()),
                  ErrorKind::not_found);
    }
    container->release();
  });
}

grpc::Status BridgeService::ReadFileContainer(grpc::ServerContext* context,
                                              const gateway::ReadFileRequest* request,
                                              gateway::ReadFileResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    const auto container = build->containers.find(request->ref());
    const LiveTree files = container->files(request->mountindex());
    const auto found = files.find(request->filepath());
    if (!found) no_such_file("open", request->filepath());
    if (found->entry.type != EntryType::regular) {
      throw Error(lade::quoted(request->filepath()) + " is not a regular file");
    }
    const auto [offset, length] = range_of(*request);
    response->set_data(
        read_range(files.open(*found).get(), offset, length, kMaxFile, request->filepath()));
  });
}

grpc::Status BridgeService::ReadDirContainer(grpc::ServerContext* context,
                                             const gateway::ReadDirRequest* request,
                                             gateway::ReadDirResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    const auto container = build->containers.find(request->ref());
    const NameFilter wanted(request->includepattern());
    for (const auto& [name, entry] :
         container->files(request->mountindex()).list(request->dirpath())) {
      if (wanted.takes(name)) put_stat(entry, name, *response->add_entries());
    }
  });
}

grpc::Status BridgeService::StatFileContainer(grpc::ServerContext* context,
                                              const gateway::StatFileRequest* request,
                                              gateway::StatFileResponse* response) {
  return guarded([&] {
    const auto build = build_of(*context);
    const auto container = build->containers.find(request->ref());
    const LiveTree files = container->files(request->mountindex());
    // A link that leads nowhere here may lead somewhere in another mount: the client's to resolve.
    auto found = files.find(request->path());
    if (!found) found = files.find(request->path(), false);
    if (!found) no_such_file("stat", request->path());
    put_stat(found->entry, base_name(request->path()), *response->mutable_stat());
  });
}

grpc::Status BridgeService::ExecProcess(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<gateway::ExecMessage, gateway::ExecMessage>* stream) {
  return guarded([&] {
    const auto build = build_of(*context);
    ExecStream(build->containers, *stream, [context] { return context->IsCancelled(); }).serve();
  });
}

}  // namespace lade
