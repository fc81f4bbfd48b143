// Wildcards that match nothing. BuildKit sends of the build context only what the instructions
// name. A wildcard may match nothing, but the directory it looks in has to be there, and without a
// match it is sent only for the sake of another instruction. So `COPY conf/*.d /etc/` fails there
// if there is nothing of that kind in conf, and succeeds next to `COPY conf/app /etc/`.
#include <algorithm>

#include "base/pattern.hpp"
#include "base/text.hpp"
#include "solver/lower/stage.hpp"

namespace lade::lowering {
namespace {

/// "/a" of "/a/b*/c": the last directory that is named outright.
std::string directory_of(const std::string& pattern) {
  std::string out;
  for (const auto& part : split(clean_path("/" + pattern).substr(1), '/')) {
    if (has_wildcard(part)) break;
    out += "/" + part;
  }
  return out.empty() ? "/" : out;
}

bool is_same_or_below(const std::string& path, const std::string& directory) {
  return directory == "/" || path == directory || path.starts_with(directory + "/");
}

struct Search {
  std::string pattern;
  std::string directory;

  /// Whether `source`, as it is written, may bring the directory along.
  bool named_by(const std::string& source) const {
    if (source.find('$') != std::string::npos) return true;
    const std::string path = join_path("/", source);
    if (path == pattern) return false;
    const std::string named = directory_of(path);
    return is_same_or_below(named, directory) || is_same_or_below(directory, named);
  }

  bool named_by(const std::vector<std::string>& sources) const {
    return std::any_of(sources.begin(), sources.end(),
                       [&](const std::string& source) { return named_by(source); });
  }

  bool named_by(const parser::RunMount& mount) const {
    std::string source = "/";
    for (const auto& field : mount.fields) {
      const std::string value = field.value.value_or("");
      if (field.key == "type" && value != "bind") return false;
      if (field.key == "source" || field.key == "src") source = value;
    }
    return mount.from.empty() && named_by(source);
  }

  bool named_by(const StageCommand& command) const {
    if (const auto* copy = std::get_if<parser::Copy>(&command.command.body)) {
      return copy->from.empty() && named_by(copy->transfer.sources);
    }
    if (const auto* add = std::get_if<parser::Add>(&command.command.body)) {
      return named_by(add->transfer.sources);
    }
    const auto* run = std::get_if<parser::Run>(&command.command.body);
    return run && std::any_of(run->mounts.begin(), run->mounts.end(),
                              [&](const auto& mount) { return named_by(mount); });
  }
};

}  // namespace

bool wildcard_must_match(const LowerState& state, const std::string& source) {
  const std::string pattern = join_path("/", source);
  const Search search{pattern, directory_of(pattern)};
  if (state.options.context_source || search.directory == "/" || !has_wildcard(pattern)) {
    return false;
  }
  for (const auto& stage : state.stages) {
    if (!stage->reachable) continue;
    for (const auto& command : stage->commands) {
      if (search.named_by(command)) return false;
    }
  }
  return true;
}

}  // namespace lade::lowering
