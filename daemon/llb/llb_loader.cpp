#include "daemon/llb/llb_loader.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "daemon/job/ref_files.hpp"
#include "daemon/llb/source_meta.hpp"

namespace lade {
namespace {

constexpr size_t kMaxOps = 100'000;
constexpr int kMaxNesting =
    32;  // graphs in files that graphs make: each is read inside of the last
constexpr int64_t kThisBuilder = -1;  // of build ops
constexpr const char* kDefinitionFile = "buildkit.llb.definition";
constexpr uint64_t kMaxDefinition = 64u << 20;

std::string file_name(const pb::FileOp& op) {
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

}  // namespace

Platform platform_of(const pb::Op& op) {
  return op.has_platform() ? platform_of(op.platform()) : Platform::host();
}

JobRef LlbLoader::load() {
  if (static_cast<size_t>(definition_.def_size()) > kMaxOps) throw Error("the graph is too large");
  std::vector<std::pair<std::string, pb::Op>> ops;
  for (const auto& bytes : definition_.def()) {
    pb::Op op;
    if (!op.ParseFromString(bytes)) throw Error("an op of the graph is damaged");
    ops.emplace_back(Digest::of(bytes).str(), std::move(op));
  }
  if (ops.empty()) throw Error("invalid nil input definition to definition op");
  // The last one only says which output is meant.
  const auto& last = ops.back().second;
  if (last.op_case() != pb::Op::OP_NOT_SET || last.inputs_size() != 1) {
    throw Error("the graph does not end in its result");
  }
  for (const auto& [digest, op] : ops) {
    if (&op == &last) break;
    with_context([&] { return name_of(digest, op); }, [&] { add_op(digest, op); });
  }
  ref_.root = edge(last.inputs(0));
  return std::move(ref_);
}

const pb::OpMetadata* LlbLoader::metadata(const std::string& digest) const {
  const auto found = definition_.metadata().find(digest);
  return found == definition_.metadata().end() ? nullptr : &found->second;
}

std::string LlbLoader::name_of(const std::string& digest, const pb::Op& op) const {
  if (const auto* meta = metadata(digest)) {
    const auto custom = meta->description().find("llb.customname");
    if (custom != meta->description().end() && !custom->second.empty()) return custom->second;
  }
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

SourceRange LlbLoader::range_of(const std::string& digest) {
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

Edge LlbLoader::add(const std::string& digest, const pb::Op& op, Op what, std::vector<Edge> inputs,
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

Edge LlbLoader::scratch() {
  if (!scratch_) {
    Vertex vertex;
    vertex.op = SourceOp{"scratch", {}};
    ref_.definition.vertices.push_back(std::move(vertex));
    scratch_ = Edge{static_cast<uint32_t>(ref_.definition.vertices.size() - 1), 0};
  }
  return *scratch_;
}

const LoadedOp& LlbLoader::loaded(const pb::Input& input) const {
  const auto found = loaded_.find(input.digest());
  if (found == loaded_.end()) {
    throw Error("an input comes after what uses it: " + quoted(input.digest()));
  }
  return found->second;
}

Edge LlbLoader::edge(const pb::Input& input) const {
  const LoadedOp& from = loaded(input);
  const auto found = from.outputs.find(static_cast<uint32_t>(input.index()));
  if (found == from.outputs.end()) throw Error(fmt::format("there is no output {}", input.index()));
  return found->second;
}

Edge LlbLoader::edge_of_input(const pb::Op& op, int64_t number) {
  if (number < 0) return scratch();
  if (number >= op.inputs_size()) throw Error(fmt::format("there is no input {}", number));
  return edge(op.inputs(static_cast<int>(number)));
}

Edge LlbLoader::source_edge(const pb::Input& input) const {
  const LoadedOp& from = loaded(input);
  return from.local ? *from.local : edge(input);
}

void LlbLoader::add_op(const std::string& digest, const pb::Op& op) {
  if (op.constraints().filter_size() > 0) throw Error("choosing a worker is not supported");
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
      return add_diff(digest, op);
    case pb::Op::kBuild:
      return add_build(digest, op);
    case pb::Op::kPassthrough:
      return add_passthrough(digest, op);
    case pb::Op::OP_NOT_SET:
      throw Error("an op of the graph is of no known kind");
  }
}

void LlbLoader::add_merge(const std::string& digest, const pb::Op& op) {
  std::vector<Edge> inputs;
  for (const auto& input : op.merge().inputs()) inputs.push_back(edge_of_input(op, input.input()));
  loaded_[digest].outputs[0] = add(digest, op, MergeOp{}, std::move(inputs), name_of(digest, op));
}

void LlbLoader::add_diff(const std::string& digest, const pb::Op& op) {
  std::vector<Edge> inputs = {edge_of_input(op, op.diff().lower().input()),
                              edge_of_input(op, op.diff().upper().input())};
  loaded_[digest].outputs[0] = add(digest, op, DiffOp{}, std::move(inputs), name_of(digest, op));
}

void LlbLoader::add_passthrough(const std::string& digest, const pb::Op& op) {
  uint32_t number = 0;
  for (const int64_t input : op.passthrough().outputs()) {
    loaded_[digest].outputs[number++] = edge_of_input(op, input);
  }
}

/// A graph that an input holds in a file: that input has to be there before this graph can be read.
void LlbLoader::add_build(const std::string& digest, const pb::Op& op) {
  const auto& build = op.build();
  if (build.builder() != kThisBuilder) throw Error("builders that are images are not supported");
  if (depth_ == kMaxNesting) {
    throw Error(fmt::format("graphs are nested more than {} deep", kMaxNesting));
  }
  const auto source = build.inputs().find(kDefinitionFile);
  if (source == build.inputs().end()) throw Error("the build has no input with its graph");
  std::string file = kDefinitionFile;
  for (const auto& [name, value] : build.attrs()) {
    if (name != "llbbuild.filename") {
      throw Error(fmt::format("the attribute {} of builds is not supported", name));
    }
    file = value;
  }
  JobRef holder;
  holder.definition = ref_.definition;
  holder.root = edge_of_input(op, source->second.input());
  holder.locals = ref_.locals;
  holder.extra_locals = ref_.extra_locals;
  const RefFiles files = open_result(job_, job_.add_ref(std::move(holder)));
  pb::Definition inner;
  if (!inner.ParseFromString(files.read(file, 0, 0, kMaxDefinition))) {
    throw Error(fmt::format("{} is not a graph", quoted(file)));
  }
  loaded_[digest].outputs[0] = take(LlbLoader(job_, inner, find_, policies_, depth_ + 1).load());
}

Edge LlbLoader::take(const JobRef& other) {
  for (const auto& [name, local] : other.locals) ref_.locals.emplace(name, local);
  for (const auto& [name, local] : other.extra_locals) ref_.extra_locals.emplace(name, local);
  ref_.keep.insert(ref_.keep.end(), other.keep.begin(), other.keep.end());
  return append(ref_.definition, other.definition, other.root);
}

}  // namespace lade
