// The `--name=value` flags of one instruction.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace lade::parser {

/// Declared with the variables that they set, then read once:
///   FlagReader().text("from", copy.from).boolean("link", copy.link).read(flags);
class FlagReader {
 public:
  FlagReader& text(std::string name, std::string& value);
  FlagReader& list(std::string name, std::vector<std::string>& values);  ///< may be repeated
  FlagReader& boolean(std::string name, bool& value);
  FlagReader& boolean(std::string name, std::optional<bool>& value);  ///< stays unset if not given

  /// Throws Error for unknown, repeated and malformed flags.
  void read(const std::vector<std::string>& flags);

 private:
  using Target = std::variant<std::string*, std::vector<std::string>*, bool*, std::optional<bool>*>;
  struct Flag {
    std::string name;
    Target target;
    bool used = false;
  };

  FlagReader& add(std::string name, Target target);
  Flag& find(const std::string& name);

  std::vector<Flag> flags_;
};

}  // namespace lade::parser
