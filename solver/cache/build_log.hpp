// What happened to each vertex of a build, kept for `lade explain`: STATE/builds/<id>.last is the
// last build of a Dockerfile, <id>.before the one before it that ended otherwise.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"

namespace lade {

enum class StepOutcome : uint8_t {
  unneeded,      ///< something that builds on it was cached
  source,        ///< an image, or a directory of the user's
  cached,        ///< a record under its key
  imported,      ///< the same, of another machine's cache
  same_content,  ///< a record of the same op on inputs of the same content
  ran,
  failed,
  unreached,  ///< the build ended before it was done
};

struct StepLog {
  std::string name;  ///< as progress shows it; empty for what people do not see
  int line = 0;      ///< in the Dockerfile, where it begins; 0: none
  int last_line = 0;
  StepOutcome outcome = StepOutcome::unneeded;
  bool forced = false;  ///< was to run whatever is cached
  Digest op;            ///< empty() for sources
  Digest record;        ///< the key of the record with its result; empty() if there is none
  std::string source;   ///< of sources: the identifier
  std::vector<uint32_t> inputs;  ///< indexes of the log's steps
};

struct BuildLog {
  std::string dockerfile;  ///< for people
  std::vector<StepLog> steps;

  std::string serialize() const;
  static BuildLog parse(std::string_view bytes);  ///< Error(corrupt)
};

/// Keeps `log` as the last build of `identity` (what is built, whatever came out). A build that
/// went as the one before it only renews the time of that.
void keep_build_log(const std::string& state_root, const std::string& identity,
                    const BuildLog& log);

struct KeptLogs {
  BuildLog last;
  std::optional<BuildLog> before;
};
/// Of the build that ended last; nullopt if there was none.
std::optional<KeptLogs> last_build_logs(const std::string& state_root);

}  // namespace lade
