// The database of a state directory through the versions of lade.
#pragma once

#include <cstdint>
#include <string>

#include "base/database.hpp"

namespace lade {

/// What this lade writes. A change of what a table holds, or of what its rows mean, takes the next
/// number and a step in state_migrations.cpp.
inline constexpr int kStateVersion = 5;

/// Takes the steps from version `stored` on, in their order, within the transaction that the caller
/// has begun; the tables' schema is run afterwards. `root` is the state directory.
void migrate_state(const std::string& root, Database& database, int64_t stored);

/// Version 3: layers and records remember the word of which cache they go by. What came from caches
/// before, or may be founded on that, is forgotten.
void forget_words_of_caches(const std::string& root, Database& database);

/// Version 4: names of images remember whether a client of the daemon gave them.
void tell_clients_names(const std::string& root, Database& database);

/// Version 5: layers whose files may be links of other layers' are remembered.
void remember_shared_layers(const std::string& root, Database& database);

}  // namespace lade
