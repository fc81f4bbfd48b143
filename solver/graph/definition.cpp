#include "solver/graph/definition.hpp"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "base/wire.hpp"

namespace lade {
namespace {

using Components = std::vector<std::pair<std::string, std::string>>;

std::string owner_text(const std::optional<CopyOwner>& owner) {
  return owner ? "chown=" + owner->user : "";
}

std::string time_text(const std::optional<FileTime>& time) {
  return time ? fmt::format("{}.{:09}", time->seconds, time->nanoseconds) : "";
}

std::string texts(const auto& range) {
  return WireWriter().texts(range).take();
}

void add_source(Components& out, const SourceOp& op) {
  out.emplace_back("source", op.identifier);
  for (const auto& [key, value] : op.attrs) out.emplace_back("source." + key, value);
}

void add_mount(Components& out, const ExecMount& mount) {
  WireWriter writer;
  writer.number(mount.type).text(mount.target).number(mount.input ? *mount.input + 1 : 0);
  writer.text(mount.subpath).number(mount.read_only).number(mount.size_bytes).text(mount.id);
  writer.number(mount.sharing).number(mount.required).number(mount.env_only);
  writer.text(mount.env.value_or("")).number(mount.mode).number(mount.uid).number(mount.gid);
  if (mount.output) writer.number(*mount.output);
  out.emplace_back("mount " + mount.target, writer.take());
}

void add_exec(Components& out, const ExecOp& op) {
  out.emplace_back("command", texts(op.args));
  for (const auto& variable : op.env) {
    const auto equals = variable.find('=');
    out.emplace_back("env " + variable.substr(0, equals), variable);
  }
  out.emplace_back("working directory", op.cwd);
  out.emplace_back("user", op.user);
  out.emplace_back("hostname", op.hostname);
  out.emplace_back("network", fmt::format("{}", static_cast<int>(op.network)));
  out.emplace_back("security", fmt::format("{}", static_cast<int>(op.security)));
  out.emplace_back("shm size", fmt::format("{}", op.shm_bytes));
  for (const auto& limit : op.ulimits) {
    out.emplace_back("ulimit " + limit.name, fmt::format("{}:{}", limit.soft, limit.hard));
  }
  // Names of extra hosts count, their addresses do not.
  for (const auto& [name, address] : op.extra_hosts) out.emplace_back("extra host", name);
  // What was added later is named only where it is not as it always was: keys stay.
  if (op.read_only_root) out.emplace_back("root", "read-only");
  if (!op.good_exit_codes.empty()) {
    out.emplace_back("exit codes",
                     WireWriter()
                         .list(op.good_exit_codes, [](WireWriter& w, int code) { w.number(code); })
                         .take());
  }
  if (op.script) out.emplace_back("script " + op.script->path, op.script->content);
  for (const auto& mount : op.mounts) add_mount(out, mount);
}

struct AddAction {
  Components& out;

  void operator()(const CopyAction& action) const {
    WireWriter writer;
    writer.number(action.input).text(action.source).text(action.destination);
    writer.text(owner_text(action.owner)).number(action.mode.has_value());
    writer.text(action.mode.value_or("")).texts(action.excludes).number(action.wildcard);
    writer.number(action.parents).number(action.unpack).number(action.follow_destination);
    const bool plain = action.includes.empty() && action.contents && action.follow_source &&
                       action.make_destination && !action.replace && !action.mtime;
    if (!plain) {
      writer.texts(action.includes).number(action.contents).number(action.follow_source);
      writer.number(action.make_destination).number(action.replace).text(time_text(action.mtime));
    }
    out.emplace_back(fmt::format("copy {} {}", action.source, action.destination), writer.take());
  }
  void operator()(const MakeFileAction& action) const {
    WireWriter writer;
    writer.text(action.name).text(action.content).text(action.destination);
    writer.text(owner_text(action.owner)).number(action.mode.has_value());
    writer.text(action.mode.value_or("")).number(action.follow_destination);
    if (!action.parents || action.mtime) {
      writer.number(action.parents).text(time_text(action.mtime));
    }
    out.emplace_back(fmt::format("file {} {}", action.name, action.destination), writer.take());
  }
  void operator()(const MakeDirAction& action) const {
    WireWriter writer;
    writer.text(owner_text(action.owner)).number(action.mtime.has_value());
    writer.number(action.mtime ? action.mtime->seconds : 0);
    const bool fraction = action.mtime && action.mtime->nanoseconds != 0;
    if (action.mode != 0755 || !action.parents || fraction) {
      writer.number(action.mode).number(action.parents).text(time_text(action.mtime));
    }
    out.emplace_back("directory " + action.path, writer.take());
  }
  void operator()(const SymlinkAction& action) const {
    WireWriter writer;
    writer.text(action.target).text(owner_text(action.owner)).text(time_text(action.mtime));
    out.emplace_back("symlink " + action.path, writer.take());
  }
  void operator()(const RemoveAction& action) const {
    WireWriter writer;
    writer.number(action.wildcard).number(action.must_exist);
    out.emplace_back("remove " + action.path, writer.take());
  }
};

}  // namespace

Components op_components(const Vertex& vertex) {
  Components out;
  out.emplace_back("platform", vertex.platform);
  if (const auto* source = std::get_if<SourceOp>(&vertex.op)) {
    add_source(out, *source);
  } else if (const auto* exec = std::get_if<ExecOp>(&vertex.op)) {
    add_exec(out, *exec);
  } else if (const auto* file = std::get_if<FileOp>(&vertex.op)) {
    for (const auto& action : file->actions) std::visit(AddAction{out}, action);
  } else {
    out.emplace_back(std::holds_alternative<DiffOp>(vertex.op) ? "diff" : "merge", "");
  }
  return out;
}

uint32_t output_count(const Op& op) {
  uint32_t count = 1;
  const auto* exec = std::get_if<ExecOp>(&op);
  if (!exec) return count;
  for (const auto& mount : exec->mounts) {
    if (mount.output) count = std::max(count, *mount.output + 1);
  }
  return count;
}

std::string SourceOp::attr(const std::string& name) const {
  const auto found = attrs.find(name);
  return found == attrs.end() ? std::string() : found->second;
}

Edge append(Definition& into, Definition from, Edge root) {
  // The usual build has one platform, whose graph is taken as it is: nothing is hashed or copied.
  if (into.vertices.empty()) {
    into = std::move(from);
    return root;
  }
  const auto identity = [](const Vertex& vertex) {
    return std::tuple(op_digest(vertex), vertex.inputs, vertex.ignore_cache);
  };
  std::map<decltype(identity(Vertex{})), uint32_t> known;
  for (uint32_t i = 0; i < into.vertices.size(); ++i) known.emplace(identity(into.vertices[i]), i);
  std::vector<uint32_t> renumbered;
  for (Vertex& vertex : from.vertices) {
    for (Edge& input : vertex.inputs) input.vertex = renumbered[input.vertex];
    const auto next = static_cast<uint32_t>(into.vertices.size());
    const auto [at, is_new] = known.emplace(identity(vertex), next);
    if (is_new) into.vertices.push_back(std::move(vertex));
    renumbered.push_back(at->second);
  }
  return {renumbered[root.vertex], root.output};
}

Digest op_digest(const Vertex& vertex) {
  // Of steps that mount inputs the records of version 1 were found without regard to the look of
  // the mounted directory, and may hold what another input led to: none of them may be found again.
  const auto* exec = std::get_if<ExecOp>(&vertex.op);
  const bool mounts_input =
      exec && std::any_of(exec->mounts.begin(), exec->mounts.end(),
                          [](const ExecMount& mount) { return mount.input.has_value(); });
  WireWriter writer;
  writer.text(mounts_input ? "lade op 2" : "lade op 1").number(vertex.op.index());
  for (const auto& [name, value] : op_components(vertex)) writer.text(name).text(value);
  return Digest::of(writer.str());
}

}  // namespace lade
