#include "daemon/job/job.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/json/json_reader.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "daemon/job/step_error.hpp"
#include "daemon/session/agents.hpp"
#include "solver/source/oci_layout.hpp"

namespace lade {
namespace {

constexpr int kLostLayerRounds = 100;
constexpr uint64_t kMaxDocument = 4u << 20;

/// The media type that a manifest or index says it has.
std::string media_type_in(const std::string& bytes) {
  const auto json = parse_foreign_json(bytes);
  if (json.is_object() && json.contains("mediaType") && json["mediaType"].is_string()) {
    return json["mediaType"].get<std::string>();
  }
  const bool index = json.is_object() && json.contains("manifests");
  return std::string(index ? media_type::kOciIndex : media_type::kOciManifest);
}

/// How the client's keys have Docker Hub's registry.
std::string credentials_host(const std::string& registry) {
  return registry == "docker.io" ? "registry-1.docker.io" : registry;
}

/// Calls what waits in a loop of its own.
class RunningScope {
 public:
  RunningScope(std::function<void()> enter, std::function<void()> leave)
      : leave_(std::move(leave)) {
    enter();
  }
  ~RunningScope() { leave_(); }
  RunningScope(const RunningScope&) = delete;
  RunningScope& operator=(const RunningScope&) = delete;

 private:
  std::function<void()> leave_;
};

}  // namespace

/// A directory that was brought here, and stays as it is while the job lives.
struct Job::Synced {
  SyncedDirectory directory;
};

class Job::Agents : public SessionAgents {
  using SessionAgents::SessionAgents;
};

Job::Job(DaemonShared& shared, std::string id, std::shared_ptr<SessionCalls> session,
         std::shared_ptr<Journal> journal)
    : shared_(shared),
      id_(std::move(id)),
      session_(std::move(session)),
      journal_(std::move(journal)),
      state_(StateDir::open(shared.root)) {
  ImageSourceOptions options;
  options.pull = shared.local_images ? PullPolicy::current : PullPolicy::registry;
  options.client_directory = "/";
  options.registries = registries();
  if (session_) {
    options.open_layout = [session = session_](const std::string& name) {
      const LayoutName layout = LayoutName::parse(name);
      if (!layout.digest) {
        throw Error(fmt::format("oci-layout reference {} has no digest", lade::quoted(name)));
      }
      const auto blobs = session->content("oci:" + layout.path, std::nullopt)->blobs();
      Descriptor descriptor;
      descriptor.digest = *layout.digest;
      const std::string bytes = read_all(*blobs->open(descriptor), kMaxDocument, "a manifest");
      descriptor.size = bytes.size();
      descriptor.media_type = media_type_in(bytes);
      return std::pair(descriptor, blobs);
    };
  }
  images_ = std::make_unique<ImageSources>(*state_, std::move(options));
}

Job::~Job() = default;

RegistryOptions Job::registries() const {
  RegistryOptions options = shared_.registries;
  options.credentials = [session = session_](const std::string& registry, const std::string&) {
    return session && session->open() ? session->credentials(credentials_host(registry))
                                      : Credentials{};
  };
  return options;
}

SessionCalls& Job::session() {
  if (!session_) throw Error("the build has no session with its client");
  return *session_;
}

SessionCalls& Job::session(const std::string& id) {
  if (id.empty() || id == session_id()) return session();
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = other_sessions_.find(id); known != other_sessions_.end()) {
      return *known->second;
    }
  }
  auto found = shared_.sessions.find(id, [this] { return canceled_.load(); });
  if (!found) throw Error("no active session for " + id);
  const std::lock_guard lock(mutex_);
  return *other_sessions_.emplace(id, std::move(found)).first->second;
}

std::string LocalDirectory::identity() const {
  std::string out = session + "\n" + shared_key + "\n" + request.name;
  for (const auto* list : {&request.include, &request.exclude, &request.follow}) {
    out += "\n-" + join(*list, "\n");
  }
  return out;
}

JobRef JobRef::sibling(Definition graph, Edge other_root) const {
  JobRef out;
  out.definition = std::move(graph);
  out.root = other_root;
  out.locals = locals;
  out.extra_locals = extra_locals;
  out.keep = keep;
  return out;
}

void Job::cancel() {
  if (canceled_.exchange(true)) return;
  if (session_) session_->cancel();
  const std::lock_guard lock(mutex_);
  for (const auto& [id, session] : other_sessions_) session->cancel();
  for (const Running* running : running_) {
    running->loop->post([solver = running->solver] { solver->cancel(); });
  }
}

void Job::check_canceled() const {
  if (canceled_) throw Error("context canceled", ErrorKind::canceled);
}

std::shared_ptr<JobRef> Job::add_ref(JobRef ref) {
  ref.id = sys::random_hex(16);
  auto made = std::make_shared<JobRef>(std::move(ref));
  const std::lock_guard lock(mutex_);
  return refs_[made->id] = made;
}

std::shared_ptr<JobRef> Job::find_ref(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = refs_.find(id);
  return found == refs_.end() ? nullptr : found->second;
}

// -- what a solve is given

std::string Job::contexts() const {
  return state_->root() + "/contexts";
}

std::string Job::directory_key(const LocalDirectory& local) {
  return fmt::format("{}\n{}\n{}", session(local.session).shared_key(), local.shared_key,
                     local.request.name);
}

void Job::list_early(const LocalDirectory& local) {
  const std::string key = directory_key(local);
  const std::string last = SyncedDirectory::remembered(contexts(), key);
  if (last.empty()) return;
  try {
    early_.start(session(local.session), key, parse_request(local.request.name, last));
  } catch (const Error&) {
    // Whatever it is, it shows when the directory is needed.
  }
}

void Job::sync(const std::string& name, const LocalDirectory& local, const std::string& vertex,
               LocalSourceOptions& out) {
  const std::lock_guard lock(sync_mutex_);
  auto& synced = synced_[local.identity()];
  if (!synced) {
    check_canceled();
    const std::string key = directory_key(local);
    auto call = early_.take(key, local.request);
    if (!call) call = session(local.session).open_directory(local.request);
    auto made = std::make_shared<Synced>(Synced{SyncedDirectory::take(contexts(), key)});
    if (local.all_new) made->directory.forget();
    journal_->started(vertex);
    const std::string item = fmt::format("transferring {}:", local.request.name);
    uint64_t told = 0;
    const uint64_t bytes = call->receive(made->directory, [&](uint64_t so_far) {
      constexpr uint64_t kStep = 1u << 20;
      if (so_far < told + kStep) return;
      told = so_far;
      journal_->status(vertex, item, so_far, so_far + 1);
    });
    made->directory.remember(request_text(local.request));
    journal_->status(vertex, item, bytes, 0);
    journal_->completed(vertex, false);
    synced = std::move(made);
  }
  const std::string cache_dir = state_->root() + "/stat-cache";
  sys::make_dirs(cache_dir, 0700);
  out = {.directory = synced->directory.path(),
         .name = local.what.empty() ? "the context " + lade::quoted(name) : local.what,
         .ignore_patterns = local.ignore_patterns,
         .ignore_file = local.ignore_file,
         .ignore_lines = local.ignore_lines,
         .cache_dir = cache_dir};
}

void Job::find_secrets(const Definition& graph, SolveOptions& options) {
  if (!session_) return;
  std::set<std::string> ids;
  std::set<std::string> agents;
  for (const auto& vertex : graph.vertices) {
    if (const auto* source = std::get_if<SourceOp>(&vertex.op)) {
      if (!RemoteSources::handles(*source)) continue;
      const auto parts = parse_url(source->identifier);
      const std::string host = parts ? parts->host_name() : "";
      if (source->identifier.starts_with("git://")) {
        ids.insert({"GIT_AUTH_TOKEN", "GIT_AUTH_HEADER", "GIT_AUTH_TOKEN." + host,
                    "GIT_AUTH_HEADER." + host});
        agents.insert("default");
      } else {
        ids.insert({"HTTP_AUTH_HEADER_" + host, "HTTP_AUTH_TOKEN_" + host});
      }
      for (const auto& [key, value] : source->attrs) {
        if (key.ends_with("secret") && !value.empty()) ids.insert(value);
      }
    } else if (const auto* exec = std::get_if<ExecOp>(&vertex.op)) {
      for (const auto& mount : exec->mounts) {
        if (mount.type == ExecMountType::secret) ids.insert(mount.id);
        if (mount.type == ExecMountType::ssh) agents.insert(mount.id);
      }
    }
  }
  for (const auto& id : ids) {
    if (auto value = session_->secret(id)) options.secrets[id] = std::move(*value);
  }
  for (const auto& id : agents) {
    if (const auto socket = agent_socket(id); !socket.empty()) options.ssh[id] = socket;
  }
}

std::string Job::agent_socket(const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (!agents_) agents_ = std::make_unique<Agents>(session_, state_->tmp());
  return agents_->socket(id);
}

SolveOptions Job::solve_options(const Definition& graph) {
  SolveOptions options;
  options.imports = cache_imports();
  options.max_parallelism = shared_.max_parallelism;
  options.keep_failed = keep_failed_;
  find_secrets(graph, options);
  RemoteSourceOptions remote;
  remote.secrets = options.secrets;
  remote.ssh_agents = options.ssh;
  remote.http = shared_.registries.http;
  options.remotes = std::make_shared<RemoteSources>(*state_, std::move(remote));
  return options;
}

// -- solving

void Job::evaluate(const std::vector<std::shared_ptr<JobRef>>& refs, const OnLayer& on_layer) {
  for (int round = 0;; ++round) {
    try {
      evaluate_once(refs, on_layer);
      return;
    } catch (const LostLayer& lost) {
      if (round == kLostLayerRounds || !distrust(lost)) throw;
    }
  }
}

bool Job::distrust(const LostLayer& lost) {
  const auto imports = cache_imports();
  const auto problem = imports ? imports->distrust(lost) : std::nullopt;
  if (!problem) return false;
  if (!problem->empty()) {
    const std::string vertex = Digest::of(id_ + "\nimported caches").str();
    journal_->declare(vertex, "importing caches");
    journal_->completed(vertex, false);
    journal_->warning(vertex, *problem);
  }
  const std::lock_guard lock(mutex_);
  for (auto& [id, ref] : refs_) ref->solved.reset();
  records_.clear();
  mounts_.clear();
  return true;
}

std::vector<std::shared_ptr<JobRef>> Job::unsolved(
    const std::vector<std::shared_ptr<JobRef>>& refs) {
  std::vector<std::shared_ptr<JobRef>> out;
  const std::lock_guard lock(mutex_);
  for (const auto& ref : refs) {
    if (ref && !ref->solved) out.push_back(ref);
  }
  return out;
}

void Job::bring_locals(const Definition& graph, const std::vector<std::shared_ptr<JobRef>>& refs,
                       JournalProgress& progress,
                       std::map<std::string, LocalSourceOptions>& locals) {
  for (uint32_t i = 0; i < graph.vertices.size(); ++i) {
    const auto* source = std::get_if<SourceOp>(&graph.vertices[i].op);
    if (!source || !source->identifier.starts_with(kLocalScheme)) continue;
    const std::string name = source->identifier.substr(kLocalScheme.size());
    for (const auto& ref : refs) {
      if (const auto own = ref->extra_locals.find(name); own != ref->extra_locals.end()) {
        locals[name] = own->second;
      } else if (const auto local = ref->locals.find(name); local != ref->locals.end()) {
        if (locals.contains(name)) continue;
        progress.declared(i + 1, graph.vertices[i].name);
        try {
          sync(name, local->second, progress.digest(i + 1), locals[name]);
        } catch (const Error& error) {
          progress.failed(i + 1, error.message());
          throw;
        }
      }
    }
  }
  early_.drop();
}

std::vector<SolveResult> Job::run(Solver& solver, EventLoop& loop, const Definition& graph,
                                  const std::vector<Edge>& roots) {
  Running running{&loop, &solver};
  const RunningScope scope(
      [&] {
        const std::lock_guard lock(mutex_);
        running_.insert(&running);
      },
      [&] {
        const std::lock_guard lock(mutex_);
        running_.erase(&running);
      });
  if (canceled_) solver.cancel();
  try {
    return solver.solve(graph, roots);
  } catch (const Error& error) {
    const auto add = [this](const LayerStack& layers) {
      JobRef ref;
      ref.solved = SolveResult{layers, {}};
      return add_ref(std::move(ref))->id;
    };
    if (const auto* step = solver.failed_step()) throw step_error(add, graph, *step, error);
    throw;
  }
}

void Job::evaluate_once(const std::vector<std::shared_ptr<JobRef>>& refs, const OnLayer& on_layer) {
  const auto wanted = unsolved(refs);
  if (wanted.empty()) return;
  check_canceled();
  Definition graph;
  std::vector<Edge> roots;
  for (const auto& ref : wanted) roots.push_back(append(graph, ref->definition, ref->root));
  SolveOptions options = solve_options(graph);
  options.on_layer = on_layer;
  JournalProgress progress(*journal_, graph);
  bring_locals(graph, wanted, progress, options.locals);
  const auto remotes = options.remotes;
  EventLoop loop;
  const auto executor = shared_.executor.stand_in(ExecutorHost::Counted::yes);
  Solver solver(*state_, loop, executor.get(), *images_, progress, std::move(options));
  std::vector<SolveResult> solved = run(solver, loop, graph, roots);

  std::vector<SharedRecord> records;
  std::vector<SharedMount> mounts;
  if (want_records_) {
    records = solver.shared_records();
    mounts = solver.shared_mounts();
  }
  std::map<SourceOp, std::string> pins = remotes->pins(graph);
  const std::lock_guard lock(mutex_);
  pins_.merge(pins);
  mounts_.insert(mounts_.end(), std::make_move_iterator(mounts.begin()),
                 std::make_move_iterator(mounts.end()));
  for (size_t i = 0; i < wanted.size(); ++i) wanted[i]->solved = std::move(solved[i]);
  records_.insert(records_.end(), std::make_move_iterator(records.begin()),
                  std::make_move_iterator(records.end()));
}

LayerStack Job::layers(const std::shared_ptr<JobRef>& ref) {
  if (!ref) return {};
  evaluate({ref});
  const std::lock_guard lock(mutex_);
  return ref->solved->layers;
}

// -- caches

void Job::add_cache_import(const CacheEntry& entry) {
  const std::lock_guard lock(mutex_);
  if (imports_) return;  // what is solved already has been asked
  auto& known = import_entries_;
  if (std::find(known.begin(), known.end(), entry) == known.end()) known.push_back(entry);
}

std::shared_ptr<CacheImports> Job::cache_imports() {
  const std::lock_guard lock(mutex_);
  if (imports_ || import_entries_.empty()) return imports_;
  std::vector<CacheImports::Origin> origins;
  std::shared_ptr<RegistryClient> client;
  for (const auto& entry : import_entries_) {
    // As in BuildKit: a cache that cannot be had is none.
    try {
      origins.push_back(open_cache_import(entry, session_.get(), registries(), client));
    } catch (const Error& error) {
      if (canceled_) throw;
      const std::string vertex = Digest::of(id_ + "\nimport " + entry.type).str();
      journal_->declare(vertex, "importing cache manifest from " + entry.type);
      journal_->completed(vertex, false, error.message());
    }
  }
  import_entries_.clear();
  if (origins.empty()) return nullptr;
  return imports_ = std::make_shared<CacheImports>(*state_, *images_, std::move(origins));
}

std::vector<SharedRecord> Job::records() {
  const std::lock_guard lock(mutex_);
  return records_;
}

std::vector<SharedMount> Job::mounts() {
  const std::lock_guard lock(mutex_);
  return mounts_;
}

std::map<SourceOp, std::string> Job::pins() {
  const std::lock_guard lock(mutex_);
  return pins_;
}

LayerProvider Job::provider() {
  return [images = images_.get(),
          imports = cache_imports()](LayerId layer) -> std::shared_ptr<BlobProvider> {
    auto provider = images->provider_of(layer);
    if (!provider && imports) provider = imports->provider_of(layer);
    return provider;
  };
}

}  // namespace lade
