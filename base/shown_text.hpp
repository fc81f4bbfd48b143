// How text is made fit to be shown to people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lade {

/// Text of more than `limit` bytes with its middle left out: what it begins and ends with says
/// most. Characters of UTF-8 stay whole.
std::string elided(std::string_view text, size_t limit = 4000);

/// "1 layer", "2 layers".
std::string counted(uint64_t count, std::string_view one);

}  // namespace lade
