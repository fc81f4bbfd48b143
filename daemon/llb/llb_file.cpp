// File ops of LLB.
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "daemon/llb/llb_loader.hpp"

namespace lade {
namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;
constexpr uint32_t kPermissions = 0777;

std::optional<FileTime> time_of(int64_t nanoseconds) {
  if (nanoseconds == -1) return std::nullopt;
  int64_t seconds = nanoseconds / kNanoseconds;
  int64_t rest = nanoseconds % kNanoseconds;
  if (rest < 0) {
    rest += kNanoseconds;
    --seconds;
  }
  return FileTime(seconds, static_cast<uint32_t>(rest));
}

std::optional<std::string> mode_of(int32_t mode) {
  if (mode < 0) return std::nullopt;
  return fmt::format("{:o}", static_cast<unsigned>(mode) & 07777u);
}

std::string user_text(const pb::UserOpt& user) {
  if (user.user_case() == pb::UserOpt::kByName) return user.byname().name();
  if (user.user_case() == pb::UserOpt::kByID) return fmt::format("{}", user.byid());
  return {};
}

std::optional<CopyOwner> owner_of(const pb::ChownOpt& chown) {
  const std::string user = user_text(chown.user());
  const std::string group = user_text(chown.group());
  if (user.empty() && group.empty()) return std::nullopt;
  return CopyOwner{(user.empty() ? "0" : user) + (group.empty() ? "" : ":" + group)};
}

/// Names are looked up in what the action changes.
void check_owner(const pb::ChownOpt& chown, int64_t base) {
  for (const auto* user : {&chown.user(), &chown.group()}) {
    if (user->user_case() == pb::UserOpt::kByName && user->byname().input() != base) {
      throw Error(fmt::format("the user {} of another input is not supported",
                              lade::quoted(user->byname().name())));
    }
  }
}

CopyAction copy_action(const pb::FileActionCopy& copy) {
  CopyAction out;
  out.source = clean_path("/" + copy.src());
  out.destination = copy.dest();
  out.owner = owner_of(copy.owner());
  out.mode = mode_of(copy.mode());
  if (!copy.modestr().empty()) out.mode = copy.modestr();
  out.includes = {copy.include_patterns().begin(), copy.include_patterns().end()};
  out.excludes = {copy.exclude_patterns().begin(), copy.exclude_patterns().end()};
  out.required = {copy.required_paths().begin(), copy.required_paths().end()};
  out.wildcard = copy.allowwildcard();
  out.must_match = copy.allowwildcard() && !copy.allowemptywildcard();
  out.unpack = copy.attemptunpackdockercompatibility();
  out.contents = copy.dircopycontents();
  out.follow_source = copy.followsymlink();
  out.make_destination = copy.createdestpath();
  out.replace = copy.alwaysreplaceexistingdestpaths();
  out.mtime = time_of(copy.timestamp());
  return out;
}

MakeFileAction file_action(const pb::FileActionMkFile& file) {
  MakeFileAction out;
  out.content = file.data();
  out.destination = clean_path("/" + file.path());
  out.owner = owner_of(file.owner());
  out.mode = mode_of(file.mode() & static_cast<int32_t>(kPermissions));
  out.parents = false;
  out.mtime = time_of(file.timestamp());
  return out;
}

MakeDirAction directory_action(const pb::FileActionMkDir& directory) {
  MakeDirAction out;
  out.path = clean_path("/" + directory.path());
  out.owner = owner_of(directory.owner());
  out.mtime = time_of(directory.timestamp());
  out.mode = static_cast<uint32_t>(directory.mode()) & kPermissions;
  out.parents = directory.makeparents();
  return out;
}

/// What the action does, and whose it makes what it makes.
std::pair<FileAction, const pb::ChownOpt*> action_of(const pb::FileAction& action) {
  switch (action.action_case()) {
    case pb::FileAction::kCopy:
      return {copy_action(action.copy()), &action.copy().owner()};
    case pb::FileAction::kMkfile:
      return {file_action(action.mkfile()), &action.mkfile().owner()};
    case pb::FileAction::kMkdir:
      return {directory_action(action.mkdir()), &action.mkdir().owner()};
    case pb::FileAction::kRm:
      return {RemoveAction{.path = action.rm().path(),
                           .wildcard = action.rm().allowwildcard(),
                           .must_exist = !action.rm().allownotfound()},
              nullptr};
    case pb::FileAction::kSymlink: {
      const auto& link = action.symlink();
      return {SymlinkAction{.target = link.oldpath(),
                            .path = clean_path("/" + link.newpath()),
                            .owner = owner_of(link.owner()),
                            .mtime = time_of(link.timestamp())},
              &link.owner()};
    }
    default:
      throw Error("a file action is of no known kind");
  }
}

/// Whether each action changes what the one before it made, and only the last one's result is used:
/// then they make one layer.
bool is_chain(const pb::Op& op) {
  const auto& actions = op.file().actions();
  for (int i = 0; i < actions.size(); ++i) {
    const auto& action = actions[i];
    if (i > 0 && action.input() != op.inputs_size() + i - 1) return false;
    if (action.secondaryinput() >= op.inputs_size()) return false;
    if (i + 1 < actions.size() && action.output() >= 0) return false;
  }
  return true;
}

}  // namespace

/// Vertices in the making: one of all actions, or one for each.
struct LlbLoader::Actions {
  LlbLoader& loader;
  const std::string& digest;
  const pb::Op& op;
  std::vector<Edge> made{};  ///< what each action gives

  Edge input(int64_t number, bool as_source) {
    if (number < op.inputs_size()) {
      if (number < 0 || !as_source) return loader.edge_of_input(op, number);
      return loader.source_edge(op.inputs(static_cast<int>(number)));
    }
    const auto index = static_cast<size_t>(number - op.inputs_size());
    if (index >= made.size()) throw Error("an action has an input that there is not");
    return made[index];
  }

  void put(FileOp& file, std::vector<Edge>& inputs, const pb::FileAction& action) {
    auto [made_action, owner] = action_of(action);
    if (owner) check_owner(*owner, action.input());
    if (auto* copy = std::get_if<CopyAction>(&made_action)) {
      inputs.push_back(input(action.secondaryinput(), true));
      copy->input = static_cast<uint32_t>(inputs.size() - 1);
    }
    file.actions.push_back(std::move(made_action));
  }
};

void LlbLoader::add_file(const std::string& digest, const pb::Op& op) {
  const auto& actions = op.file().actions();
  if (actions.empty()) throw Error("a file op has no actions");
  Actions list{*this, digest, op};
  const std::string name = name_of(digest, op);
  if (is_chain(op)) {
    std::vector<Edge> inputs = {list.input(actions[0].input(), false)};
    FileOp file;
    for (const auto& action : actions) list.put(file, inputs, action);
    const int64_t output = actions[actions.size() - 1].output();
    const Edge made = add(digest, op, std::move(file), std::move(inputs), name);
    if (output >= 0) loaded_[digest].outputs[static_cast<uint32_t>(output)] = made;
    return;
  }
  for (int i = 0; i < actions.size(); ++i) {
    std::vector<Edge> inputs = {list.input(actions[i].input(), false)};
    FileOp file;
    list.put(file, inputs, actions[i]);
    // People see one vertex, the last.
    const bool last = i + 1 == actions.size();
    list.made.push_back(add(digest, op, std::move(file), std::move(inputs), last ? name : ""));
    if (actions[i].output() >= 0) {
      loaded_[digest].outputs[static_cast<uint32_t>(actions[i].output())] = list.made.back();
    }
  }
}

}  // namespace lade
