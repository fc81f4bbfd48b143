// COPY and ADD.
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "solver/lower_stage.hpp"

namespace lade::lowering {
namespace {

bool is_url(std::string_view source) {
  return source.starts_with("http://") || source.starts_with("https://");
}

bool is_git(std::string_view source) {
  if (source.starts_with("git://") || source.starts_with("ssh://") || source.starts_with("git@")) {
    return true;
  }
  return is_url(source) && source.substr(0, source.find_first_of("#?")).ends_with(".git");
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
  plan.inline_files = transfer.inline_files;
  for (auto& file : plan.inline_files) {
    if (!file.expand) continue;
    file.content =
        parser::process_word(file.content, stage.env.environment(), parser::kHeredocExpansion).text;
  }
  plan.written_destination = expand(state, stage, transfer.destination);
  const std::string& written = plan.written_destination;
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
  std::string text = origin.text;
  try {
    text = expand(state, stage, text);
  } catch (const Error&) {
    // Shown as written.
  }
  Vertex vertex;
  vertex.op = std::move(op);
  vertex.inputs = {link ? state.scratch_edge() : *stage.root};
  vertex.inputs.insert(vertex.inputs.end(), sources.begin(), sources.end());
  vertex.platform = platform_text(stage);
  vertex.range = origin.range;
  vertex.name = step_name(stage, command, with_upper_keyword(text));
  vertex.ignore_cache = state.options.no_cache;
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
      if (!state.options.main_context) throw Error("there is no build context to copy from");
      sources = {state.local_edge("context", state.options.ignore_patterns)};
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
    if (is_git(source)) throw Error("source can't be a git ref for COPY");
    if (is_url(source)) throw Error("source can't be a URL for COPY");
    CopyAction action = copy_action(plan, copy.transfer, link);
    action.source = copy.parents ? "/" + source : join_path("/", source);
    action.parents = copy.parents;
    op.actions.push_back(std::move(action));
  }
  add_inline_files(plan, link, op, history);
  finish(state, stage, command, std::move(op), sources, link, std::move(history),
         plan.written_destination);
}

void dispatch_add(LowerState& state, StageState& stage, const StageCommand& command,
                  const parser::Add& add) {
  const TransferPlan plan = expand_transfer(state, stage, add.transfer);
  const bool link = add.transfer.link && !plan.mode;
  std::string history = history_start("ADD", plan, false);
  if (!expand(state, stage, add.checksum).empty()) {
    if (plan.sources.size() != 1) throw Error("checksum can't be specified for multiple sources");
    if (!is_url(plan.sources.front()) && !is_git(plan.sources.front())) {
      throw Error("checksum requires HTTP(S) or Git sources");
    }
  }
  FileOp op;
  std::vector<Edge> sources;
  for (const auto& source : plan.sources) {
    history += " " + source;
    if (is_git(source)) throw Error("ADD from a git repository is not supported by this version");
    if (is_url(source)) throw Error("ADD from a URL is not supported by this version");
    if (sources.empty()) {
      if (!state.options.main_context) throw Error("there is no build context to add from");
      sources = {state.local_edge("context", state.options.ignore_patterns)};
    }
    CopyAction action = copy_action(plan, add.transfer, link);
    action.source = join_path("/", source);
    action.unpack = add.unpack.value_or(true);
    op.actions.push_back(std::move(action));
  }
  add_inline_files(plan, link, op, history);
  finish(state, stage, command, std::move(op), sources, link, std::move(history),
         plan.written_destination);
}

}  // namespace lade::lowering
