#include "solver/lower_stage.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace lade::lowering {

void EnvList::set(std::string_view name, std::string value) {
  std::erase_if(values_, [&](const auto& entry) { return entry.first == name; });
  values_.emplace_back(name, std::move(value));
}

std::optional<std::string> EnvList::get(std::string_view name) const {
  for (const auto& [key, value] : values_) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::vector<std::string> EnvList::assignments() const {
  std::vector<std::string> out;
  for (const auto& [key, value] : values_) out.push_back(key + "=" + value);
  return out;
}

parser::Environment EnvList::environment() const {
  return [this](std::string_view name) { return get(name); };
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

std::string expand(const LowerState& state, const StageState& stage, std::string_view word) {
  return parser::process_word(word, stage.env.environment(), state.expansion()).text;
}

std::vector<std::string> shell_of(const StageState& stage) {
  const auto& shell = stage.image.config.shell;
  return shell && !shell->empty() ? *shell : std::vector<std::string>{"/bin/sh", "-c"};
}

std::string step_name(StageState& stage, const StageCommand& command, const std::string& text) {
  if (stage.steps_total == 0) return text;
  ++stage.step;
  const int width = static_cast<int>(fmt::format("{}", stage.steps_total).size());
  return fmt::format("[{}{}{:{}}/{}] {}{}", stage.label, stage.label.empty() ? "" : " ", stage.step,
                     width, stage.steps_total, command.from_onbuild ? "ONBUILD " : "", text);
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

std::string platform_text(const StageState& stage) {
  return stage.platform ? stage.platform->str() : std::string();
}

}  // namespace lade::lowering
