#include "solver/file_mode.hpp"

#include "base/text.hpp"

namespace lade {
namespace {

constexpr uint32_t kSetUser = 04000;
constexpr uint32_t kSetGroup = 02000;
constexpr uint32_t kSticky = 01000;

/// rwx bits of all three classes.
constexpr uint32_t everywhere(uint32_t bits) {
  return bits << 6 | bits << 3 | bits;
}

struct Clause {
  uint32_t classes = 0;  // which of the nine rwx bits may change
  bool user = false;
  bool group = false;
  bool executable = false;  // what X asks: a directory, or any x of the mode before all clauses
};

uint32_t permission_bits(char c, uint32_t mode, const Clause& clause) {
  switch (c) {
    case 'r':
      return everywhere(4) & clause.classes;
    case 'w':
      return everywhere(2) & clause.classes;
    case 'x':
      return everywhere(1) & clause.classes;
    case 'X':
      return clause.executable ? everywhere(1) & clause.classes : 0;
    case 's':
      return (clause.user ? kSetUser : 0) | (clause.group ? kSetGroup : 0);
    case 't':
      return clause.user || clause.group ? kSticky : 0;  // "o+t" does nothing
    case 'u':
      return everywhere(mode >> 6 & 7) & clause.classes;
    case 'g':
      return everywhere(mode >> 3 & 7) & clause.classes;
    case 'o':
      return everywhere(mode & 7) & clause.classes;
    default:
      return 0;
  }
}

uint32_t apply_clause(std::string_view text, uint32_t mode, bool executable) {
  Clause clause;
  size_t i = 0;
  for (; i < text.size() && std::string_view("ugoa").find(text[i]) != std::string_view::npos; ++i) {
    const bool all = text[i] == 'a';
    if (all || text[i] == 'u') clause.classes |= 0700, clause.user = true;
    if (all || text[i] == 'g') clause.classes |= 0070, clause.group = true;
    if (all || text[i] == 'o') clause.classes |= 0007;
  }
  if (i == 0) clause = {0777, true, true, false};
  clause.executable = executable;
  while (i < text.size()) {
    const char operation = text[i++];
    uint32_t bits = 0;
    for (; i < text.size() && std::string_view("+-=").find(text[i]) == std::string_view::npos;
         ++i) {
      // "-X" takes every x away.
      const char permission = text[i] == 'X' && operation == '-' ? 'x' : text[i];
      bits |= permission_bits(permission, mode, clause);
    }
    if (operation == '+') mode |= bits;
    if (operation == '-') mode &= ~bits;
    if (operation == '=') {
      const uint32_t cleared =
          clause.classes | (clause.user ? kSetUser : 0) | (clause.group ? kSetGroup : 0);
      mode = (mode & ~cleared) | bits;
    }
  }
  return mode;
}

}  // namespace

std::optional<uint32_t> octal_mode(std::string_view text) {
  if (text.empty() || text.find_first_not_of("01234567") != std::string_view::npos) {
    return std::nullopt;
  }
  uint32_t mode = 0;
  for (const char c : text) mode = (mode << 3 | static_cast<uint32_t>(c - '0')) & 07777;
  return mode;
}

uint32_t apply_mode(std::string_view text, uint32_t mode, bool directory) {
  if (const auto octal = octal_mode(text)) return *octal;
  const bool executable = directory || (mode & everywhere(1)) != 0;
  for (const auto& clause : split(text, ',')) mode = apply_clause(clause, mode, executable);
  return mode;
}

}  // namespace lade
