#include "solver/lower/stage.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace lade::lowering {

/// Drops what was set again, without which a chain of many stages would carry one more each.
void EnvList::compact() {
  std::erase_if(variables_, [](const Variable& variable) { return variable.name_length == 0; });
  for (size_t i = 0; i < variables_.size(); ++i) {
    positions_.find(std::string_view(variables_[i].text).substr(0, variables_[i].name_length))
        ->second = i;
  }
}

void EnvList::set(std::string_view name, std::string value) {
  constexpr size_t kFew = 16;
  if (variables_.size() > 2 * positions_.size() + kFew) compact();
  const auto [position, is_new] = positions_.try_emplace(std::string(name), variables_.size());
  if (!is_new) {
    variables_[position->second] = {};
    position->second = variables_.size();
  }
  variables_.push_back({fmt::format("{}={}", name, value), name.size()});
}

void EnvList::unset(std::string_view name) {
  const auto position = positions_.find(name);
  if (position == positions_.end()) return;
  variables_[position->second] = {};
  positions_.erase(position);
}

const std::string* EnvList::assignment(std::string_view name) const {
  const auto position = positions_.find(name);
  return position == positions_.end() ? nullptr : &variables_[position->second].text;
}

std::optional<std::string> EnvList::get(std::string_view name) const {
  const std::string* text = assignment(name);
  if (!text) return std::nullopt;
  return text->substr(name.size() + 1);
}

std::vector<std::string> EnvList::assignments() const {
  std::vector<std::string> out;
  out.reserve(positions_.size());
  for (const auto& variable : variables_) {
    if (variable.name_length > 0) out.push_back(variable.text);
  }
  return out;
}

std::vector<std::string> EnvList::names() const {
  std::vector<std::string> out;
  out.reserve(positions_.size());
  for (const auto& variable : variables_) {
    if (variable.name_length > 0) out.push_back(variable.text.substr(0, variable.name_length));
  }
  return out;
}

parser::Environment EnvList::environment() const {
  return [this](std::string_view name) { return get(name); };
}

void ArgList::set(std::string_view name, std::optional<std::string> value) {
  const auto known = std::find_if(args_.begin(), args_.end(),
                                  [&](const BuildArg& arg) { return arg.name == name; });
  if (known == args_.end()) {
    args_.push_back({std::string(name), std::move(value)});
  } else {
    known->value = std::move(value);
  }
}

bool ArgList::has(std::string_view name) const {
  return std::any_of(args_.begin(), args_.end(),
                     [&](const BuildArg& arg) { return arg.name == name; });
}

Edge LowerState::add(Vertex vertex) {
  definition.vertices.push_back(std::move(vertex));
  return Edge{static_cast<uint32_t>(definition.vertices.size() - 1), 0};
}

Edge LowerState::scratch_edge() {
  if (!scratch) {
    Vertex vertex;
    vertex.op = SourceOp{"scratch", {}};
    scratch = add(std::move(vertex));
  }
  return *scratch;
}

Edge LowerState::context_edge(const char* what) {
  if (!options.main_context) throw Error(fmt::format("there is no build context to {} from", what));
  if (!options.context_source) return local_edge("context", options.ignore_patterns);
  if (!remote_context) remote_context = add_context(definition, *options.context_source);
  return *remote_context;
}

Edge LowerState::remote_edge(SourceOp op, const SourceRange& range) {
  Vertex vertex;
  vertex.name = "[internal] load " + source_text(op);
  vertex.op = std::move(op);
  vertex.range = range;
  const Digest identity = op_digest(vertex);
  const auto known = remotes.find(identity);
  if (known != remotes.end()) return known->second;
  return remotes[identity] = add(std::move(vertex));
}

Edge LowerState::local_edge(const std::string& name,
                            const std::vector<std::string>& ignore_patterns) {
  const auto known = locals.find(name);
  if (known != locals.end()) return known->second;
  Vertex vertex;
  SourceOp op{"local://" + name, {}};
  for (size_t i = 0; i < ignore_patterns.size(); ++i) {
    op.attrs[fmt::format("exclude.{:06}", i)] = ignore_patterns[i];
  }
  vertex.op = std::move(op);
  vertex.name = name == "context" ? "[internal] load build context"
                                  : fmt::format("[context {}] load from client", name);
  return locals[name] = add(std::move(vertex));
}

StageState* LowerState::find(std::string_view name) const {
  const auto found = by_name.find(to_lower(name));
  return found == by_name.end() ? nullptr : found->second;
}

bool LowerState::ignores_cache(const StageState& stage, const StageCommand& command) const {
  if (options.no_cache) return true;
  for (const auto& filter : options.no_cache_filter) {
    const std::string name = to_lower(filter);
    if (name == to_lower(stage.name) || name == stage.label) return true;
    // A number is a line of the file: whichever instruction stands there.
    int line = 0;
    const auto end = filter.data() + filter.size();
    const auto& range = command.command.origin.range;
    if (std::from_chars(filter.data(), end, line).ptr == end && line >= range.first_line &&
        line <= range.last_line) {
      return true;
    }
  }
  return false;
}

bool is_windows(const StageState& stage) {
  return stage.platform && stage.platform->os == "windows";
}

std::string with_slashes(const StageState& stage, std::string path) {
  if (!is_windows(stage)) return path;
  std::replace(path.begin(), path.end(), '\\', '/');
  if (path.size() >= 2 && path[1] == ':' && (path[0] == 'c' || path[0] == 'C')) path.erase(0, 2);
  return path;
}

std::vector<std::string> shell_of(const StageState& stage) {
  const auto& shell = stage.image.config.shell;
  if (shell && !shell->empty()) return *shell;
  if (is_windows(stage)) return {"cmd", "/S", "/C"};
  return {"/bin/sh", "-c"};
}

std::string step_name(StageState& stage, const StageCommand& command, const std::string& text) {
  if (stage.steps_total == 0) return text;
  ++stage.step;
  const int width = static_cast<int>(fmt::format("{}", stage.steps_total).size());
  return fmt::format("[{}{}{}{:{}}/{}] {}{}", stage.name_prefix, stage.label,
                     stage.label.empty() ? "" : " ", stage.step, width, stage.steps_total,
                     command.from_onbuild ? "ONBUILD " : "", text);
}

std::string with_upper_keyword(const std::string& text) {
  const auto blank = text.find_first_of(" \t");
  const size_t end = blank == std::string::npos ? text.size() : blank;
  return to_upper(text.substr(0, end)) + text.substr(end);
}

void add_history(StageState& stage, std::string text, bool with_layer) {
  HistoryEntry entry;
  entry.created_by = std::move(text);
  entry.comment = "buildkit.dockerfile.v0";
  entry.empty_layer = !with_layer;
  stage.image.history.push_back(std::move(entry));
}

void set_name_prefix(const LowerState& state, StageState& stage) {
  if (!state.options.name_platforms || !stage.platform) return;
  const Platform& own = *stage.platform;
  const Platform& target = state.target_platform;
  stage.name_prefix = own.str();
  if (own.os != target.os) {
    stage.name_prefix += "->" + target.str();
  } else if (own.architecture != target.architecture || own.variant != target.variant) {
    stage.name_prefix += "->" + target.str().substr(target.os.size() + 1);
  }
  stage.name_prefix += " ";
}

std::string platform_text(const StageState& stage) {
  return stage.platform ? stage.platform->str() : std::string();
}

}  // namespace lade::lowering
