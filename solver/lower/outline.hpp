// What a target takes from outside: the build arguments, secrets, SSH agents and cache mounts that
// it and the stages below it use. `lade build --call=outline` shows it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/source_range.hpp"

namespace lade {

struct Outline {
  struct Arg {
    std::string name;
    std::string value;        ///< given or default; empty if there is none
    std::string description;  ///< of a comment `# NAME what it is for` above
    SourceRange range;
  };
  /// A secret or an SSH agent.
  struct Secret {
    std::string name;
    bool required = false;
    SourceRange range;
  };
  struct Cache {
    std::string id;
    SourceRange range;
  };

  std::string name;  ///< the target's; empty if it has none
  std::string description;
  // Each in the order of the file, every name once.
  std::vector<Arg> args;
  std::vector<Secret> secrets;
  std::vector<Secret> ssh;
  std::vector<Cache> caches;
};

namespace lowering {

/// What one stage knows and uses while its instructions are gone through.
struct OutlineCapture {
  struct Known {
    Outline::Arg arg;
    std::set<std::string> deps;  ///< variables in its default
  };
  std::map<std::string, Known> known_args;
  std::set<std::string> used_args;
  std::map<std::string, Outline::Secret> secrets;
  std::map<std::string, Outline::Secret> ssh;
  std::map<std::string, Outline::Cache> caches;
};

}  // namespace lowering
}  // namespace lade
