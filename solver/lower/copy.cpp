// COPY and ADD.
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/pattern.hpp"
#include "base/text.hpp"
#include "solver/lower/lint.hpp"
#include "solver/lower/stage.hpp"

namespace lade::lowering {
namespace {

/// What `source` names in ADD or COPY. "github.com/..." is a path there: it could be a file's name.
std::optional<GitReference> git_reference(const std::string& source) {
  auto reference = parse_git_reference(source);
  return reference && !reference->like_local_path ? std::move(reference) : std::nullopt;
}

/// Octal or symbolic; BuildKit's words for what is neither.
void check_chmod(const std::string& mode) {
  const bool numeric = mode.find_first_not_of("0123456789") == std::string::npos;
  if (numeric) {
    const bool octal = mode.find_first_not_of("01234567") == std::string::npos;
    if (!octal || mode.size() > 11 || std::stoul(mode, nullptr, 8) > 07777) {
      throw Error(
          fmt::format("invalid chmod parameter: '{}'. it should be octal string and between 0 "
                      "and 07777",
                      mode));
    }
    return;
  }
  // [ugoa]*([-+=][rwxXst]*|[ugo])+ clauses joined by commas
  for (const auto& clause : split(mode, ',')) {
    const size_t operation = clause.find_first_not_of("ugoa");
    bool good = operation != std::string::npos &&
                std::string_view("+-=").find(clause[operation]) != std::string_view::npos;
    for (size_t i = operation; good && i < clause.size(); ++i) {
      good = std::string_view("+-=rwxXstugo").find(clause[i]) != std::string_view::npos;
    }
    if (!good) {
      throw Error(
          fmt::format("invalid chmod parameter: '{}'. it should be octal string and between 0 "
                      "and 07777, or a symbolic mode like u=rwX,go=rX",
                      mode));
    }
  }
}

/// What the two instructions have in common, expanded.
struct TransferPlan {
  std::vector<std::string> sources;
  std::vector<parser::InlineFile> inline_files;
  std::string written_destination;  ///< expanded, as history has it
  std::string destination;          ///< absolute, with a trailing slash if it must be a directory
  std::optional<CopyOwner> owner;
  std::optional<std::string> mode;
};

TransferPlan expand_transfer(LowerState& state, StageState& stage,
                             const parser::Transfer& transfer) {
  TransferPlan plan;
  for (const auto& source : transfer.sources) plan.sources.push_back(expand(state, stage, source));
  // A malformed pattern is an error also where there is nothing to exclude from.
  static_cast<void>(PatternMatcher(transfer.excludes));
  plan.inline_files = transfer.inline_files;
  for (auto& file : plan.inline_files) {
    if (!file.expand) continue;
    auto expansion =
        parser::process_word(file.content, stage.env.environment(), parser::kHeredocExpansion);
    lint_unset(state, stage, expansion.unset);
    file.content = std::move(expansion.text);
  }
  plan.written_destination = expand(state, stage, transfer.destination);
  const std::string written = with_slashes(stage, plan.written_destination);
  const std::string cwd =
      stage.image.config.working_dir.empty() ? "/" : stage.image.config.working_dir;
  plan.destination = join_path(cwd, written);
  const bool directory =
      written.empty() || written == "." || written.ends_with('/') || written.ends_with("/.");
  if (directory && !plan.destination.ends_with('/')) plan.destination += '/';
  if (const auto chown = expand(state, stage, transfer.chown); !chown.empty()) {
    plan.owner = CopyOwner{chown};
  }
  if (const auto chmod = expand(state, stage, transfer.chmod); !chmod.empty()) {
    check_chmod(chmod);
    plan.mode = chmod;
  }
  return plan;
}

CopyAction copy_action(const TransferPlan& plan, const parser::Transfer& transfer, bool link) {
  CopyAction action;
  action.destination = plan.destination;
  action.owner = plan.owner;
  action.mode = plan.mode;
  action.excludes = transfer.excludes;
  action.follow_destination = !link;
  return action;
}

std::string history_start(const std::string& keyword, const TransferPlan& plan, bool parents) {
  std::string text = keyword;
  if (parents) text += " --parents";
  if (plan.owner) text += " --chown=" + plan.owner->user;
  if (plan.mode) text += " --chmod=" + *plan.mode;
  return text;
}

void add_inline_files(const TransferPlan& plan, bool link, FileOp& op, std::string& history) {
  for (const auto& file : plan.inline_files) {
    history += " <<" + file.name;
    op.actions.push_back(MakeFileAction{.name = file.name,
                                        .content = file.content,
                                        .destination = plan.destination,
                                        .owner = plan.owner,
                                        .mode = plan.mode,
                                        .follow_destination = !link});
  }
}

/// Adds the vertex (for --link: a layer of its own, merged onto the stage).
void finish(LowerState& state, StageState& stage, const StageCommand& command, FileOp op,
            const std::vector<Edge>& sources, bool link, std::string history,
            const std::string& destination) {
  const auto& origin = command.command.origin;
  const std::string text = expand_shown(state, stage, origin.text);
  Vertex vertex;
  vertex.op = std::move(op);
  vertex.inputs = {link ? state.scratch_edge() : *stage.root};
  vertex.inputs.insert(vertex.inputs.end(), sources.begin(), sources.end());
  vertex.platform = platform_text(stage);
  vertex.range = origin.range;
  vertex.name = step_name(stage, command, with_upper_keyword(text));
  vertex.ignore_cache = state.ignores_cache(stage, command);
  const std::string name = vertex.name;
  Edge made = state.add(std::move(vertex));
  if (link) {
    Vertex merge;
    merge.op = MergeOp{};
    merge.inputs = {*stage.root, made};
    merge.platform = platform_text(stage);
    merge.range = origin.range;
    const auto close = name.find("] ");
    merge.name = close == std::string::npos
                     ? "LINK " + name
                     : name.substr(0, close + 2) + "LINK " + name.substr(close + 2);
    made = state.add(std::move(merge));
  }
  stage.root = made;
  add_history(stage, history + " " + destination + " # buildkit", true);
}

}  // namespace

void dispatch_copy(LowerState& state, StageState& stage, const StageCommand& command,
                   const parser::Copy& copy) {
  const TransferPlan plan = expand_transfer(state, stage, copy.transfer);
  // With --chmod the mode of directories below matters, which an independent layer does not know.
  const bool link = copy.transfer.link && !plan.mode;
  std::string history = history_start("COPY", plan, copy.parents);
  std::vector<Edge> sources;
  if (!plan.sources.empty()) {
    if (command.sources.empty()) {
      sources = {state.context_edge("copy")};
    } else {
      StageState& from = *command.sources.front();
      if (!from.dispatched) {
        throw Error(
            fmt::format("cannot copy from stage {}, it needs to be defined before current stage {}",
                        go_quote(copy.from), go_quote(stage.label)));
      }
      sources = {from.local.value_or(*from.root)};
    }
  }
  FileOp op;
  for (const auto& source : plan.sources) {
    history += " " + source;
    if (git_reference(source)) throw Error("source can't be a git ref for COPY");
    if (is_http_source(source)) throw Error("source can't be a URL for COPY");
    if (command.sources.empty()) lint_context_source(state, "Copy", source);
    CopyAction action = copy_action(plan, copy.transfer, link);
    action.source = copy.parents ? "/" + source : join_path("/", source);
    action.parents = copy.parents;
    action.must_match =
        command.sources.empty() && !copy.parents && wildcard_must_match(state, source);
    op.actions.push_back(std::move(action));
  }
  add_inline_files(plan, link, op, history);
  finish(state, stage, command, std::move(op), sources, link, std::move(history),
         plan.written_destination);
}

namespace {

/// The sources of one ADD: each adds an input and an action that copies from it.
struct AddSources {
  LowerState& state;
  const StageCommand& command;
  const parser::Add& add;
  const TransferPlan& plan;
  bool link;
  FileOp op{};
  std::vector<Edge> inputs{};
  std::optional<uint32_t> context{};  // its number among the inputs

  uint32_t input(Edge edge) {
    inputs.push_back(edge);
    return static_cast<uint32_t>(inputs.size());  // input 0 is the stage
  }

  CopyAction& copy(uint32_t from, std::string source) {
    CopyAction action = copy_action(plan, add.transfer, link);
    action.input = from;
    action.source = std::move(source);
    op.actions.push_back(std::move(action));
    return std::get<CopyAction>(op.actions.back());
  }

  void git(GitReference reference, const std::string& checksum) {
    if (add.keep_git_dir && reference.keep_git_dir &&
        *add.keep_git_dir != *reference.keep_git_dir) {
      throw Error("inconsistent keep-git-dir configuration");
    }
    if (!reference.keep_git_dir) reference.keep_git_dir = add.keep_git_dir;
    if (!checksum.empty() && !reference.checksum.empty() && checksum != reference.checksum) {
      throw Error(fmt::format("checksum mismatch {} != {}", go_quote(checksum),
                              go_quote(reference.checksum)));
    }
    if (reference.checksum.empty()) reference.checksum = checksum;
    const auto& range = command.command.origin.range;
    copy(input(state.remote_edge(git_source(reference), range)), "/").wildcard = false;
  }

  void http(const std::string& url, const std::string& checksum) {
    const std::string name = http_file_name(url);
    const auto& range = command.command.origin.range;
    CopyAction& action =
        copy(input(state.remote_edge(http_source(url, name, checksum), range)), "/" + name);
    action.wildcard = false;
    // Unlike local archives, remote ones are unpacked only on demand.
    action.unpack = add.unpack.value_or(false);
  }

  void local(const std::string& path) {
    lint_context_source(state, "Add", path);
    if (!context) context = input(state.context_edge("add"));
    CopyAction& action = copy(*context, join_path("/", path));
    action.unpack = add.unpack.value_or(true);
    action.must_match = wildcard_must_match(state, path);
  }
};

}  // namespace

void dispatch_add(LowerState& state, StageState& stage, const StageCommand& command,
                  const parser::Add& add) {
  const TransferPlan plan = expand_transfer(state, stage, add.transfer);
  const bool link = add.transfer.link && !plan.mode;
  std::string history = history_start("ADD", plan, false);
  const std::string checksum = expand(state, stage, add.checksum);
  if (!checksum.empty()) {
    if (plan.sources.size() != 1) throw Error("checksum can't be specified for multiple sources");
    const std::string& source = plan.sources.front();
    if (!is_http_source(source) && !parse_git_reference(source)) {
      throw Error("checksum requires HTTP(S) or Git sources");
    }
  }
  AddSources sources{.state = state, .command = command, .add = add, .plan = plan, .link = link};
  for (const auto& source : plan.sources) {
    history += " " + source;
    if (auto reference = git_reference(source)) {
      sources.git(std::move(*reference), checksum);
    } else if (is_http_source(source)) {
      sources.http(source, checksum);
    } else {
      sources.local(source);
    }
  }
  add_inline_files(plan, link, sources.op, history);
  finish(state, stage, command, std::move(sources.op), sources.inputs, link, std::move(history),
         plan.written_destination);
}

}  // namespace lade::lowering
