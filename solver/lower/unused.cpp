#include "solver/lower/unused.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/parse.hpp"
#include "solver/lower/stage.hpp"

namespace lade::lowering {
namespace {

/// What has a meaning without an ARG, to lade or to BuildKit, besides what all files start with.
bool is_predefined(const std::string& name) {
  constexpr std::string_view kProxies[] = {"http_proxy", "https_proxy", "ftp_proxy", "no_proxy",
                                           "all_proxy"};
  const std::string lower = to_lower(name);
  if (std::find(std::begin(kProxies), std::end(kProxies), lower) != std::end(kProxies)) return true;
  return name == "SOURCE_DATE_EPOCH" || name.starts_with("BUILDKIT_");
}

void add_names(const parser::CommandBody& body, const SourceRange& range,
               std::set<std::string>& out) {
  if (const auto* arg = std::get_if<parser::Arg>(&body)) {
    for (const auto& one : arg->arguments) out.insert(one.name);
  } else if (const auto* onbuild = std::get_if<parser::Onbuild>(&body)) {
    // It takes nothing here, but is no slip either.
    add_names(parser::parse_onbuild_trigger(onbuild->trigger, range).body, range, out);
  }
}

/// With those of base images' triggers, which are among the stages' commands by now.
std::set<std::string> declared_args(const LowerState& state) {
  std::set<std::string> out;
  for (const auto& meta : state.file.meta_args) {
    for (const auto& arg : meta.arg.arguments) out.insert(arg.name);
  }
  for (const auto& stage : state.stages) {
    for (const auto& command : stage->commands) {
      add_names(command.command.body, stage->range, out);
    }
  }
  return out;
}

std::string did_you_mean(const std::string& name, const std::vector<std::string>& known) {
  const std::string meant = nearest(name, known);
  return meant.empty() ? "" : fmt::format(" (did you mean {}?)", meant);
}

void find_unused_args(const LowerState& state, std::vector<std::string>& out) {
  const std::set<std::string> declared = declared_args(state);
  const std::vector<std::string> known(declared.begin(), declared.end());
  std::vector<std::string> unused;
  std::string meant;
  for (const auto& [name, value] : state.options.build_args) {
    if (declared.contains(name) || is_predefined(name) || state.global_args.get(name)) continue;
    unused.push_back(name);
    if (meant.empty()) meant = did_you_mean(name, known);
  }
  if (unused.empty()) return;
  out.push_back(
      fmt::format("One or more build-args [{}] were not consumed{}", join(unused, " "), meant));
}

/// The names that FROM, --from and SOURCE_DATE_EPOCH look for.
std::vector<std::string> names_looked_for(const LowerState& state, const LowerOptions& asked) {
  std::vector<std::string> out;
  for (const auto& stage : state.stages) {
    if (!stage->name.empty()) out.push_back(stage->name);
    if (!stage->base_name.empty()) out.push_back(stage->base_name);
  }
  const auto epoch = asked.build_args.find("SOURCE_DATE_EPOCH");
  if (epoch != asked.build_args.end()) out.push_back(epoch->second);
  return out;
}

void find_unused_contexts(const LowerState& state, const LowerOptions& asked,
                          std::vector<std::string>& out) {
  if (state.options.contexts.empty()) return;
  const std::vector<std::string> names = names_looked_for(state, asked);
  std::set<std::string> used;
  for (const auto& name : names) used.insert(named_context(state, name).name);
  for (const auto& [name, value] : state.options.contexts) {
    if (used.contains(name)) continue;
    out.push_back(fmt::format("--build-context {}: nothing is FROM it or copied from it{}", name,
                              did_you_mean(name, names)));
  }
}

/// The stages of the file by what options call them.
std::vector<std::string> stage_names(const LowerState& state) {
  std::vector<std::string> out;
  for (size_t i = 0; i < state.file.stages.size(); ++i) {
    const StageState& stage = *state.stages[i];
    out.push_back(stage.name.empty() ? stage.label : stage.name);
  }
  return out;
}

bool has_instruction_at(const LowerState& state, const std::string& line) {
  const auto covers = [&](const SourceRange& range) {
    for (int i = range.first_line; i <= range.last_line; ++i) {
      if (std::to_string(i) == line) return true;
    }
    return false;
  };
  return std::any_of(state.file.stages.begin(), state.file.stages.end(), [&](const auto& stage) {
    return std::any_of(stage.commands.begin(), stage.commands.end(),
                       [&](const auto& command) { return covers(command.origin.range); });
  });
}

void find_unknown_stages(const LowerState& state, std::vector<std::string>& out) {
  const std::vector<std::string> stages = stage_names(state);
  const auto check = [&](const char* option, const std::string& name) {
    const std::string lower = to_lower(name);
    if (std::find(stages.begin(), stages.end(), lower) != stages.end()) return;
    out.push_back(fmt::format("{}: there is no stage {}{}", option, quoted(name),
                              did_you_mean(name, stages)));
  };
  for (const auto& name : state.options.no_cache_filter) {
    if (name.find_first_not_of("0123456789") != std::string::npos) {
      check("--no-cache-filter", name);
    } else if (!has_instruction_at(state, name)) {
      out.push_back(fmt::format("--no-cache-filter: there is no instruction in line {}", name));
    }
  }
  for (const auto& [name, count] : state.options.retries) {
    if (!name.empty()) check("--retry", name);
  }
  for (const auto& [name, time] : state.options.timeouts) {
    if (!name.empty()) check("--timeout", name);
  }
}

}  // namespace

std::vector<std::string> unused_options(const LowerState& state, const LowerOptions& asked) {
  std::vector<std::string> out;
  find_unused_args(state, out);
  find_unused_contexts(state, asked, out);
  find_unknown_stages(state, out);
  return out;
}

}  // namespace lade::lowering
