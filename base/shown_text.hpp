// How text is made fit to be shown to people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lade {

/// Text of more than `limit` bytes with its middle left out: what it begins and ends with says
/// most. Characters of UTF-8 stay whole.
std::string elided(std::string_view text, size_t limit = 4000);

/// Foreign text as a terminal may get it. Of escape sequences only colours and faces (SGR) stay,
/// and end with their line; every other control character is shown as what it is (`^[`, `^G`,
/// `<9b>`) instead of obeyed, since it could set the title, fill the clipboard or overwrite what
/// was said.
std::string for_terminal(std::string_view text);

/// The same if `fd` is a terminal; else the text as it is: who reads a file or a pipe gets every
/// byte.
std::string shown_on(int fd, std::string text);

/// Of a line that a program writes again and again with carriage returns, a bar: what it shows
/// last.
std::string_view last_state(std::string_view line);

/// "1 layer", "2 layers".
std::string counted(uint64_t count, std::string_view one);

}  // namespace lade
