#include "builder/attest/graph_json.hpp"

#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/base64.hpp"
#include "base/wire.hpp"
#include "snapshotter/content/descriptor.hpp"
#include "solver/lower/remote.hpp"

namespace lade {
namespace {

using Json = nlohmann::ordered_json;

// Numbers of LLB's enumerations.
constexpr int kSecretMount = 1;
constexpr int kSshMount = 2;
constexpr int kCacheMount = 3;
constexpr int kTmpfsMount = 4;
constexpr int kHostNetwork = 1;
constexpr int kNoNetwork = 2;

Json source_json(const SourceOp& op) {
  Json out = {{"identifier", redact_url(op.identifier)}};
  for (const auto& [name, value] : op.attrs) {
    if (name == "chain") continue;  // lade's own
    out["attrs"][name] = name == "remote" ? redact_url(value) : value;
  }
  return out;
}

Json mount_json(const ExecMount& mount) {
  Json out = {{"dest", mount.target}, {"input", mount.input ? static_cast<int>(*mount.input) : -1}};
  if (!mount.subpath.empty()) out["selector"] = mount.subpath;
  if (mount.read_only && mount.type == ExecMountType::bind) out["readonly"] = true;
  if (mount.output) out["output"] = *mount.output;
  const auto lent = [&] {
    Json options = {{"ID", mount.id}, {"mode", mount.mode}};
    if (mount.uid != 0) options["uid"] = mount.uid;
    if (mount.gid != 0) options["gid"] = mount.gid;
    if (!mount.required) options["optional"] = true;
    return options;
  };
  switch (mount.type) {
    case ExecMountType::bind:
      break;
    case ExecMountType::cache:
      out["mountType"] = kCacheMount;
      out["cacheOpt"] = {{"ID", mount.id}, {"sharing", static_cast<int>(mount.sharing)}};
      break;
    case ExecMountType::tmpfs:
      out["mountType"] = kTmpfsMount;
      if (mount.size_bytes > 0) out["TmpfsOpt"] = {{"size", mount.size_bytes}};
      break;
    case ExecMountType::secret:
      out["mountType"] = kSecretMount;
      out["secretOpt"] = lent();
      break;
    case ExecMountType::ssh:
      out["mountType"] = kSshMount;
      out["SSHOpt"] = lent();
      break;
  }
  return out;
}

Json exec_json(const ExecOp& op) {
  Json meta = {{"args", op.args}, {"env", op.env}, {"cwd", op.cwd}};
  if (!op.user.empty()) meta["user"] = op.user;
  if (!op.hostname.empty()) meta["hostname"] = op.hostname;
  for (const auto& [name, address] : op.extra_hosts) {
    meta["extraHosts"].push_back({{"Host", name}, {"IP", address}});
  }
  for (const auto& limit : op.ulimits) {
    meta["ulimit"].push_back({{"Name", limit.name}, {"Soft", limit.soft}, {"Hard", limit.hard}});
  }
  if (!op.good_exit_codes.empty()) meta["validExitCodes"] = op.good_exit_codes;
  Json out = {{"meta", std::move(meta)}};
  Json root = {{"dest", "/"}};
  if (op.read_only_root) root["readonly"] = true;
  out["mounts"].push_back(std::move(root));
  for (const auto& mount : op.mounts) {
    if (mount.env) {
      out["secretenv"].push_back({{"ID", mount.id}, {"name", *mount.env}});
      if (!mount.required) out["secretenv"].back()["optional"] = true;
    }
    if (!mount.env_only) out["mounts"].push_back(mount_json(mount));
  }
  if (op.network == OpNetwork::host) out["network"] = kHostNetwork;
  if (op.network == OpNetwork::none) out["network"] = kNoNetwork;
  if (op.security == OpSecurity::insecure) out["security"] = 1;
  if (op.script) {
    out["script"] = {{"path", op.script->path}, {"data", base64(op.script->content)}};
  }
  return out;
}

void put_owner(const std::optional<CopyOwner>& owner, Json& out) {
  if (owner) out["owner"] = owner->user;
}

void put_time(const std::optional<FileTime>& time, Json& out) {
  if (time) out["timestamp"] = time->seconds * 1'000'000'000 + time->nanoseconds;
}

struct ActionJson {
  Json operator()(const CopyAction& action) const {
    Json copy = {{"src", action.source}, {"dest", action.destination}};
    put_owner(action.owner, copy);
    if (action.mode) copy["modeStr"] = *action.mode;
    if (!action.includes.empty()) copy["include_patterns"] = action.includes;
    if (!action.excludes.empty()) copy["exclude_patterns"] = action.excludes;
    put_time(action.mtime, copy);
    if (action.wildcard) copy["allowWildcard"] = true;
    if (action.unpack) copy["attemptUnpackDockerCompatibility"] = true;
    return {{"copy", std::move(copy)}};
  }
  Json operator()(const MakeFileAction& action) const {
    Json file = {
        {"path", action.destination + (action.destination.ends_with('/') ? action.name : "")},
        {"data", base64(action.content)}};
    put_owner(action.owner, file);
    if (action.mode) file["mode"] = *action.mode;
    put_time(action.mtime, file);
    return {{"mkfile", std::move(file)}};
  }
  Json operator()(const MakeDirAction& action) const {
    Json dir = {{"path", action.path}, {"mode", action.mode}};
    if (action.parents) dir["makeParents"] = true;
    put_owner(action.owner, dir);
    put_time(action.mtime, dir);
    return {{"mkdir", std::move(dir)}};
  }
  Json operator()(const SymlinkAction& action) const {
    Json link = {{"oldpath", action.target}, {"newpath", action.path}};
    put_owner(action.owner, link);
    put_time(action.mtime, link);
    return {{"symlink", std::move(link)}};
  }
  Json operator()(const RemoveAction& action) const {
    Json rm = {{"path", action.path}};
    if (!action.must_exist) rm["allowNotFound"] = true;
    if (action.wildcard) rm["allowWildcard"] = true;
    return {{"rm", std::move(rm)}};
  }
};

Json file_json(const FileOp& op, size_t inputs) {
  Json actions = Json::array();
  for (size_t i = 0; i < op.actions.size(); ++i) {
    Json action = {{"Action", std::visit(ActionJson(), op.actions[i])},
                   {"input", i == 0 ? 0 : inputs + i - 1}};
    if (const auto* copy = std::get_if<CopyAction>(&op.actions[i])) {
      action["secondaryInput"] = copy->input;
    }
    action["output"] = i + 1 == op.actions.size() ? 0 : -1;
    actions.push_back(std::move(action));
  }
  return {{"actions", std::move(actions)}};
}

Json op_json(const Vertex& vertex) {
  Json out = Json::object();
  if (const auto* source = std::get_if<SourceOp>(&vertex.op)) {
    out["source"] = source_json(*source);
  } else if (const auto* exec = std::get_if<ExecOp>(&vertex.op)) {
    out["exec"] = exec_json(*exec);
  } else if (const auto* file = std::get_if<FileOp>(&vertex.op)) {
    out["file"] = file_json(*file, vertex.inputs.size());
  } else if (std::holds_alternative<MergeOp>(vertex.op)) {
    Json inputs = Json::array();
    for (size_t i = 0; i < vertex.inputs.size(); ++i) inputs.push_back({{"input", i}});
    out["merge"] = {{"inputs", std::move(inputs)}};
  } else if (std::holds_alternative<DiffOp>(vertex.op)) {
    out["diff"] = {{"lower", {{"input", 0}}}, {"upper", {{"input", 1}}}};
  }
  return out;
}

}  // namespace

std::vector<uint32_t> needed_vertices(const Definition& graph, Edge root) {
  std::vector<bool> needed(graph.vertices.size(), false);
  if (root.vertex < needed.size()) needed[root.vertex] = true;
  // Inputs come before their users.
  for (size_t i = needed.size(); i-- > 0;) {
    if (!needed[i]) continue;
    for (const Edge& input : graph.vertices[i].inputs) needed[input.vertex] = true;
  }
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < needed.size(); ++i) {
    if (needed[i]) out.push_back(i);
  }
  return out;
}

std::vector<std::string> vertex_digests(const Definition& graph) {
  std::vector<Digest> digests;
  for (const auto& vertex : graph.vertices) {
    WireWriter writer;
    writer.text("lade vertex").digest(op_digest(vertex)).text(vertex.name);
    for (const Edge& input : vertex.inputs) {
      writer.digest(digests.at(input.vertex)).number(input.output);
    }
    digests.push_back(Digest::of(writer.str()));
  }
  std::vector<std::string> out;
  out.reserve(digests.size());
  for (const Digest& digest : digests) out.push_back(digest.str());
  return out;
}

Json graph_json(const Definition& graph, Edge root) {
  const auto needed = needed_vertices(graph, root);
  std::map<uint32_t, size_t> numbers;
  Json out = Json::array();
  const auto names = [&](const std::vector<Edge>& edges) {
    Json inputs = Json::array();
    for (const Edge& edge : edges) {
      inputs.push_back(fmt::format("step{}:{}", numbers.at(edge.vertex), edge.output));
    }
    return inputs;
  };
  for (const uint32_t index : needed) {
    const Vertex& vertex = graph.vertices[index];
    Json step = {{"id", fmt::format("step{}", numbers.size())}};
    Json op = {{"Op", op_json(vertex)}};
    if (!vertex.platform.empty()) {
      const Platform platform = Platform::parse(vertex.platform);
      op["platform"] = {{"Architecture", platform.architecture}, {"OS", platform.os}};
      if (!platform.variant.empty()) op["platform"]["Variant"] = platform.variant;
    }
    op["constraints"] = Json::object();
    step["op"] = std::move(op);
    if (!vertex.inputs.empty()) step["inputs"] = names(vertex.inputs);
    numbers.emplace(index, numbers.size());
    out.push_back(std::move(step));
  }
  out.push_back({{"id", fmt::format("step{}", needed.size())},
                 {"op", {{"Op", Json::object()}}},
                 {"inputs", names({root})}});
  return out;
}

}  // namespace lade
