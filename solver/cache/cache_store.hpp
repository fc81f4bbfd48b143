// The local cache: what vertices produced, by key, in the state directory's database.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/database.hpp"
#include "snapshotter/gc/gc.hpp"
#include "solver/graph/record.hpp"

namespace lade {

/// Thread-safe, shared by concurrent processes.
class CacheStore {
 public:
  explicit CacheStore(Database& database);

  /// The record that `key` leads to, directly or as an alias.
  std::optional<CacheRecord> find(const Digest& key);
  /// The record of that very key.
  std::optional<CacheRecord> find_itself(const Digest& key);
  /// Records of the same op, newest first, for comparing contents. Not such as have
  /// claims.
  std::vector<CacheRecord> with_op(const Digest& op, int limit);
  /// Adds a record; one that is there under the same key is replaced (it was run again).
  void put(const CacheRecord& record);
  /// From now on `key` leads to the record `target`: an input changed without changing its content.
  void alias(const Digest& key, const Digest& target);
  /// Forgets a record whose layers are gone.
  void remove(const Digest& key);
  /// Forgets all records whose results stand on `layer`.
  void remove_with_layer(int64_t layer);
  /// Forgets what was found out with contents of these layers that were not theirs: records that
  /// stand on them or were made of them, and whatever was taken for having the same content.
  void forget_contents(const std::vector<int64_t>& layers);
  std::vector<CacheRecord> all();

 private:
  Database& database_;
};

/// The records as garbage collection sees them.
class CollectedRecords : public GcRecords {
 public:
  explicit CollectedRecords(Database& database) : store_(database) {}
  std::vector<GcRecord> list() override;
  void remove(const std::vector<Digest>& keys) override;
  void forget_contents(const std::vector<LayerId>& layers) override;

 private:
  CacheStore store_;
};

}  // namespace lade
