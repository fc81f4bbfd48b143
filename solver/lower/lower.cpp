// The driver of lowering. Order: evaluate the global ARGs, make a StageState per FROM, link every
// `--from`, find what the target reaches, resolve the base images of that (ONBUILD triggers may
// reach for more), then go through the reachable stages' instructions from the top of the file
// down.
#include "solver/lower/lower.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/parse.hpp"
#include "solver/lower/lint.hpp"
#include "solver/lower/make_outline.hpp"
#include "solver/lower/stage.hpp"
#include "solver/lower/unused.hpp"

namespace lade {
namespace lowering {
namespace {

void set_default_args(LowerState& state, const std::string& target) {
  const Platform& build = state.options.build_platform;
  const Platform& platform = state.target_platform;
  const std::pair<const char*, std::string> defaults[] = {
      {"BUILDPLATFORM", build.str()},
      {"BUILDOS", build.os},
      {"BUILDOSVERSION", build.os_version},
      {"BUILDARCH", build.architecture},
      {"BUILDVARIANT", build.variant},
      {"TARGETPLATFORM", platform.str()},
      {"TARGETOS", platform.os},
      {"TARGETOSVERSION", platform.os_version},
      {"TARGETARCH", platform.architecture},
      {"TARGETVARIANT", platform.variant},
      {"TARGETSTAGE", target.empty() ? "default" : target},
  };
  for (const auto& [name, value] : defaults) {
    const auto given = state.options.build_args.find(name);
    state.global_args.set(name, given == state.options.build_args.end() ? value : given->second);
  }
}

/// For the outline; `used` are the variables in its default.
void record_global_arg(LowerState& state, const parser::MetaArg& meta,
                       const parser::ArgDeclaration& arg, bool has_value,
                       std::set<std::string> used) {
  if (!state.options.outline) return;
  OutlineCapture::Known known{{arg.name, {}, arg.description, meta.origin.range}, std::move(used)};
  if (has_value) known.arg.value = state.global_args.get(arg.name).value_or("");
  // `ARG A=${A}x` needs what the A before it needed.
  if (known.deps.erase(arg.name) > 0) known.deps.merge(state.known_args[arg.name].deps);
  state.known_args[arg.name] = std::move(known);
}

void evaluate_meta_args(LowerState& state) {
  for (const auto& meta : state.file.meta_args) {
    for (const auto& arg : meta.arg.arguments) {
      const auto given = state.options.build_args.find(arg.name);
      std::set<std::string> used;
      if (given != state.options.build_args.end()) {
        state.global_args.set(arg.name, given->second);
      } else if (arg.value) {
        auto value = at_range(meta.origin.range, [&] {
          return parser::process_word(*arg.value, state.global_args.environment(),
                                      state.expansion());
        });
        state.global_args.set(arg.name, value.text);
        used = std::move(value.used);
      }
      const bool has_value = given != state.options.build_args.end() || arg.value;
      record_global_arg(state, meta, arg, has_value, std::move(used));
    }
  }
}

parser::Expansion expand_from(LowerState& state, const parser::Stage& stage,
                              const std::string& word) {
  auto expansion = at_range(stage.origin.range, [&] {
    return parser::process_word(word, state.global_args.environment(), state.expansion());
  });
  lint_from_word(state, stage, expansion);
  return expansion;
}

/// "did you mean BUILDPLATFORM?" for the first variable that was not set.
std::string meant_variable(const LowerState& state, const parser::Expansion& expansion) {
  std::vector<std::string> known = state.global_args.names();
  for (const auto& meta : state.file.meta_args) {
    for (const auto& arg : meta.arg.arguments) known.push_back(arg.name);
  }
  for (const auto& name : expansion.unset) {
    const auto meant = parser::suggestion(name, known);
    if (!meant.empty()) return "did you mean " + meant + "?";
  }
  return {};
}

Platform parse_platform(const LowerState& state, const parser::Stage& stage,
                        const parser::Expansion& text) {
  try {
    return Platform::parse(text.text);
  } catch (Error& error) {
    error.add_range(stage.origin.range);
    if (const auto meant = meant_variable(state, text); !meant.empty()) {
      error.add_context("failed to parse platform " + stage.from.platform);
      error.set_hint(meant);
    }
    throw;
  }
}

/// The earlier stage that `stage` is FROM, or nullptr if that is an image. Unlike in COPY --from
/// and --target, case counts: in BuildKit, any other spelling than the lower one is an image's.
StageState* base_stage(const LowerState& state, const StageState& stage) {
  StageState* found = state.find(stage.base_name);
  if (!found || found->name == stage.base_name) return found;
  throw error_at(stage.range,
                 fmt::format("failed to parse stage name {}: invalid reference format: repository "
                             "name (library/{}) must be lowercase",
                             lade::quoted(stage.base_name), stage.base_name),
                 fmt::format("FROM knows that stage as {}", lade::quoted(found->name)));
}

void make_stage(LowerState& state, const parser::Stage& stage, size_t index) {
  auto made = std::make_unique<StageState>();
  made->stage = &stage;
  made->range = stage.origin.range;
  made->name = stage.from.name;
  made->label = stage.from.name.empty() ? fmt::format("stage-{}", index) : stage.from.name;
  auto base_name = expand_from(state, stage, stage.from.image);
  made->base_name = std::move(base_name.text);
  if (made->base_name.empty()) {
    throw error_at(made->range,
                   fmt::format("base name ({}) should not be blank", stage.from.image));
  }
  if (!stage.from.platform.empty()) {
    auto platform = expand_from(state, stage, stage.from.platform);
    lint_from_platform(state, stage, platform);
    if (platform.text.empty()) {
      throw error_at(made->range, "empty platform value from expression " + stage.from.platform,
                     meant_variable(state, platform));
    }
    made->platform = parse_platform(state, stage, platform);
    base_name.used.merge(platform.used);
  }
  for (const auto& command : stage.commands) made->commands.push_back({command, {}, false});
  if (!made->name.empty()) made->context = named_context(state, made->name);
  // A stage before this one of that name is what it is FROM; names of earlier stages beat images'.
  if (made->context.value.empty()) made->base = base_stage(state, *made);
  if (state.options.outline && made->context.value.empty()) {
    made->outline.known_args = made->base ? made->base->outline.known_args : state.known_args;
    made->outline.used_args = std::move(base_name.used);
  }
  int total = made->base_name != kScratch && !made->base ? 1 : 0;
  for (const auto& command : stage.commands) {
    const auto& body = command.body;
    total +=
        std::holds_alternative<parser::Run>(body) || std::holds_alternative<parser::Copy>(body) ||
        std::holds_alternative<parser::Add>(body) || std::holds_alternative<parser::Workdir>(body);
  }
  made->steps_total = total;
  StageState* raw = made.get();
  state.stages.push_back(std::move(made));
  if (!raw->name.empty()) state.by_name[raw->name] = raw;
}

/// A stage state for an image or context that is only copied or mounted from.
StageState* add_unnamed_source(LowerState& state, const std::string& name,
                               const SourceRange& range) {
  auto made = std::make_unique<StageState>();
  made->range = range;
  made->base_name = name;
  made->context = named_context(state, name);
  state.stages.push_back(std::move(made));
  return state.stages.back().get();
}

StageState* source_of(LowerState& state, const std::string& from, const SourceRange& range,
                      bool index_allowed) {
  const bool number = !from.empty() && from.find_first_not_of("0123456789") == std::string::npos;
  if (number && index_allowed) {
    size_t index = 0;
    std::from_chars(from.data(), from.data() + from.size(), index);
    if (from.size() > 6 || index >= state.file.stages.size()) {
      throw error_at(range, "invalid stage index " + from);
    }
    return state.stages[index].get();
  }
  if (named_context(state, from).value.empty()) {
    if (StageState* stage = state.find(from)) return stage;
  }
  return add_unnamed_source(state, from, range);
}

/// Fills in what a command reads from, and the stage's dependencies.
void link_command(LowerState& state, StageState& stage, StageCommand& command) {
  const auto& range = command.command.origin.range;
  const auto add = [&](StageState* source) {
    command.sources.push_back(source);
    if (source) stage.deps.emplace_back(source, range);
  };
  if (const auto* copy = std::get_if<parser::Copy>(&command.command.body)) {
    if (copy->from.empty()) return;
    if (copy->from.find('$') != std::string::npos) {
      throw error_at(range,
                     "variable expansion is not supported for --from, define a new stage with FROM "
                     "using ARG from global scope as a workaround");
    }
    add(source_of(state, copy->from, range, true));
  } else if (const auto* run = std::get_if<parser::Run>(&command.command.body)) {
    for (const auto& mount : run->mounts) {
      add(mount.from.empty() ? nullptr : source_of(state, mount.from, range, false));
    }
  }
}

/// `range` is what leads to `stage`.
void check_circular(const StageState* stage, const SourceRange& range,
                    std::set<const StageState*>& done, std::vector<const StageState*>& path) {
  if (done.contains(stage)) return;
  if (std::find(path.begin(), path.end(), stage) != path.end()) {
    throw error_at(range, fmt::format("circular dependency detected on stage: {}",
                                      stage->label.empty() ? stage->base_name : stage->label));
  }
  path.push_back(stage);
  for (const auto& [dep, at] : stage->deps) check_circular(dep, at, done, path);
  path.pop_back();
  done.insert(stage);
}

void mark_reachable(StageState& stage) {
  // A stack of our own: a chain of stages can be thousands long.
  std::vector<StageState*> todo{&stage};
  while (!todo.empty()) {
    StageState* next = todo.back();
    todo.pop_back();
    if (std::exchange(next->reachable, true)) continue;
    if (next->base) todo.push_back(next->base);
    for (const auto& dep : next->deps) todo.push_back(dep.first);
  }
}

/// A base image's config is a stranger's: each trigger is a step, and costs its memory.
constexpr size_t kMaxTriggers = 1000;

/// ONBUILD triggers of the base image or stage become the stage's first commands. True if they read
/// from stages or images, which may have to be reached and resolved, too.
bool add_triggers(LowerState& state, StageState& stage) {
  if (stage.triggers_done || !stage.stage || stage.dispatched) return false;
  std::vector<std::string> triggers;
  if (stage.base) {
    if (!stage.base->triggers_done && !stage.base->dispatched) return false;
    for (const auto& command : stage.base->commands) {
      if (const auto* onbuild = std::get_if<parser::Onbuild>(&command.command.body)) {
        triggers.push_back(onbuild->trigger);
      }
    }
  } else {
    triggers = std::exchange(stage.image.config.on_build, {});
    if (triggers.size() > kMaxTriggers) {
      throw error_at(stage.range,
                     fmt::format("the base image has {} ONBUILD instructions, more than {}",
                                 triggers.size(), kMaxTriggers));
    }
  }
  stage.triggers_done = true;
  bool new_deps = false;
  std::vector<StageCommand> commands;
  for (const auto& trigger : triggers) {
    StageCommand command;
    command.command = parser::parse_onbuild_trigger(trigger, stage.range);
    command.from_onbuild = true;
    link_command(state, stage, command);
    new_deps = new_deps || !command.sources.empty();
    commands.push_back(std::move(command));
  }
  stage.steps_total += static_cast<int>(commands.size());
  stage.commands.insert(stage.commands.begin(), commands.begin(), commands.end());
  return new_deps;
}

void resolve_reachable(LowerState& state, StageState& target) {
  for (bool again = true; again;) {
    again = false;
    mark_reachable(target);
    if (state.options.all_stages) {
      for (auto& stage : state.stages) mark_reachable(*stage);
    }
    // Indexed: triggers may add sources while we go.
    for (size_t i = 0; i < state.stages.size(); ++i) {
      if (state.stages[i]->reachable) resolve_base(state, *state.stages[i]);
    }
    for (size_t i = 0; i < state.stages.size(); ++i) {
      if (state.stages[i]->reachable && add_triggers(state, *state.stages[i])) again = true;
    }
    if (again) {
      for (auto& stage : state.stages) stage->reachable = false;
    }
  }
}

/// The last one to need what grows with each instruction takes it, so that a chain of stages does
/// not hold it once for each.
template <class Value>
Value taken_or_copied(Value& from, bool last) {
  return last ? std::exchange(from, {}) : from;
}

void inherit(StageState& stage) {
  if (!stage.base) return;
  StageState& base = *stage.base;
  const bool last = --base.heirs == 0;
  stage.root = base.root;
  stage.platform = base.platform;
  auto history = taken_or_copied(base.image.history, last);
  stage.image = base.image;
  stage.image.history = std::move(history);
  stage.image.config.on_build.clear();
  stage.env = taken_or_copied(base.env, last);
  stage.user = base.user;
  stage.build_args = base.build_args;
  stage.workdir_set = base.workdir_set;
}

void count_heirs(LowerState& state, StageState& target) {
  ++target.heirs;
  for (const auto& stage : state.stages) {
    if (stage->reachable && stage->base) ++stage->base->heirs;
  }
}

void dispatch_stage(LowerState& state, StageState& stage) {
  inherit(stage);
  set_name_prefix(state, stage);
  stage.dispatched = true;
  auto& config = stage.image.config;
  if (!is_windows(stage) && !config.get_env("PATH")) {
    config.env.push_back("PATH=" + std::string(kDefaultPath));
  }
  for (const auto& variable : config.env) {
    const auto equals = variable.find('=');
    stage.env.set(variable.substr(0, equals),
                  equals == std::string::npos ? "" : variable.substr(equals + 1));
  }
  config.working_dir = with_slashes(stage, std::move(config.working_dir));
  if (!config.working_dir.empty() && !config.working_dir.starts_with('/')) {
    config.working_dir = join_path("/", config.working_dir);
  }
  stage.user = config.user;
  for (const auto& command : stage.commands) {
    at_range(command.command.origin.range, [&] { dispatch(state, stage, command); });
  }
}

StageState& find_target(LowerState& state) {
  const std::string& name = state.options.target;
  const size_t count = state.file.stages.size();
  if (name.empty()) return *state.stages[count - 1];
  if (StageState* found = state.find(name)) return *found;
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) names.push_back(state.stages[i]->label);
  Error error(fmt::format("target stage {} could not be found", go_quote(name)),
              ErrorKind::not_found);
  if (const auto meant = nearest(name, names); !meant.empty()) {
    error.set_hint("did you mean " + meant + "?");
  }
  throw error;
}

/// Keeps only what `roots` need, in the same order.
void drop_unneeded(Definition& definition, const std::vector<Edge*>& roots) {
  std::vector<bool> needed(definition.vertices.size());
  for (const Edge* root : roots) needed[root->vertex] = true;
  for (size_t i = definition.vertices.size(); i-- > 0;) {
    if (!needed[i]) continue;
    for (const auto& input : definition.vertices[i].inputs) needed[input.vertex] = true;
  }
  std::vector<uint32_t> renumbered(definition.vertices.size());
  std::vector<Vertex> kept;
  for (size_t i = 0; i < definition.vertices.size(); ++i) {
    if (!needed[i]) continue;
    renumbered[i] = static_cast<uint32_t>(kept.size());
    kept.push_back(std::move(definition.vertices[i]));
    for (auto& input : kept.back().inputs) input.vertex = renumbered[input.vertex];
  }
  definition.vertices = std::move(kept);
  for (Edge* root : roots) root->vertex = renumbered[root->vertex];
}

}  // namespace
}  // namespace lowering

LoweredImage lower(const parser::Dockerfile& dockerfile, const LowerOptions& options,
                   ImageResolver& resolver) {
  using namespace lowering;
  LowerState state{.file = dockerfile,
                   .options = options,
                   .resolver = resolver,
                   .target_platform = options.target_platform.value_or(options.build_platform),
                   .global_args = {},
                   .epoch = {},
                   .stages = {},
                   .by_name = {},
                   .definition = {},
                   .locals = {},
                   .images = {},
                   .scratch = {},
                   .remote_context = {},
                   .remotes = {},
                   .ignored = {},
                   .lint = {},
                   .command_range = {},
                   .known_args = {}};
  set_default_args(state,
                   options.target.empty() ? dockerfile.stages.back().from.name : options.target);
  lint_default_bases(state);
  evaluate_meta_args(state);
  read_epoch(state);
  for (size_t i = 0; i < dockerfile.stages.size(); ++i) make_stage(state, dockerfile.stages[i], i);
  StageState& target = find_target(state);
  for (size_t i = 0; i < dockerfile.stages.size(); ++i) {
    for (auto& command : state.stages[i]->commands) link_command(state, *state.stages[i], command);
  }
  std::set<const StageState*> done;
  std::vector<const StageState*> path;
  for (const auto& stage : state.stages) check_circular(stage.get(), stage->range, done, path);
  if (state.stages.size() == 1) state.stages[0]->label.clear();
  resolve_reachable(state, target);
  count_heirs(state, target);
  for (size_t i = 0; i < dockerfile.stages.size(); ++i) {
    StageState& stage = *state.stages[i];
    if (stage.reachable && !stage.dispatched) dispatch_stage(state, stage);
  }
  if (options.outline) *options.outline = make_outline(target);
  if (options.linter) options.linter->throw_if_error();
  LoweredImage image;
  image.unused_options = unused_options(state, options);
  image.root = *target.root;
  image.config = std::move(target.image);
  if (is_windows(target)) {
    std::string& directory = image.config.config.working_dir;
    std::replace(directory.begin(), directory.end(), '/', '\\');
  }
  for (const auto& [key, value] : options.labels) image.config.config.labels[key] = value;
  image.platform = target.platform.value_or(state.target_platform);
  if (options.target_platform) image.config.platform = *options.target_platform;
  image.source_date_epoch = state.epoch;
  std::vector<Edge*> roots = {&image.root};
  if (options.scanner) roots.push_back(&image.scan.emplace(scan_stages(state, target)));
  image.definition = std::move(state.definition);
  drop_unneeded(image.definition, roots);
  return image;
}

}  // namespace lade
