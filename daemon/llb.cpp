#include "daemon/llb.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "daemon/frontend_context.hpp"
#include "daemon/proto/ops.pb.h"
#include "parser/grammar.hpp"
#include "solver/lower_remote.hpp"

namespace lade {
namespace {

constexpr std::string_view kResultScheme = "lade-result://";
constexpr size_t kMaxOps = 100'000;

std::string attr(const pb::SourceOp& source, const std::string& name) {
  const auto found = source.attrs().find(name);
  return found == source.attrs().end() ? "" : found->second;
}

/// A list that is kept as JSON in an attribute.
std::vector<std::string> list_attr(const pb::SourceOp& source, const std::string& name) {
  std::vector<std::string> out;
  const std::string text = attr(source, name);
  if (text.empty()) return out;
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_array()) throw Error(fmt::format("{} is no JSON list", name));
  for (const auto& value : json) {
    if (!value.is_string()) throw Error(fmt::format("{} is no list of strings", name));
    out.push_back(value.get<std::string>());
  }
  return out;
}

Platform platform_of(const pb::Op& op) {
  if (!op.has_platform() || op.platform().os().empty()) return Platform::host();
  Platform out;
  out.os = op.platform().os();
  out.architecture = op.platform().architecture();
  out.variant = op.platform().variant();
  out.os_version = op.platform().osversion();
  return out.normalized();
}

/// What an LLB vertex has become.
struct Loaded {
  std::map<uint32_t, Edge> outputs;
  std::optional<Edge> local;  ///< of a local source: the directory itself, outputs are a copy
};

class Loader {
 public:
  Loader(Job& job, const pb::Definition& definition, const FindResult& find)
      : job_(job), definition_(definition), find_(find) {}

  JobRef load() {
    if (static_cast<size_t>(definition_.def_size()) > kMaxOps)
      throw Error("the graph is too large");
    std::vector<std::pair<std::string, pb::Op>> ops;
    for (const auto& bytes : definition_.def()) {
      pb::Op op;
      if (!op.ParseFromString(bytes)) throw Error("an op of the graph is damaged");
      ops.emplace_back(Digest::of(bytes).str(), std::move(op));
    }
    if (ops.empty()) throw Error("the graph is empty");
    // The last one only says which output is meant.
    const auto& last = ops.back().second;
    if (last.op_case() != pb::Op::OP_NOT_SET || last.inputs_size() != 1) {
      throw Error("the graph does not end in its result");
    }
    find_wanted_outputs(ops);
    for (const auto& [digest, op] : ops) {
      if (&op == &last) break;
      with_context([&] { return name_of(digest, op); }, [&] { add_op(digest, op); });
    }
    ref_.root = edge(last.inputs(0));
    return std::move(ref_);
  }

 private:
  // -- helpers

  const pb::OpMetadata* metadata(const std::string& digest) const {
    const auto found = definition_.metadata().find(digest);
    return found == definition_.metadata().end() ? nullptr : &found->second;
  }

  std::string description(const std::string& digest, const std::string& key) const {
    const auto* meta = metadata(digest);
    if (!meta) return {};
    const auto found = meta->description().find(key);
    return found == meta->description().end() ? "" : found->second;
  }

  std::string name_of(const std::string& digest, const pb::Op& op) const {
    if (auto custom = description(digest, "llb.customname"); !custom.empty()) return custom;
    switch (op.op_case()) {
      case pb::Op::kSource:
        return op.source().identifier();
      case pb::Op::kExec:
        return join({op.exec().meta().args().begin(), op.exec().meta().args().end()}, " ");
      case pb::Op::kFile:
        return file_name(op.file());
      case pb::Op::kMerge:
        return "merge";
      case pb::Op::kDiff:
        return "diff";
      default:
        return "op " + digest;
    }
  }

  static std::string file_name(const pb::FileOp& op) {
    std::vector<std::string> names;
    for (const auto& action : op.actions()) {
      switch (action.action_case()) {
        case pb::FileAction::kCopy:
          names.push_back(fmt::format("copy {} {}", action.copy().src(), action.copy().dest()));
          break;
        case pb::FileAction::kMkfile:
          names.push_back("mkfile " + action.mkfile().path());
          break;
        case pb::FileAction::kMkdir:
          names.push_back("mkdir " + action.mkdir().path());
          break;
        case pb::FileAction::kRm:
          names.push_back("rm " + action.rm().path());
          break;
        case pb::FileAction::kSymlink:
          names.push_back(fmt::format("symlink {} -> {}", action.symlink().newpath(),
                                      action.symlink().oldpath()));
          break;
        default:
          break;
      }
    }
    return join(names, ", ");
  }

  SourceRange range_of(const std::string& digest) {
    SourceRange out;
    const auto& source = definition_.source();
    const auto found = source.locations().find(digest);
    if (found == source.locations().end()) return out;
    for (const auto& location : found->second.locations()) {
      if (location.sourceindex() < 0 || location.sourceindex() >= source.infos_size()) continue;
      if (location.ranges_size() == 0) continue;
      auto& file = files_[location.sourceindex()];
      if (!file) {
        const auto& info = source.infos(location.sourceindex());
        auto made = std::make_shared<SourceFile>();
        made->name = info.filename();
        made->text = info.data();
        file = std::move(made);
      }
      out.file = file;
      out.first_line = location.ranges(0).start().line();
      out.last_line = std::max(location.ranges(0).end().line(), out.first_line);
      return out;
    }
    return out;
  }

  Edge add(const std::string& digest, const pb::Op& op, Op what, std::vector<Edge> inputs,
           std::string name) {
    Vertex vertex;
    vertex.op = std::move(what);
    vertex.inputs = std::move(inputs);
    vertex.platform = platform_of(op).str();
    vertex.name = std::move(name);
    vertex.range = range_of(digest);
    const auto* meta = metadata(digest);
    vertex.ignore_cache = meta && meta->ignore_cache();
    ref_.definition.vertices.push_back(std::move(vertex));
    return {static_cast<uint32_t>(ref_.definition.vertices.size() - 1), 0};
  }

  Edge scratch() {
    if (!scratch_) {
      Vertex vertex;
      vertex.op = SourceOp{"scratch", {}};
      ref_.definition.vertices.push_back(std::move(vertex));
      scratch_ = Edge{static_cast<uint32_t>(ref_.definition.vertices.size() - 1), 0};
    }
    return *scratch_;
  }

  const Loaded& loaded(const pb::Input& input) const {
    const auto found = loaded_.find(input.digest());
    if (found == loaded_.end()) {
      throw Error("an input comes after what uses it: " + lade::quoted(input.digest()));
    }
    return found->second;
  }

  Edge edge(const pb::Input& input) const {
    const Loaded& from = loaded(input);
    const auto found = from.outputs.find(static_cast<uint32_t>(input.index()));
    if (found == from.outputs.end())
      throw Error(fmt::format("there is no output {}", input.index()));
    return found->second;
  }

  /// As `edge`, but a directory of the client's is it itself, not a copy.
  Edge source_edge(const pb::Input& input) const {
    const Loaded& from = loaded(input);
    return from.local ? *from.local : edge(input);
  }

  void find_wanted_outputs(const std::vector<std::pair<std::string, pb::Op>>& ops) {
    for (const auto& [digest, op] : ops) {
      for (const auto& input : op.inputs()) {
        wanted_[input.digest()].insert(static_cast<uint32_t>(input.index()));
      }
    }
  }

  void add_op(const std::string& digest, const pb::Op& op) {
    switch (op.op_case()) {
      case pb::Op::kSource:
        return add_source(digest, op);
      case pb::Op::kExec:
        return add_exec(digest, op);
      case pb::Op::kFile:
        return add_file(digest, op);
      case pb::Op::kMerge:
        return add_merge(digest, op);
      case pb::Op::kDiff:
        throw Error("diff ops are not supported");
      case pb::Op::kBuild:
        throw Error("build ops are not supported");
      case pb::Op::kPassthrough:
        throw Error("passthrough ops are not supported");
      case pb::Op::OP_NOT_SET:
        throw Error("an op of the graph is of no known kind");
    }
  }

  // -- sources

  void add_source(const std::string& digest, const pb::Op& op) {
    const auto& source = op.source();
    const std::string& id = source.identifier();
    if (id.starts_with(kResultScheme)) return add_result(digest, id.substr(kResultScheme.size()));
    if (id.starts_with("docker-image://") || id.starts_with("oci-layout://")) {
      return add_image(digest, op);
    }
    if (id.starts_with("local://")) return add_local(digest, op);
    Edge made;
    if (id.starts_with("git://")) {
      made = add(digest, op, git_op(source), {}, name_of(digest, op));
    } else if (id.starts_with("http://") || id.starts_with("https://")) {
      made = add(digest, op, http_op(source), {}, name_of(digest, op));
    } else {
      throw Error("the source is of no known kind: " + lade::quoted(id));
    }
    loaded_[digest].outputs[0] = made;
  }

  void add_result(const std::string& digest, const std::string& id) {
    const auto found = find_(id);
    if (!found) throw Error("the result that the graph refers to is not known any more");
    if (found->solved) {
      // What it came to is known: an image, as far as the graph is concerned.
      Vertex vertex;
      vertex.op = result_source(job_, found, {});
      ref_.definition.vertices.push_back(std::move(vertex));
      loaded_[digest].outputs[0] = {static_cast<uint32_t>(ref_.definition.vertices.size() - 1), 0};
      return;
    }
    loaded_[digest].outputs[0] = append(ref_.definition, found->definition, found->root);
    for (const auto& [name, local] : found->locals) ref_.locals.emplace(name, local);
    for (const auto& [name, local] : found->extra_locals) ref_.extra_locals.emplace(name, local);
    ref_.keep.insert(ref_.keep.end(), found->keep.begin(), found->keep.end());
  }

  void add_image(const std::string& digest, const pb::Op& op) {
    const auto& source = op.source();
    std::string id = source.identifier();
    const std::string mode = attr(source, "image.resolvemode");
    if (mode == "pull") job_.images().set_pull(PullPolicy::always);
    if (mode == "local") job_.images().set_pull(PullPolicy::missing);
    for (const char* name : {"image.layerlimit", "oci.layerlimit"}) {
      if (!attr(source, name).empty()) throw Error(fmt::format("{} is not supported", name));
    }
    if (id.starts_with("oci-layout://")) {
      const auto at = id.rfind('@');
      if (at == std::string::npos) throw Error("an OCI layout is read by its digest");
      id = "oci-layout://" + attr(source, "oci.store") + id.substr(at);
    }
    const BaseImage image = job_.images().resolve(id, platform_of(op));
    if (image.config.diff_ids.empty()) {
      loaded_[digest].outputs[0] = scratch();
      return;
    }
    ChainId chain;
    for (const auto& diff_id : image.config.diff_ids) chain = chain_id(chain, diff_id);
    loaded_[digest].outputs[0] =
        add(digest, op, SourceOp{image.identifier, {{"chain", chain.digest.str()}}}, {},
            name_of(digest, op));
  }

  void add_local(const std::string& digest, const pb::Op& op) {
    const auto& source = op.source();
    LocalDirectory local;
    local.request.name = source.identifier().substr(std::string_view("local://").size());
    local.request.include = list_attr(source, "local.includepattern");
    local.request.exclude = list_attr(source, "local.excludepatterns");
    local.request.follow = list_attr(source, "local.followpaths");
    local.shared_key = attr(source, "local.sharedkeyhint");
    local.what = "the client's directory " + lade::quoted(local.request.name);
    // Two selections of one directory are two sources.
    std::string identity = local.shared_key;
    for (const auto* list :
         {&local.request.include, &local.request.exclude, &local.request.follow}) {
      identity += "\n-" + join(*list, "\n");
    }
    const std::string name =
        fmt::format("{}#{}", local.request.name, Digest::of(identity).hex().substr(0, 16));
    ref_.locals[name] = local;
    Loaded& out = loaded_[digest];
    out.local = add(digest, op, SourceOp{"local://" + name, {}}, {}, name_of(digest, op));
    FileOp copy{{CopyAction{.source = "/", .destination = "/", .wildcard = false}}};
    out.outputs[0] = add(digest, op, std::move(copy), {scratch(), *out.local}, "");
  }

  static SourceOp git_op(const pb::SourceOp& source) {
    std::string text = source.identifier();
    if (const auto url = attr(source, "git.fullurl"); !url.empty()) {
      const auto fragment = text.find('#');
      text = url + (fragment == std::string::npos ? "" : text.substr(fragment));
    }
    auto reference = parse_git_reference(text);
    if (!reference) throw Error("not a git repository: " + lade::quoted(text));
    if (attr(source, "git.keepgitdir") == "true") reference->keep_git_dir = true;
    if (attr(source, "git.skipsubmodules") == "true") reference->submodules = false;
    if (attr(source, "git.fetchbycommit") == "true") reference->fetch_by_commit = true;
    if (const auto sum = attr(source, "git.checksum"); !sum.empty()) reference->checksum = sum;
    if (const auto mtime = attr(source, "git.mtime"); !mtime.empty()) reference->mtime = mtime;
    for (const auto& [name, value] : source.attrs()) {
      if (name.starts_with("git.sig.") || name.starts_with("git.bundle") ||
          name == "git.checkoutbundle") {
        throw Error(fmt::format("{} is not supported", name));
      }
    }
    return git_source(*reference);
  }

  static SourceOp http_op(const pb::SourceOp& source) {
    for (const auto& [name, value] : source.attrs()) {
      if (name.starts_with("http.sig.") || name.starts_with("http.header.")) {
        throw Error(fmt::format("{} is not supported", name));
      }
    }
    SourceOp out{source.identifier(), {}};
    for (const char* name : {"filename", "checksum", "uid", "gid"}) {
      if (const auto value = attr(source, fmt::format("http.{}", name)); !value.empty()) {
        out.attrs[name] = value;
      }
    }
    if (const auto perm = attr(source, "http.perm"); !perm.empty()) {
      out.attrs["perm"] = perm.starts_with("0o") ? perm.substr(2) : perm;
    }
    return out;
  }

  // -- exec

  void add_exec(const std::string& digest, const pb::Op& op) {
    const auto& exec = op.exec();
    ExecOp out;
    set_meta(exec, out);
    std::vector<Edge> inputs;
    const pb::Mount* root = nullptr;
    for (const auto& mount : exec.mounts()) {
      if (mount.dest() == "/") root = &mount;
    }
    if (!root) throw Error("the step has no root filesystem");
    inputs.push_back(mount_input(op, *root));
    if (!root->selector().empty() && root->selector() != "/") {
      throw Error("a root filesystem that is a part of an input is not supported");
    }
    for (const auto& mount : exec.mounts()) {
      if (&mount != root) out.mounts.push_back(exec_mount(op, mount, inputs));
    }
    for (const auto& secret : exec.secretenv()) {
      ExecMount mount;
      mount.type = ExecMountType::secret;
      mount.id = secret.id();
      mount.env = secret.name();
      mount.env_only = true;
      mount.required = !secret.optional();
      out.mounts.push_back(std::move(mount));
    }
    if (exec.cdidevices_size() > 0) throw Error("CDI devices are not supported");
    const auto* meta = metadata(digest);
    if (meta && meta->has_linux_resources()) throw Error("resource limits are not supported");
    check_entitlements(out);
    for (const uint32_t wanted : wanted_[digest]) {
      if (static_cast<int64_t>(wanted) != root->output()) {
        throw Error("outputs of mounts other than the root are not supported");
      }
    }
    loaded_[digest].outputs[static_cast<uint32_t>(root->output())] =
        add(digest, op, std::move(out), std::move(inputs), name_of(digest, op));
  }

  void check_entitlements(const ExecOp& op) const {
    if (op.network == OpNetwork::host && !job_.entitlements.contains("network.host")) {
      throw Error("network.host is not allowed");
    }
    if (op.security == OpSecurity::insecure && !job_.entitlements.contains("security.insecure")) {
      throw Error("security.insecure is not allowed");
    }
  }

  Edge mount_input(const pb::Op& op, const pb::Mount& mount) {
    if (mount.input() < 0) return scratch();
    if (mount.input() >= op.inputs_size()) throw Error("a mount has an input that there is not");
    return edge(op.inputs(static_cast<int>(mount.input())));
  }

  static void set_meta(const pb::ExecOp& exec, ExecOp& out) {
    const auto& meta = exec.meta();
    out.args = {meta.args().begin(), meta.args().end()};
    out.env = {meta.env().begin(), meta.env().end()};
    if (!meta.cwd().empty()) out.cwd = meta.cwd();
    out.user = meta.user();
    out.hostname = meta.hostname();
    out.cgroup_parent = meta.cgroupparent();
    for (const auto& host : meta.extrahosts()) out.extra_hosts.emplace_back(host.host(), host.ip());
    for (const auto& limit : meta.ulimit()) {
      out.ulimits.push_back({limit.name(), limit.soft(), limit.hard()});
    }
    if (meta.validexitcodes_size() > 0) throw Error("other exit codes than 0 are not supported");
    const auto& proxy = meta.proxy_env();
    const std::pair<const char*, const std::string*> proxies[] = {
        {"HTTP_PROXY", &proxy.http_proxy()},
        {"HTTPS_PROXY", &proxy.https_proxy()},
        {"FTP_PROXY", &proxy.ftp_proxy()},
        {"NO_PROXY", &proxy.no_proxy()},
        {"ALL_PROXY", &proxy.all_proxy()}};
    for (const auto& [name, value] : proxies) {
      if (value->empty()) continue;
      out.proxy_env[name] = *value;
      out.proxy_env[to_lower(name)] = *value;
    }
    out.network = exec.network() == pb::HOST   ? OpNetwork::host
                  : exec.network() == pb::NONE ? OpNetwork::none
                                               : OpNetwork::sandbox;
    if (exec.security() == pb::INSECURE) out.security = OpSecurity::insecure;
  }

  ExecMount exec_mount(const pb::Op& op, const pb::Mount& mount, std::vector<Edge>& inputs) {
    ExecMount out;
    out.target = mount.dest();
    out.subpath = mount.selector();
    out.read_only = mount.readonly();
    switch (mount.mounttype()) {
      case pb::BIND:
        inputs.push_back(mount_input(op, mount));
        out.input = static_cast<uint32_t>(inputs.size() - 1);
        break;
      case pb::CACHE:
        out.type = ExecMountType::cache;
        out.id = mount.cacheopt().id();
        out.sharing = mount.cacheopt().sharing() == pb::LOCKED    ? CacheMountSharing::locked
                      : mount.cacheopt().sharing() == pb::PRIVATE ? CacheMountSharing::exclusive
                                                                  : CacheMountSharing::shared;
        out.mode = 0755;
        if (mount.input() >= 0) {
          inputs.push_back(mount_input(op, mount));
          out.input = static_cast<uint32_t>(inputs.size() - 1);
        }
        break;
      case pb::TMPFS:
        out.type = ExecMountType::tmpfs;
        out.read_only = false;
        out.size_bytes = static_cast<uint64_t>(std::max<int64_t>(0, mount.tmpfsopt().size()));
        break;
      case pb::SECRET:
        out.type = ExecMountType::secret;
        out.id = mount.secretopt().id();
        out.uid = mount.secretopt().uid();
        out.gid = mount.secretopt().gid();
        out.mode = mount.secretopt().mode();
        out.required = !mount.secretopt().optional();
        break;
      case pb::SSH:
        out.type = ExecMountType::ssh;
        out.id = mount.sshopt().id().empty() ? "default" : mount.sshopt().id();
        out.uid = mount.sshopt().uid();
        out.gid = mount.sshopt().gid();
        out.mode = mount.sshopt().mode();
        out.required = !mount.sshopt().optional();
        break;
      default:
        throw Error(
            fmt::format("mount type {} is not supported", static_cast<int>(mount.mounttype())));
    }
    return out;
  }

  // -- files

  static std::optional<CopyOwner> owner_of(const pb::ChownOpt& chown) {
    const auto text = [](const pb::UserOpt& user) -> std::string {
      if (user.user_case() == pb::UserOpt::kByName) return user.byname().name();
      if (user.user_case() == pb::UserOpt::kByID) return fmt::format("{}", user.byid());
      return {};
    };
    const std::string user = text(chown.user());
    const std::string group = text(chown.group());
    if (user.empty() && group.empty()) return std::nullopt;
    return CopyOwner{(user.empty() ? "0" : user) + (group.empty() ? "" : ":" + group)};
  }

  static std::optional<std::string> mode_of(int32_t mode) {
    if (mode < 0) return std::nullopt;
    return fmt::format("{:o}", static_cast<unsigned>(mode) & 07777u);
  }

  void add_file(const std::string& digest, const pb::Op& op) {
    const auto& actions = op.file().actions();
    std::vector<Edge> made;  // what each action gives
    const auto input_of = [&](int64_t number, bool as_source) -> Edge {
      if (number < 0) return scratch();
      if (number < op.inputs_size()) {
        const auto& input = op.inputs(static_cast<int>(number));
        return as_source ? source_edge(input) : edge(input);
      }
      const auto index = static_cast<size_t>(number - op.inputs_size());
      if (index >= made.size()) throw Error("an action has an input that there is not");
      return made[index];
    };
    const std::string name = name_of(digest, op);
    for (int i = 0; i < actions.size(); ++i) {
      const auto& action = actions[i];
      std::vector<Edge> inputs = {input_of(action.input(), false)};
      FileOp file;
      if (action.action_case() == pb::FileAction::kCopy) {
        inputs.push_back(input_of(action.secondaryinput(), true));
      }
      file.actions.push_back(file_action(action));
      // People see one vertex, the last.
      made.push_back(
          add(digest, op, std::move(file), std::move(inputs), i + 1 == actions.size() ? name : ""));
      if (action.output() >= 0) {
        loaded_[digest].outputs[static_cast<uint32_t>(action.output())] = made.back();
      }
    }
  }

  static FileAction file_action(const pb::FileAction& action) {
    switch (action.action_case()) {
      case pb::FileAction::kCopy: {
        const auto& copy = action.copy();
        if (copy.include_patterns_size() > 0 || copy.required_paths_size() > 0) {
          throw Error("copying by include patterns is not supported");
        }
        if (copy.alwaysreplaceexistingdestpaths()) {
          throw Error("alwaysReplaceExistingDestPaths is not supported");
        }
        CopyAction out;
        out.source = clean_path("/" + copy.src());
        out.destination = copy.dest();
        out.owner = owner_of(copy.owner());
        out.mode = mode_of(copy.mode());
        if (!copy.modestr().empty()) out.mode = copy.modestr();
        out.excludes = {copy.exclude_patterns().begin(), copy.exclude_patterns().end()};
        out.wildcard = copy.allowwildcard();
        out.unpack = copy.attemptunpackdockercompatibility();
        return out;
      }
      case pb::FileAction::kMkfile: {
        const auto& file = action.mkfile();
        MakeFileAction out;
        out.name = base_name(file.path());
        out.content = file.data();
        out.destination = dir_name(clean_path("/" + file.path()));
        if (!out.destination.ends_with('/')) out.destination += '/';
        out.owner = owner_of(file.owner());
        out.mode = mode_of(file.mode());
        return out;
      }
      case pb::FileAction::kMkdir: {
        const auto& dir = action.mkdir();
        MakeDirAction out;
        out.path = clean_path("/" + dir.path());
        out.owner = owner_of(dir.owner());
        if (dir.timestamp() >= 0) out.mtime = dir.timestamp() / 1'000'000'000;
        return out;
      }
      case pb::FileAction::kRm:
        throw Error("rm actions are not supported");
      case pb::FileAction::kSymlink:
        throw Error("symlink actions are not supported");
      default:
        throw Error("a file action is of no known kind");
    }
  }

  void add_merge(const std::string& digest, const pb::Op& op) {
    std::vector<Edge> inputs;
    for (const auto& input : op.merge().inputs()) {
      if (input.input() < 0 || input.input() >= op.inputs_size()) {
        throw Error("the merge has an input that there is not");
      }
      inputs.push_back(edge(op.inputs(static_cast<int>(input.input()))));
    }
    loaded_[digest].outputs[0] = add(digest, op, MergeOp{}, std::move(inputs), name_of(digest, op));
  }

  Job& job_;
  const pb::Definition& definition_;
  const FindResult& find_;
  JobRef ref_;
  std::optional<Edge> scratch_;
  std::map<std::string, Loaded> loaded_;
  std::map<std::string, std::set<uint32_t>> wanted_;
  std::map<int, std::shared_ptr<const SourceFile>> files_;
};

}  // namespace

pb::Definition result_graph(const std::string& id) {
  pb::Op source;
  source.mutable_source()->set_identifier(std::string(kResultScheme) + id);
  const std::string bytes = source.SerializeAsString();
  pb::Op last;
  auto& input = *last.add_inputs();
  input.set_digest(Digest::of(bytes).str());
  input.set_index(0);
  pb::Definition out;
  out.add_def(bytes);
  out.add_def(last.SerializeAsString());
  (*out.mutable_metadata())[input.digest()];
  return out;
}

JobRef load_llb(Job& job, const pb::Definition& definition, const FindResult& find) {
  return Loader(job, definition, find).load();
}

}  // namespace lade
