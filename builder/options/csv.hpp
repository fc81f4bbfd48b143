// Comma-separated option values with quotes, as --output and --mount have them (RFC 4180, one
// record).
#pragma once

#include <string>
#include <vector>

namespace lade {

/// Fields of one record. A field that begins with a quote may hold commas; "" in it is a quote.
/// Throws Error(usage) for a quote that does not end.
std::vector<std::string> parse_csv(const std::string& text);

}  // namespace lade
