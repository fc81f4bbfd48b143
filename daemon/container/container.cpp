#include "daemon/container/container.hpp"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/event_loop.hpp"
#include "base/text.hpp"
#include "daemon/job/llb_mount.hpp"
#include "daemon/job/ref_files.hpp"
#include "daemon/proto/gateway.pb.h"
#include "snapshotter/content/image_config.hpp"

namespace lade {
namespace {

namespace gateway = moby::buildkit::v1::frontend;

constexpr int kUnknownExit = 255;  // the protocol's, for what has no exit code
constexpr auto kCachePoll = std::chrono::milliseconds(20);
constexpr const char* kWindowsPath =
    "c:\\Windows\\System32;c:\\Windows;"
    "C:\\Windows\\System32\\WindowsPowerShell\\v1.0";

void add_default(std::vector<std::string>& env, const std::string& name, std::string_view value) {
  const bool there = std::any_of(env.begin(), env.end(), [&](const std::string& variable) {
    return variable.starts_with(name + "=");
  });
  if (!there) env.push_back(fmt::format("{}={}", name, value));
}

OpSecurity security_of(const gateway::InitMessage& request) {
  switch (request.security()) {
    case pb::SANDBOX:
      return OpSecurity::sandbox;
    case pb::INSECURE:
      return OpSecurity::insecure;
    default:
      throw Error("invalid security mode");
  }
}

ProcessEnd end_of(const ExecResult& result) {
  ProcessEnd out;
  out.exit_code = result.exit_code;
  if (!result.setup_error.empty()) {
    out.error = result.setup_error;
  } else if (result.exit_code != 0) {
    out.error = fmt::format("exit code: {}", result.exit_code);
  }
  return out;
}

ProcessEnd canceled_end() {
  return {kUnknownExit, "context canceled", true};
}

}  // namespace

Container::Container(Job& job, const gateway::NewContainerRequest& request) : job_(job) {
  op_.hostname = request.hostname();
  for (const auto& host : request.extrahosts()) {
    op_.extra_hosts.emplace_back(host.host(), host.ip());
  }
  op_.network = request.network() == pb::HOST   ? OpNetwork::host
                : request.network() == pb::NONE ? OpNetwork::none
                                                : OpNetwork::sandbox;
  default_path_ = request.platform().os() == "windows" ? kWindowsPath : std::string(kDefaultPath);
  load_mounts(request);
  for (const auto& stack : inputs_) bring_layers(job_, stack);
  const ExecSecrets secrets = find_secrets();
  lease_caches();
  prepared_ = prepare_exec(job_.state(), op_, inputs_, cache_paths_, secrets);
  thread_ = std::thread([this] { run(); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return loop_ != nullptr; });
}

Container::~Container() {
  release();
}

// -- what it is made of

uint32_t Container::add_input(const std::string& result) {
  LayerStack stack;
  if (!result.empty()) {
    const auto ref = job_.find_ref(result);
    if (!ref) throw Error("there is no result " + lade::quoted(result), ErrorKind::not_found);
    stack = job_.layers(ref);
  }
  inputs_.push_back(std::move(stack));
  return static_cast<uint32_t>(inputs_.size() - 1);
}

void Container::load_mounts(const gateway::NewContainerRequest& request) {
  const auto& mounts = request.mounts();
  const auto root = std::find_if(mounts.begin(), mounts.end(),
                                 [](const pb::Mount& mount) { return mount.dest() == "/"; });
  if (root == mounts.end()) throw Error("the container has no root filesystem");
  if (root->mounttype() != pb::BIND) throw Error("the root filesystem must be a bind mount");
  if (!root->selector().empty() && root->selector() != "/") {
    throw Error("a root filesystem that is a part of a result is not supported");
  }
  add_input(root->resultid());
  for (const auto& mount : mounts) {
    if (&mount == &*root) {
      mounts_.emplace_back();
      continue;
    }
    ExecMount made = load_mount(mount);
    made.target = join_path("/", made.target);
    const bool needs_input = made.type == ExecMountType::bind;
    if (needs_input || (made.type == ExecMountType::cache && !mount.resultid().empty())) {
      made.input = add_input(mount.resultid());
    }
    op_.mounts.push_back(made);
    mounts_.emplace_back(std::move(made));
  }
  // Parents first.
  std::stable_sort(op_.mounts.begin(), op_.mounts.end(),
                   [](const ExecMount& a, const ExecMount& b) { return a.target < b.target; });
}

ExecSecrets Container::find_secrets() {
  ExecSecrets out;
  for (const auto& mount : op_.mounts) {
    if (!job_.has_session()) break;
    if (mount.type == ExecMountType::secret) {
      if (auto value = job_.session().secret(mount.id)) out.values[mount.id] = std::move(*value);
    } else if (mount.type == ExecMountType::ssh) {
      const std::string socket = job_.agent_socket(mount.id);
      if (!socket.empty()) out.agents[mount.id] = socket;
    }
  }
  return out;
}

void Container::lease_caches() {
  // In the order of their names: steps and containers that lock the same caches must not wait for
  // each other.
  std::multimap<Digest, size_t> by_name;
  for (size_t i = 0; i < op_.mounts.size(); ++i) {
    if (op_.mounts[i].type != ExecMountType::cache) continue;
    by_name.emplace(CacheMount::name_of(op_.mounts[i], job_.state(), inputs_), i);
  }
  std::map<Digest, std::string> leased;
  for (const auto& [name, i] : by_name) {
    if (const auto known = leased.find(name); known != leased.end()) {
      cache_paths_[i] = known->second;
      continue;
    }
    for (;;) {
      job_.check_canceled();
      if (auto lease = CacheMount::try_lease(job_.state().root(), op_.mounts[i], name)) {
        cache_paths_[i] = leased[name] = lease->path();
        caches_.push_back(std::move(*lease));
        break;
      }
      std::this_thread::sleep_for(kCachePoll);
    }
  }
}

// -- its files

LiveTree Container::root_files() {
  return {job_.state().layers(), inputs_.at(0), prepared_.upper.path()};
}

LiveTree Container::files(int index) {
  if (index < 0 || static_cast<size_t>(index) >= mounts_.size()) {
    throw Error(
        fmt::format("mount index {} is out of bounds ({} available)", index, mounts_.size()));
  }
  const auto& mount = mounts_[static_cast<size_t>(index)];
  if (!mount) return root_files();
  const auto& made = prepared_.spec.mounts;
  const auto found = std::find_if(made.begin(), made.end(),
                                  [&](const Mount& one) { return one.target == mount->target; });
  const bool readable = mount->type == ExecMountType::bind || mount->type == ExecMountType::cache;
  if (!readable || found == made.end()) {
    throw Error(fmt::format("what is mounted at {} cannot be read from outside",
                            lade::quoted(mount->target)));
  }
  const LayerStack stack = mount->input ? inputs_.at(*mount->input) : LayerStack();
  return {job_.state().layers(), stack, mount->input ? found->upper : found->source};
}

// -- processes

ExecSpec Container::spec_of(const gateway::InitMessage& request) {
  const auto& meta = request.meta();
  ExecOp process;
  process.args = {meta.args().begin(), meta.args().end()};
  process.env = {meta.env().begin(), meta.env().end()};
  process.cwd = meta.cwd().empty() ? "/" : meta.cwd();
  process.user = meta.user();
  process.security = security_of(request);
  if (process.security == OpSecurity::insecure &&
      !job_.entitlements.contains("security.insecure")) {
    throw Error("security.insecure is not allowed");
  }
  if (op_.network == OpNetwork::host && !job_.entitlements.contains("network.host")) {
    throw Error("network.host is not allowed");
  }
  if (process.args.empty()) throw Error("the process has no arguments");
  add_default(process.env, "PATH", default_path_);
  if (request.tty()) add_default(process.env, "TERM", "xterm");
  for (const auto& secret : request.secretenv()) {
    if (secret.id().empty()) {
      throw Error(fmt::format("secret ID missing for {} environment variable",
                              lade::quoted(secret.name())));
    }
    const auto value = job_.has_session() ? job_.session().secret(secret.id()) : std::nullopt;
    if (!value && !secret.optional()) {
      throw Error(fmt::format("secret {}: not found", secret.id()), ErrorKind::not_found);
    }
    process.env.push_back(secret.name() + "=" + value.value_or(""));
  }

  // Users are those that the container has now, which may have been added in it.
  const LiveTree root = root_files();
  std::map<std::string, LiveTree::Place> files;
  std::vector<Entry> entries;
  for (const std::string name : {"etc/passwd", "etc/group"}) {
    auto place = root.find(name);
    if (!place || place->entry.type != EntryType::regular) continue;
    entries.push_back(place->entry);
    entries.back().path = name;
    entries.back().hardlink_group = 0;
    files.emplace(name, std::move(*place));
  }
  const MergedIndex index({std::make_shared<LayerIndex>(std::move(entries))});
  ExecSpec spec = prepared_.spec;
  set_process(
      process, index, [&](const Found& found) { return root.open(files.at(found.path)); }, spec);
  return spec;
}

std::shared_ptr<ContainerProcess> Container::start(const gateway::InitMessage& request,
                                                   ContainerProcess::Listener listener) {
  const auto process = std::make_shared<ContainerProcess>(
      std::set<uint32_t>(request.fds().begin(), request.fds().end()), request.tty(),
      std::move(listener));
  try {
    const bool posted = post([this, process, spec = spec_of(request)] { launch(process, spec); });
    if (!posted) process->end(canceled_end());
  } catch (const std::exception& error) {
    process->end({kUnknownExit, error.what(), false});
  }
  return process;
}

void Container::launch(const std::shared_ptr<ContainerProcess>& process, ExecSpec spec) {
  if (first_) spec.join = first_;
  process->lend(spec);
  try {
    const auto id = executor_->start(
        spec, [](LogStream, std::string_view) {},
        [this, process](const ExecResult& result) {
          running_.erase(process.get());
          process->end(released_ ? canceled_end() : end_of(result));
        });
    process->started();
    running_[process.get()] = id;
    if (!first_) first_ = id;
  } catch (const Error& error) {
    process->end({kUnknownExit, error.message(), false});
  }
}

void Container::signal(const std::shared_ptr<ContainerProcess>& process, int number) {
  post([this, process, number] {
    const auto found = running_.find(process.get());
    if (found != running_.end()) executor_->signal(found->second, number);
  });
}

bool Container::post(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  loop_->post(std::move(work));
  return true;
}

void Container::release() {
  {
    const std::lock_guard lock(mutex_);
    if (!closed_) {
      loop_->post([this] {
        released_ = true;
        for (const auto& [process, id] : running_) executor_->kill(id);
      });
    }
    closed_ = true;  // nothing comes after that
  }
  const std::lock_guard lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

void Container::run() {
  EventLoop loop;
  executor_ = job_.shared().executor.stand_in(ExecutorHost::Counted::no);
  executor_->attach(loop);
  std::vector<std::unique_ptr<SshForward>> forwards;
  for (auto& socket : prepared_.ssh) {
    forwards.push_back(std::make_unique<SshForward>(loop, std::move(socket)));
  }
  {
    const std::lock_guard lock(mutex_);
    loop_ = &loop;
  }
  changed_.notify_all();
  loop.run_until([this] { return released_ && running_.empty(); });
  executor_.reset();
}

// -- all of a build

void Containers::add(const std::string& id, std::shared_ptr<Container> container) {
  const std::lock_guard lock(mutex_);
  if (closed_) throw Error("the build has ended", ErrorKind::canceled);
  if (!containers_.emplace(id, std::move(container)).second) {
    throw Error(fmt::format("Container {} already exists", id));
  }
}

std::shared_ptr<Container> Containers::find(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = containers_.find(id);
  if (found != containers_.end()) return found->second;
  throw Error(fmt::format("container {} was released or not created", lade::quoted(id)),
              ErrorKind::not_found);
}

std::shared_ptr<Container> Containers::take(const std::string& id) {
  const std::lock_guard lock(mutex_);
  auto node = containers_.extract(id);
  return node.empty() ? nullptr : std::move(node.mapped());
}

void Containers::close() {
  std::map<std::string, std::shared_ptr<Container>> all;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    all.swap(containers_);
  }
  for (const auto& [id, container] : all) container->release();
}

}  // namespace lade
