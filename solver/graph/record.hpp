// Cache records as plain data: what a vertex produced, under which key.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.hpp"

namespace lade {

/// What an input contributed, kept so that a later build can compare contents without having hashed
/// them when the record was made.
struct RecordInput {
  std::vector<int64_t> layers;  ///< the stack that was read as a whole (a RUN's root); bottom first
  Digest selection;             ///< of what a COPY or a bind mount read of it; empty() if all of it
};

struct CacheRecord {
  Digest key;  ///< definition key it was made under; dependents' keys build on it
  Digest op;   ///< op_digest of the vertex
  std::vector<RecordInput> inputs;
  std::vector<int64_t> layers;  ///< the result: a stack of LayerIds, bottom first
  /// Named parts of the key (op_components, then inputs), for `lade explain`.
  std::vector<std::pair<std::string, std::string>> components;
  int64_t created_at = 0;  ///< seconds since 1970
  std::string origin;      ///< the shared cache that it came from; empty: made here
  /// Names what caches say that the record is: that it is so, or what was in a mount. It serves
  /// builds alone that have read all of it.
  std::vector<Digest> claims{};
};

/// What a vertex of a solved graph is to other machines' caches.
struct SharedRecord {
  Digest key;  ///< definition key that needs nothing but the graph
  Digest op;
  std::vector<Digest> inputs;   ///< each input's content; empty() where it is not known
  std::vector<int64_t> layers;  ///< the result
  int64_t created_at = 0;
  /// The caches whose word is in it: that this is what comes of the key. Empty: it is this
  /// machine's own.
  std::set<std::string> origins;
  bool imported =
      false;  ///< it is a record of one of those; otherwise made here, on what they gave
  /// What `inputs` says was seen here, not only said by caches.
  bool has_known_inputs = false;
  bool of_result = false;  ///< its last layer is one of the build's result
};

/// A cache mount of a solved graph's steps, for other machines' caches.
struct SharedMount {
  std::string id;
  Digest name = Digest();  ///< CacheMount::name_of()
  bool used = false;       ///< a step ran with it
};

}  // namespace lade
