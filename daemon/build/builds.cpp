#include "daemon/build/builds.hpp"

#include <charconv>
#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "builder/frontend.hpp"
#include "daemon/job/grpc_status.hpp"
#include "daemon/job/returned_error.hpp"
#include "daemon/llb/llb.hpp"
#include "daemon/llb/source_meta.hpp"
#include "daemon/proto/control.pb.h"
#include "daemon/proto/gateway.pb.h"
#include "snapshotter/gc/gc.hpp"
#include "solver/cache/cache_store.hpp"

namespace lade {
namespace {

namespace api = moby::buildkit::v1;

constexpr auto kPatience = std::chrono::seconds(10);
constexpr auto kBuildLookAround = std::chrono::milliseconds(50);

void set_now(google::protobuf::Timestamp& out) {
  const auto now = Timestamp::now();
  out.set_seconds(now.seconds);
  out.set_nanos(now.nanoseconds);
}

/// Cancels a job when its client goes.
class Watcher {
 public:
  Watcher(Job& job, const SessionCalls* session, const std::function<bool()>& gone)
      : thread_([this, &job, session, &gone] {
          std::unique_lock lock(mutex_);
          while (!done_) {
            if (gone() || (session && !session->open())) job.cancel();
            changed_.wait_for(lock, kBuildLookAround);
          }
        }) {}
  ~Watcher() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;
};

bool is_number(const std::string& text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data(), end, number);
  return failure == std::errc() && rest == end;
}

std::vector<ExporterEntry> exporters_of(const api::SolveRequest& request) {
  std::vector<ExporterEntry> out;
  for (const auto& exporter : request.exporters()) {
    out.push_back({exporter.type(), {exporter.attrs().begin(), exporter.attrs().end()}});
  }
  if (out.empty() && !request.exporterdeprecated().empty()) {
    out.push_back(
        {request.exporterdeprecated(),
         {request.exporterattrsdeprecated().begin(), request.exporterattrsdeprecated().end()}});
  }
  // As a number it is for the exporters, too; what else it can be is for the frontend to say.
  const auto epoch = request.frontendattrs().find("build-arg:SOURCE_DATE_EPOCH");
  if (request.frontend().empty() && epoch != request.frontendattrs().end() &&
      is_number(epoch->second)) {
    for (auto& exporter : out) exporter.attrs.try_emplace("source-date-epoch", epoch->second);
  }
  return out;
}

template <class Entries>
std::vector<CacheEntry> caches_of(const Entries& entries) {
  std::vector<CacheEntry> out;
  for (const auto& entry : entries) {
    out.push_back({entry.type(), {entry.attrs().begin(), entry.attrs().end()}});
  }
  return out;
}

std::vector<CacheEntry> cache_exports_of(const api::SolveRequest& request) {
  auto out = caches_of(request.cache().exports());
  if (out.empty() && !request.cache().exportrefdeprecated().empty()) {
    CacheEntry entry{"registry",
                     {request.cache().exportattrsdeprecated().begin(),
                      request.cache().exportattrsdeprecated().end()}};
    entry.attrs["ref"] = request.cache().exportrefdeprecated();
    out.push_back(std::move(entry));
  }
  return out;
}

std::set<std::string> granted(const api::SolveRequest& request,
                              const std::set<std::string>& allowed) {
  std::set<std::string> out;
  for (const auto& name : request.entitlements()) {
    if (!allowed.contains(name)) {
      throw Error(fmt::format("entitlement {} is not allowed", name));
    }
    out.insert(name);
  }
  return out;
}

api::BuildHistoryRecord record_of(const api::SolveRequest& request,
                                  const std::vector<ExporterEntry>& exporters) {
  api::BuildHistoryRecord out;
  out.set_ref(request.ref());
  out.set_frontend(request.frontend());
  *out.mutable_frontendattrs() = request.frontendattrs();
  for (const auto& exporter : exporters) {
    auto& entry = *out.add_exporters();
    entry.set_type(exporter.type);
    for (const auto& [key, value] : exporter.attrs) (*entry.mutable_attrs())[key] = value;
  }
  set_now(*out.mutable_createdat());
  return out;
}

/// Results of a frontend know what it was asked, for provenance.
FrontendResult run_known_frontend(Job& job, const FrontendRequest& request) {
  FrontendResult result = run_frontend(job, request);
  ProvenanceRequest known{request.frontend, request.options};
  // The gateway passes such a request on as it is.
  if (const auto source = known.args.find("source");
      source != known.args.end() && source->second == kDockerfileFrontend) {
    known.frontend = source->second;
    known.args.erase(source);
  }
  for (const auto& [platform, ref] : result.refs) {
    if (ref) ref->request = known;
  }
  return result;
}

AttestedBuild attested_build(const api::SolveRequest& request) {
  AttestedBuild out;
  out.started = Timestamp::now();
  out.request.frontend = request.frontend();
  for (const auto& [key, value] : request.frontendattrs()) out.request.args[key] = value;
  out.options = attest_options(out.request.args);
  return out;
}

void check_supported(const api::SolveRequest& request) {
  if (request.enablesessionexporter()) throw Error("session exporters are not supported");
  if (request.proxynetwork()) throw Error("proxy networks are not supported");
}

/// What the record says was made.
void put_images(const std::vector<Descriptor>& images, api::BuildHistoryRecord& record) {
  for (size_t i = 0; i < images.size(); ++i) {
    auto& made = (*record.mutable_result()->mutable_results())[static_cast<int64_t>(i)];
    made.set_media_type(images[i].media_type);
    made.set_digest(images[i].digest.str());
    made.set_size(static_cast<int64_t>(images[i].size));
    if (i == 0) *record.mutable_result()->mutable_resultdeprecated() = made;
  }
}

}  // namespace

void Build::give(FrontendResult result) {
  const std::lock_guard lock(mutex_);
  if (!result_ && !error_) result_ = std::move(result);
  changed_.notify_all();
}

void Build::give_error(std::exception_ptr error) {
  const std::lock_guard lock(mutex_);
  if (!result_ && !error_) error_ = std::move(error);
  changed_.notify_all();
}

FrontendResult Build::wait() {
  std::unique_lock lock(mutex_);
  while (!result_ && !error_) {
    job_->check_canceled();
    changed_.wait_for(lock, kBuildLookAround);
  }
  if (error_) std::rethrow_exception(error_);
  return std::move(*result_);
}

std::shared_ptr<Build> Builds::find(const std::string& id, const std::function<bool()>& gone) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = running_.find(id);
      if (found != running_.end()) return found->second;
      if (shutting_down_) return nullptr;
    }
    if (gone() || std::chrono::steady_clock::now() > deadline) return nullptr;
    // One that was refused at once never runs.
    if (!history_.ended_journal(id).empty()) return nullptr;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void Builds::set_policies(Job& job, const api::SolveRequest& request,
                          const std::function<bool()>& gone) {
  job.policies.add(request.sourcepolicy());
  const std::string& id = request.sourcepolicysession();
  if (id.empty()) return;
  if (!shared_.sessions.find(id, gone)) throw Error("no active session for " + id);
  // The job's own calls, which end with it; it outlives its policies.
  const std::shared_ptr<SessionCalls> session(std::shared_ptr<void>(), &job.session(id));
  job.policies.ask(session,
                   [&job](const auto& wanted) { return resolve_source_meta(job, wanted); });
}

FrontendResult Builds::run(Build& build, const api::SolveRequest& request) {
  for (const auto& [name, definition] : request.frontendinputs()) {
    build.inputs[name] = load_graph(build, definition);
    build.input_definitions[name] = definition.SerializeAsString();
  }
  if (!request.frontend().empty()) {
    return run_known_frontend(build.job(),
                              {request.frontend(),
                               {request.frontendattrs().begin(), request.frontendattrs().end()},
                               build.inputs,
                               build.job().policies});
  }
  if (request.has_definition()) {
    FrontendResult out;
    const bool empty = request.definition().def_size() == 0;
    out.refs.emplace_back("", empty ? nullptr : load_graph(build, request.definition()));
    return out;
  }
  return build.wait();
}

std::shared_ptr<Build> Builds::start(const api::SolveRequest& request,
                                     std::shared_ptr<SessionCalls> session,
                                     std::shared_ptr<Journal> journal,
                                     const std::function<bool()>& gone) {
  auto build = std::make_shared<Build>(
      std::make_shared<Job>(shared_, request.ref(), std::move(session), std::move(journal)));
  Job& job = build->job();
  job.entitlements = granted(request, shared_.entitlements);
  set_policies(job, request, gone);
  for (const auto& entry : caches_of(request.cache().imports())) job.add_cache_import(entry);
  for (const auto& name : request.cache().importrefsdeprecated()) {
    job.add_cache_import({"registry", {{"ref", name}}});
  }
  const std::lock_guard lock(mutex_);
  if (shutting_down_) throw Error("the daemon is shutting down", ErrorKind::unavailable);
  running_[request.ref()] = build;
  return build;
}

ExportAnswer Builds::run_and_export(Build& build, const api::SolveRequest& request) {
  const auto caches = cache_exports_of(request);
  Job& job = build.job();
  if (!caches.empty()) job.want_records();
  const AttestedBuild attested = attested_build(request);
  const FrontendResult result = run(build, request);
  auto answer = export_result(job, result, exporters_of(request), caches, attested);
  for (const auto& [key, value] : result.metadata) {
    if (key.starts_with("frontend.")) answer.response[key] = value;
  }
  job.state().layers().write_use();
  job.state().database().checkpoint_if_large();
  return answer;
}

void Builds::complete(api::BuildHistoryRecord& record, const std::exception_ptr& failure) {
  set_now(*record.mutable_completedat());
  std::string error_status;
  if (failure) {
    const grpc::Status status = guarded([&] { std::rethrow_exception(failure); });
    record.mutable_error()->set_code(status.error_code());
    record.mutable_error()->set_message(status.error_message());
    error_status = status_details(status);
  }
  history_.complete(record, error_status);
}

api::SolveResponse Builds::solve(const api::SolveRequest& request,
                                 const std::function<bool()>& gone) {
  api::BuildHistoryRecord record = record_of(request, exporters_of(request));
  const auto journal = history_.start(record, request.internal());
  std::shared_ptr<SessionCalls> session;
  std::shared_ptr<Build> build;
  std::exception_ptr failure;
  api::SolveResponse response;
  try {
    check_supported(request);
    if (!request.session().empty()) {
      session = shared_.sessions.find(request.session(), gone);
      if (!session) throw Error("no active session for " + request.session());
    }
    build = start(request, session, journal, gone);
    const Watcher watcher(build->job(), session.get(), gone);
    const ExportAnswer answer = run_and_export(*build, request);
    *response.mutable_exporterresponse() = {answer.response.begin(), answer.response.end()};
    put_images(answer.images, record);
  } catch (...) {
    failure = std::current_exception();
  }
  if (build) build->containers.close();
  journal->finish();
  *record.mutable_exporterresponse() = response.exporterresponse();
  complete(record, failure);
  {
    const std::lock_guard lock(mutex_);
    running_.erase(request.ref());
  }
  ended_.notify_all();
  forget_old_results();
  if (failure) std::rethrow_exception(failure);
  return response;
}

std::shared_ptr<JobRef> Builds::load_graph(Build& build, const pb::Definition& definition) {
  return load_graph(build, definition, build.job().policies);
}

std::shared_ptr<JobRef> Builds::load_graph(Build& build, const pb::Definition& definition,
                                           const SourcePolicies& policies) {
  const auto find = [&](const std::string& id) -> std::shared_ptr<JobRef> {
    Kept kept;
    {
      const std::lock_guard lock(mutex_);
      const auto found = results_.find(id);
      if (found == results_.end()) return nullptr;
      kept = found->second;
    }
    if (kept.job.get() == &build.job()) return kept.ref;
    // Of another build: what it came to.
    JobRef copy;
    copy.solved = SolveResult{kept.job->layers(kept.ref), {}};
    return build.job().add_ref(std::move(copy));
  };
  return build.job().add_ref(load_llb(build.job(), definition, find, policies));
}

void Builds::forget_old_results() {
  std::map<std::string, Kept> dropped;  // their jobs end without the lock
  const std::lock_guard lock(mutex_);
  for (auto kept = results_.begin(); kept != results_.end();) {
    const auto& job = kept->second.job;
    const bool wanted =
        running_.contains(job->id()) || (job->has_session() && job->session().open());
    if (wanted) {
      ++kept;
      continue;
    }
    dropped.insert(*kept);
    kept = results_.erase(kept);
  }
}

// -- the gateway

void Builds::put_result(Build& build, const FrontendResult& from, api::frontend::Result& to) {
  const auto put = [&](const std::shared_ptr<JobRef>& ref, api::frontend::Ref& out) {
    if (!ref) return;
    out.set_id(ref->id);
    *out.mutable_def() = result_graph(ref->id);
    const std::lock_guard lock(mutex_);
    results_[ref->id] = {build.shared_job(), ref};
  };
  if (from.multi_platform || from.refs.size() > 1) {
    auto& refs = *to.mutable_refs()->mutable_refs();
    for (const auto& [platform, ref] : from.refs) put(ref, refs[platform]);
  } else {
    auto& out = *to.mutable_ref();
    if (!from.refs.empty()) put(from.refs.front().second, out);
  }
  for (const auto& [key, value] : from.metadata) (*to.mutable_metadata())[key] = value;
}

api::frontend::SolveResponse Builds::gateway_solve(Build& build,
                                                   const api::frontend::SolveRequest& request) {
  Job& job = build.job();
  job.keep_failed_steps();
  const SourcePolicies policies = extended(job.policies, request.sourcepolicies());
  for (const auto& entry : caches_of(request.cacheimports())) job.add_cache_import(entry);
  FrontendResult result;
  if (!request.frontend().empty()) {
    FrontendRequest asked{request.frontend(),
                          {request.frontendopt().begin(), request.frontendopt().end()},
                          build.inputs,
                          policies};
    if (request.frontendinputs_size() > 0) asked.inputs.clear();
    for (const auto& [name, definition] : request.frontendinputs()) {
      asked.inputs[name] = load_graph(build, definition, policies);
    }
    result = run_known_frontend(job, asked);
  } else if (request.has_definition() && request.definition().def_size() > 0) {
    result.refs.emplace_back("", load_graph(build, request.definition(), policies));
  } else {
    result.refs.emplace_back("", nullptr);
  }
  if (request.evaluate()) {
    std::vector<std::shared_ptr<JobRef>> refs;
    for (const auto& [platform, ref] : result.refs) refs.push_back(ref);
    job.evaluate(refs);
  }
  api::frontend::SolveResponse response;
  put_result(build, result, *response.mutable_result());
  return response;
}

void Builds::gateway_return(Build& build, const api::frontend::ReturnRequest& request) {
  if (request.has_error()) {
    build.give_error(std::make_exception_ptr(
        ReturnedError(request.error().message(), request.error().SerializeAsString())));
    return;
  }
  const auto find = [&](const std::string& id) -> std::shared_ptr<JobRef> {
    if (id.empty()) return nullptr;
    auto ref = build.job().find_ref(id);
    if (!ref) throw Error("there is no result " + lade::quoted(id), ErrorKind::not_found);
    return ref;
  };
  const auto& from = request.result();
  if (from.attestations_size() > 0) throw Error("attestations are not supported");
  FrontendResult result;
  for (const auto& [key, value] : from.metadata()) result.metadata[key] = value;
  switch (from.result_case()) {
    case api::frontend::Result::kRef:
      result.refs.emplace_back("", find(from.ref().id()));
      break;
    case api::frontend::Result::kRefDeprecated:
      result.refs.emplace_back("", find(from.refdeprecated()));
      break;
    case api::frontend::Result::kRefs: {
      result.multi_platform = true;
      const std::map<std::string, api::frontend::Ref> sorted(from.refs().refs().begin(),
                                                             from.refs().refs().end());
      for (const auto& [platform, ref] : sorted) result.refs.emplace_back(platform, find(ref.id()));
      break;
    }
    case api::frontend::Result::kRefsDeprecated: {
      result.multi_platform = true;
      const std::map<std::string, std::string> sorted(from.refsdeprecated().refs().begin(),
                                                      from.refsdeprecated().refs().end());
      for (const auto& [platform, id] : sorted) result.refs.emplace_back(platform, find(id));
      break;
    }
    case api::frontend::Result::RESULT_NOT_SET:
      break;
  }
  build.give(std::move(result));
}

void Builds::shut_down() {
  std::unique_lock lock(mutex_);
  shutting_down_ = true;
  for (const auto& [id, build] : running_) build->job().cancel();
  ended_.wait(lock, [&] { return running_.empty(); });
  auto results = std::move(results_);
  lock.unlock();
}

}  // namespace lade
