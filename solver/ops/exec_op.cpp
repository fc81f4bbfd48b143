#include "solver/ops/exec_op.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "snapshotter/cache_mount.hpp"
#include "snapshotter/tree/users.hpp"
#include "solver/executor/network/hosts.hpp"
#include "solver/ops/entry_metadata.hpp"
#include "solver/ops/tree.hpp"
#include "solver/ops/ulimit.hpp"

namespace lade {
namespace {

constexpr int kMaxExclusiveCaches = 1000;

std::string relative(const std::string& path) {
  return clean_path("/" + path).substr(1);
}

/// Of mode 0755 whatever the caller's umask.
void make_directory(const UniqueFd& parent, const std::string& path) {
  sys::mkdirat(parent.get(), path, 0755);
  if (::fchmodat(parent.get(), path.c_str(), 0755, 0) != 0) {
    throw_errno("could not make the directory " + quoted(path));
  }
}

/// Makes what mounts need to exist in the root, in a lowerdir of their own: the new layer must not
/// show it.
class StubDir {
 public:
  StubDir(const std::string& path, const MergedIndex& root) : root_(root) {
    dir_ = sys::open(path, O_RDONLY | O_DIRECTORY);
  }

  /// `target` will be mounted on; `directory` says with what.
  void need(const std::string& target, bool directory) {
    const auto existing = root_.resolve(relative(target));
    if (existing) return;
    // A dangling link's target is made, as the mount will follow the link.
    const std::string path = root_.resolve_for_create(relative(target), true);
    if (path.empty() || sys::lstatat(dir_.get(), path)) return;
    make_parents(std::string(parent_of(path)));
    if (directory) {
      make_directory(dir_, path);
    } else {
      sys::openat(dir_.get(), path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    }
    used_ = true;
  }

  /// Of a directory that the image has at `target`.
  std::optional<uint32_t> mode_of(const std::string& target) const {
    const auto existing = root_.resolve(relative(target));
    if (!existing || existing->entry->type != EntryType::directory) return std::nullopt;
    return existing->entry->mode;
  }

  bool used() const { return used_; }

  /// Directories take their look from the stub, which lies above the image: their times last.
  void finish() {
    for (auto made = replicated_.rbegin(); made != replicated_.rend(); ++made) {
      const timespec times[2] = {{made->mtime_sec, made->mtime_nsec},
                                 {made->mtime_sec, made->mtime_nsec}};
      if (::utimensat(dir_.get(), made->path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
        throw_errno("could not set the times of a mount stub");
      }
    }
  }

 private:
  void make_parents(const std::string& path) {
    if (path.empty() || sys::lstatat(dir_.get(), path)) return;
    make_parents(std::string(parent_of(path)));
    make_directory(dir_, path);
    const auto below = root_.find(path);
    if (!below) return;
    const Entry& meta = *below->entry;
    if (meta.type != EntryType::directory) {
      throw Error(fmt::format("cannot mount below /{}, which is not a directory", path));
    }
    const UniqueFd fd = sys::openat(dir_.get(), path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (::fchown(fd.get(), meta.uid, meta.gid) != 0 || ::fchmod(fd.get(), meta.mode) != 0) {
      throw_errno("could not set up a mount stub");
    }
    replicated_.push_back(meta);
    replicated_.back().path = path;
  }

  const MergedIndex& root_;
  UniqueFd dir_;
  std::vector<Entry> replicated_;
  bool used_ = false;
};

class Preparation {
 public:
  Preparation(StateDir& state, const ExecOp& op, const std::vector<LayerStack>& inputs,
              const std::map<size_t, std::string>& cache_paths, const ExecSecrets& secrets,
              const std::vector<Mount>& host_mounts)
      : state_(state),
        op_(op),
        inputs_(inputs),
        cache_paths_(cache_paths),
        secrets_(secrets),
        host_mounts_(host_mounts) {}

  PreparedExec run() {
    lower_.emplace(state_.layers().merged(inputs_.at(0)));
    out_.stubs = state_.layers().prepare();
    stubs_.emplace(out_.stubs.path(), *lower_);
    set_step();
    out_.upper = state_.layers().prepare();
    for (const char* dir : {"proc", "sys", "dev"}) add_system_directory(dir);
    for (size_t i = 0; i < op_.mounts.size(); ++i) {
      if (!is_replaced(i)) add_mount(i);
    }
    for (const auto& mount : host_mounts_) add_host_mount(mount);
    add_files();
    stubs_->finish();
    copy_root_look(*lower_, out_.stubs);
    std::vector<std::string> stub_dirs;
    if (stubs_->used()) stub_dirs.push_back(out_.stubs.path());
    out_.spec.rootfs = state_.layers().overlay(inputs_.at(0), &out_.upper, stub_dirs);
    copy_root_look(*lower_, out_.upper);
    out_.spec.rootfs.read_only = op_.read_only_root;
    return std::move(out_);
  }

 private:
  void set_step() {
    ExecSpec& spec = out_.spec;
    if (!op_.hostname.empty()) spec.hostname = op_.hostname;
    const auto tree = stack_tree(state_.layers(), inputs_.at(0));
    set_process(op_, tree->index(), [&](const Found& found) { return tree->open(found); }, spec);
    spec.network = op_.network == OpNetwork::none   ? NetworkMode::none
                   : op_.network == OpNetwork::host ? NetworkMode::host
                                                    : NetworkMode::sandbox;
    if (op_.shm_bytes > 0) spec.shm_bytes = op_.shm_bytes;
    spec.cgroup_limits = op_.resources;
    if (!op_.cgroup_parent.empty()) spec.cgroup_parent = join_path("/", op_.cgroup_parent);
  }

  /// Unlike other mounts' targets, these three stay in the layer of the first step on a base that
  /// lacks them: whoever runs the image needs them, and BuildKit leaves them, too, unless something
  /// else is mounted in one (as /dev/pipes for a heredoc with a "#!" line).
  void add_system_directory(const std::string& name) {
    if (lower_->find(name) || has_target_in("/" + name)) {
      stubs_->need("/" + name, true);  // for a link that dangles
      return;
    }
    const UniqueFd upper = sys::open(out_.upper.path(), O_RDONLY | O_DIRECTORY);
    make_directory(upper, name);
  }

  bool has_target_in(const std::string& directory) const {
    const auto is_in = [&](const std::string& target) {
      return target == directory || target.starts_with(directory + "/");
    };
    if (op_.script && is_in(op_.script->path)) return true;
    return std::any_of(op_.mounts.begin(), op_.mounts.end(), [&](const ExecMount& mount) {
      const bool file = mount.type == ExecMountType::secret || mount.type == ExecMountType::ssh;
      return is_in(mount.target) && (!file || is_given(mount));
    });
  }

  /// An overlay's root looks as its topmost directory does, whatever lies below: as `view` has it,
  /// then.
  static void copy_root_look(const MergedIndex& view, const PendingLayer& top) {
    const UniqueFd dir = sys::open(top.path(), O_RDONLY | O_DIRECTORY);
    set_metadata(dir.get(), *view.find("")->entry, "/");
  }

  /// Whether a mount of the whole `view` without anything above shows another root than it has.
  static bool has_hidden_root(const MergedIndex& view) {
    const Found root = *view.find("");
    const Entry& meta = *root.entry;
    const bool plain = meta.mode == 0755 && meta.uid == 0 && meta.gid == 0 && meta.xattrs.empty();
    return !plain && root.layer + 1 != view.layers().size();
  }

  static bool is_directory(const MergedIndex& view, const std::string& subpath) {
    const auto found = view.resolve(relative(subpath));
    if (!found) throw Error(fmt::format("\"{}\" not found in what is to be mounted", subpath));
    return found->entry->type == EntryType::directory;
  }

  bool is_given(const ExecMount& mount) const {
    if (mount.type == ExecMountType::secret) {
      return secrets_.values.contains(mount.id) && !mount.env_only;
    }
    return mount.type != ExecMountType::ssh || secrets_.agents.contains(mount.id);
  }

  /// Of several mounts on one target the last one is made. Nothing is gained by leaving out files,
  /// which may also be variables, and may be required.
  bool is_replaced(size_t position) const {
    const ExecMount& mount = op_.mounts[position];
    if (mount.type == ExecMountType::secret || mount.type == ExecMountType::ssh) return false;
    return std::any_of(
        op_.mounts.begin() + static_cast<ptrdiff_t>(position) + 1, op_.mounts.end(),
        [&](const ExecMount& later) { return later.target == mount.target && is_given(later); });
  }

  void add_mount(size_t position) {
    const ExecMount& mount = op_.mounts[position];
    switch (mount.type) {
      case ExecMountType::bind:
        add_bind(mount);
        break;
      case ExecMountType::cache:
        add_cache(mount, cache_paths_.at(position));
        break;
      case ExecMountType::tmpfs: {
        Mount out;
        out.kind = MountKind::tmpfs;
        out.target = mount.target;
        out.size_bytes = mount.size_bytes;
        // As runc has it: that of the directory it covers, or the kernel's own default.
        out.mode = stubs_->mode_of(mount.target).value_or(01777);
        stubs_->need(mount.target, true);
        out_.spec.mounts.push_back(std::move(out));
        break;
      }
      case ExecMountType::secret:
        add_secret(mount);
        break;
      case ExecMountType::ssh:
        add_ssh(mount);
        break;
    }
  }

  void add_bind(const ExecMount& mount) {
    const LayerStack& stack = inputs_.at(mount.input.value());
    const MergedIndex view = state_.layers().merged(stack);
    stubs_->need(mount.target, is_directory(view, mount.subpath));
    const PendingLayer* upper = nullptr;
    std::vector<std::string> top;
    if (!mount.read_only && mount.output) {
      upper = &(out_.outputs[*mount.output] = state_.layers().prepare());
    } else if (!mount.read_only) {
      out_.thrown.push_back(state_.layers().prepare());
      upper = &out_.thrown.back();
    } else if (has_hidden_root(view)) {
      out_.thrown.push_back(state_.layers().prepare());
      copy_root_look(view, out_.thrown.back());
      top.push_back(out_.thrown.back().path());
    }
    Mount out = state_.layers().overlay(stack, upper, top);
    if (upper) copy_root_look(view, *upper);
    out.target = mount.target;
    out.subpath = mount.subpath;
    out.read_only = mount.read_only;
    out_.spec.mounts.push_back(std::move(out));
  }

  void add_host_mount(const Mount& mount) {
    struct stat info{};
    const bool bind = mount.kind == MountKind::bind;
    if (bind && ::stat(mount.source.c_str(), &info) != 0) {
      throw_errno("could not find " + quoted(mount.source) + ", which is to be mounted");
    }
    stubs_->need(mount.target, !bind || S_ISDIR(info.st_mode));
    out_.spec.mounts.push_back(mount);
  }

  void add_cache(const ExecMount& mount, const std::string& path) {
    stubs_->need(mount.target, true);
    Mount out;
    if (mount.input && !mount.own_directory) {
      out = state_.layers().overlay(inputs_.at(*mount.input), nullptr);
      out.upper = path;
      // A fresh one each time: a volatile overlay refuses the workdir of an earlier one.
      out_.thrown.push_back(state_.layers().prepare());
      out.work = out_.thrown.back().work();
      out.subpath = mount.subpath;
    } else {
      out.source = path;
    }
    out.target = mount.target;
    out.read_only = mount.read_only;
    out_.spec.mounts.push_back(std::move(out));
  }

  /// A socket of the step's own, with the owner and mode it asks for.
  void add_ssh(const ExecMount& mount) {
    const auto agent = secrets_.agents.find(mount.id);
    if (agent == secrets_.agents.end()) {
      if (!mount.required) return;
      Error error(fmt::format("ssh agent \"{}\" was not given to the build", mount.id));
      error.set_hint(fmt::format("lend it with --ssh {}", mount.id));
      throw error;
    }
    stubs_->need(mount.target, false);
    out_.thrown.push_back(state_.layers().prepare());
    const std::string directory = out_.thrown.back().path();
    out_.ssh.push_back(listen_for_ssh(directory, agent->second, mount.mode, mount.uid, mount.gid));
    Mount out;
    out.source = directory + "/" + std::string(kSshSocketName);
    out.target = mount.target;
    out_.spec.mounts.push_back(std::move(out));
  }

  void add_secret(const ExecMount& mount) {
    const auto secret = secrets_.values.find(mount.id);
    if (secret == secrets_.values.end()) {
      if (!mount.required) return;
      Error error(fmt::format("secret \"{}\" was not given to the build", mount.id));
      error.set_hint(fmt::format("give it with --secret id={},src=FILE", mount.id));
      throw error;
    }
    if (mount.env) out_.spec.env.push_back(*mount.env + "=" + secret->second);
    if (mount.env_only) return;
    stubs_->need(mount.target, false);
    out_.spec.files.push_back(
        {mount.target, secret->second, mount.mode, mount.uid, mount.gid, true, false});
  }

  void add_files() {
    auto& files = out_.spec.files;
    for (const char* file : {"/etc/resolv.conf", "/etc/hosts"}) stubs_->need(file, false);
    // Read-only, so that what a step writes there is not lost without a word.
    EphemeralFile resolv{.target = "/etc/resolv.conf", .content = {}};
    resolv.read_only = resolv.before_mounts = resolv.resolv_conf = true;
    files.push_back(std::move(resolv));
    std::vector<std::pair<std::string, std::string>> hosts;  // address, name
    for (const auto& [name, address] : op_.extra_hosts) hosts.emplace_back(address, name);
    files.push_back(
        {"/etc/hosts", sandbox_hosts(out_.spec.hostname, hosts), 0644, 0, 0, true, true});
    if (op_.script) {
      files.push_back({op_.script->path, op_.script->content, 0755, 0, 0, true, false});
    }
  }

  StateDir& state_;
  const ExecOp& op_;
  const std::vector<LayerStack>& inputs_;
  const std::map<size_t, std::string>& cache_paths_;
  const ExecSecrets& secrets_;
  const std::vector<Mount>& host_mounts_;
  PreparedExec out_;
  std::optional<MergedIndex> lower_;  // the root before the step
  std::optional<StubDir> stubs_;
};

}  // namespace

std::optional<CacheMount> CacheMount::try_lease(const std::string& state_root,
                                                const ExecMount& mount, const Digest& name) {
  for (int number = 0; number < kMaxExclusiveCaches; ++number) {
    const CacheMountDirectory directory(state_root, name, number);
    auto lock = directory.try_lock(mount.sharing == CacheMountSharing::shared);
    if (lock) {
      directory.make(mount.uid, mount.gid, mount.mode);
      ::futimens(lock->get(), nullptr);  // when it was last used, for garbage collection
      CacheMount cache;
      cache.path_ = directory.path();
      cache.lock_ = std::move(*lock);
      return cache;
    }
    if (mount.sharing != CacheMountSharing::exclusive) return std::nullopt;
  }
  throw Error(
      fmt::format("{} builds use the cache mount \"{}\" already", kMaxExclusiveCaches, mount.id));
}

Digest CacheMount::name_of(const ExecMount& mount, StateDir& state,
                           const std::vector<LayerStack>& inputs) {
  const LayerStack below = mount.input ? inputs.at(*mount.input) : LayerStack();
  // As all were named once; so these go on in the state directories there are.
  if (!mount.own_directory && below.empty()) return Digest::of(mount.id);
  WireWriter writer;
  writer.text("lade cache mount 1").text(mount.id).number(mount.own_directory);
  if (mount.own_directory) writer.number(mount.mode).number(mount.uid).number(mount.gid);
  for (const LayerId layer : below) writer.digest(state.layers().content_digest(layer));
  return Digest::of(writer.str());
}

void set_process(const ExecOp& op, const MergedIndex& index, const OpenFound& open,
                 ExecSpec& spec) {
  spec.args = op.args;
  spec.env = op.env;
  for (const auto& [name, value] : op.proxy_env) spec.env.push_back(name + "=" + value);
  spec.cwd = op.cwd;
  const UserSpec user = resolve_user(op.user, index, open);
  // An empty HOME counts as none.
  std::erase(spec.env, "HOME=");
  const bool has_home =
      std::any_of(spec.env.begin(), spec.env.end(),
                  [](const std::string& variable) { return variable.starts_with("HOME="); });
  if (!has_home) spec.env.push_back("HOME=" + home_of(user.uid, index, open));
  spec.uid = user.uid;
  spec.gid = user.gid;
  spec.groups = user.groups;
  spec.security =
      op.security == OpSecurity::insecure ? SecurityMode::insecure : SecurityMode::sandbox;
  spec.limits.clear();
  for (const auto& limit : op.ulimits) {
    // -1 is RLIM_INFINITY as it is for setrlimit(2).
    spec.limits.push_back({ulimit_resource(limit.name).value(), static_cast<uint64_t>(limit.soft),
                           static_cast<uint64_t>(limit.hard)});
  }
}

PreparedExec prepare_exec(StateDir& state, const ExecOp& op, const std::vector<LayerStack>& inputs,
                          const std::map<size_t, std::string>& cache_paths,
                          const ExecSecrets& secrets, const std::vector<Mount>& host_mounts) {
  return Preparation(state, op, inputs, cache_paths, secrets, host_mounts).run();
}

}  // namespace lade
