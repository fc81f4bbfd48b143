// Names of images on this machine, and what registries answered for tags.
//
//   lade.db: images(name -> descriptor of a manifest or index in the content store)
//            resolutions(reference -> descriptor, when): a tag as a registry last gave it
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/database.hpp"
#include "snapshotter/content/descriptor.hpp"

namespace lade {

struct ImageName {
  std::string name;        ///< Reference::str()
  Descriptor target;       ///< manifest or index, in the content store
  int64_t created_at = 0;  ///< seconds since 1970: when it was named
  bool of_client = false;  ///< a client of the daemon named it, nobody who owns this machine
};

enum class NamedBy { owner, client };

/// Thread-safe.
class ImageStore {
 public:
  /// `database` outlives the store.
  explicit ImageStore(Database& database) : database_(database) {}
  /// Runs `body`, all of whose changes take place, or none.
  template <class Body>
  void transaction(Body body) {
    database_.transaction(body);
  }
  /// The tables that `database` must have (idempotent SQL).
  static std::string_view schema();

  void put(const std::string& name, const Descriptor& target, NamedBy by = NamedBy::owner);
  std::optional<ImageName> find(const std::string& name) const;
  std::vector<ImageName> list() const;
  /// One of the names that lead to this manifest or index.
  std::optional<std::string> name_of(const Digest& target) const;
  /// Whether the name is there and what it means cannot be read.
  bool is_damaged(const std::string& name) const;
  bool remove(const std::string& name);

  /// What `reference` meant when the registry was last asked.
  void record_resolution(const std::string& reference, const Descriptor& target);
  std::optional<Descriptor> resolution(const std::string& reference) const;
  /// All of them, with the time of asking as created_at.
  std::vector<ImageName> list_resolutions() const;
  bool forget_resolution(const std::string& reference);
  /// All of them: registries are asked again, and nothing keeps the manifests that they named.
  void forget_resolutions();

 private:
  Database& database_;
};

}  // namespace lade
