// The options of `RUN --mount`, once their variables can be expanded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "parser/ast.hpp"
#include "parser/expansion.hpp"

namespace lade::parser {

enum class MountType { bind, cache, tmpfs, secret, ssh };
enum class CacheSharing { shared, private_, locked };

/// A checked mount. What was not given is empty; defaults that depend on the build (a secret's
/// target, a cache's id) are left to lowering.
struct ResolvedMount {
  MountType type = MountType::bind;
  std::string from;
  std::string source;
  std::string target;
  bool read_only = true;  ///< by default all but cache and tmpfs are
  int64_t size = 0;       ///< tmpfs: bytes, 0 for no limit
  std::string id;         ///< cache, secret, ssh
  std::optional<CacheSharing> sharing;
  bool required = false;           ///< secret, ssh
  std::optional<std::string> env;  ///< secret: the variable it is put into
  std::optional<uint32_t> mode;    ///< cache, secret, ssh
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
};

/// Expands and checks the options of `mount`; throws Error naming the option, with a hint for
/// typos.
ResolvedMount resolve_mount(const RunMount& mount, const Expander& expand);

}  // namespace lade::parser
