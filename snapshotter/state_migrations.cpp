#include "snapshotter/state_migrations.hpp"

#include <iterator>

namespace lade {
namespace {

/// What makes a database of the version before one of `version`.
struct Step {
  int version;
  void (*run)(const std::string& root, Database& database);
};

// Newest last. Version 2 added tables and indexes alone, which the schema makes by itself.
constexpr Step kSteps[] = {
    {3, forget_words_of_caches},
    {4, tell_clients_names},
    {5, remember_shared_layers},
};
static_assert(std::rbegin(kSteps)->version == kStateVersion);

}  // namespace

void tell_clients_names(const std::string& /*root*/, Database& database) {
  // Who gave the names that there are is not known any more; the machine's owner may have.
  database.execute("ALTER TABLE images ADD COLUMN of_client INTEGER NOT NULL DEFAULT 0");
}

void remember_shared_layers(const std::string& /*root*/, Database& database) {
  // Any that a COPY made, or that a cache had of one. Those of images are not taken files from.
  database.execute(
      "CREATE TABLE IF NOT EXISTS shared_layers("
      "layer INTEGER PRIMARY KEY REFERENCES layers(id) ON DELETE CASCADE, "
      "changing INTEGER NOT NULL DEFAULT 0)");
  database.execute(
      "INSERT INTO shared_layers(layer) SELECT id FROM layers "
      "WHERE has_directory = 1 AND (of_image = 0 OR claim IS NOT NULL)");
}

void migrate_state(const std::string& root, Database& database, int64_t stored) {
  for (const Step& step : kSteps) {
    if (step.version > stored) step.run(root, database);
  }
}

}  // namespace lade
