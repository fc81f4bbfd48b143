// What commands that list things print: a table as docker's, a line of JSON for each row, or what
// --format says.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace lade {

/// One kind of rows. Each row is a JSON object of strings.
struct ListingKind {
  std::string table;                           ///< "{{.ID}}\t{{.Tag}}": the default columns
  std::map<std::string, std::string> headers;  ///< field -> its column's header
};

/// The rows as text. `format` is --format's value: empty or "table", "table TEMPLATE", "json", or
/// a template for each row. Throws Error(usage).
std::string listing(const ListingKind& kind, const std::string& format,
                    const std::vector<nlohmann::json>& rows, bool header = true);

/// "2 weeks", "About an hour": as docker words it.
std::string human_duration(int64_t seconds);
/// "77.8MB": three digits, powers of 1000.
std::string human_size(uint64_t bytes);

}  // namespace lade
