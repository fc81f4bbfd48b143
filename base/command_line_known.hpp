// Inside of command lines: what is known of an option or a positional word.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace lade {

struct KnownOption {
  std::vector<std::string> names;  ///< "-t", "--tag"; of a positional word "CONTEXT"
  std::string description;
  std::string type;                    ///< of the value, for --help
  std::optional<std::string> implied;  ///< the value if none is given; without: one must be
  std::function<void(const std::string& value)> set;
  std::vector<const KnownOption*> excluded;
  bool is_flag = false;
  bool takes_rest = false;  ///< a positional word: all that follow, too
  bool required = false;
  bool hidden = false;
  bool inherited = false;
  bool given = false;

  /// "--tag" rather than "-t".
  const std::string& name() const {
    for (const auto& name : names) {
      if (name.starts_with("--")) return name;
    }
    return names.front();
  }
};

}  // namespace lade
