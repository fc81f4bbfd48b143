#include "daemon/job/client_words.hpp"

#include <array>
#include <optional>

#include <fmt/format.h>
#include <re2/re2.h>

#include "base/text.hpp"

namespace lade {
namespace {

/// `ours` (a pattern) in `theirs` (with \1 for the first group).
struct Wording {
  const char* ours;
  const char* theirs;
};

constexpr std::array kWordings = {
    Wording{
        R"~(^"(/[^"]*)" not found in .*)~",
        R"~(failed to compute cache key: failed to calculate checksum of ref lade: "\1": not found)~"},
    Wording{R"~(unknown instruction: '([^']*)')~", R"~(unknown instruction: \1)~"},
    Wording{R"~(^(network\.host|security\.insecure) is not allowed)~",
            R"~(entitlement \1 is not allowed)~"},
    Wording{R"~(the repository has no branch or tag '([^']*)')~",
            R"~(repository does not contain ref \1)~"},
    Wording{R"~(server said (\d+) .*)~", R"~(invalid response status \1)~"},
    Wording{R"~(secret "([^"]*)" was not given to the build \(.*\))~", R"~(secret \1: not found)~"},
    Wording{R"~('from' doesn't support variable expansion in --mount \(.*\))~",
            "'from' doesn't support variable expansion, define alias stage instead"},
    Wording{R"~(unsupported mount type '([^']*)')~", R"~(unsupported mount type "\1")~"},
    Wording{R"~((unknown flag: .*\(did you mean )--)~", R"~(\1)~"},
    Wording{R"~(invalid platform '([^']*)': expected os\S*)~",
            R"~("" is an invalid component of "\1": platform specifier component must match )~"
            R"~("^[A-Za-z0-9_.-]+$": invalid argument)~"},
};

}  // namespace

std::string in_clients_words(const Error& error) {
  std::string message = error.message();
  if (!error.hint().empty()) message += " (" + error.hint() + ")";
  for (const auto& wording : kWordings) {
    RE2::Replace(&message, RE2(wording.ours), wording.theirs);
  }
  return message;
}

Error as_parse_error(const Error& error) {
  if (!error.range() || error.range()->first_line < 1) return error;
  Error out(fmt::format("dockerfile parse error on line {}: {}", error.range()->first_line,
                        in_clients_words(error)),
            error.kind());
  out.add_range(*error.range());
  return out;
}

}  // namespace lade
