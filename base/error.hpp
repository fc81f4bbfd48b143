// The one exception type of lade, and helpers to give it context while it unwinds.
//
// Rules: throw Error for what ends a vertex or a build; messages are lower case, without a full
// stop, with paths quoted. `std::optional` says absence. A forked child never throws (see
// executor).
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/source_range.hpp"

namespace lade {

/// What code may branch on; everything else is for people.
enum class ErrorKind {
  general,
  usage,        ///< the command line is wrong: exit code 2
  not_found,    ///< a name, blob or file that was asked for does not exist
  canceled,     ///< the build was interrupted or another vertex failed first
  corrupt,      ///< bytes that do not match their digest, size or format
  unavailable,  ///< a remote side that did not answer; trying again may help
};

inline constexpr const char* kRoomHint =
    "make room on that disk; lade prune removes what can be built again";

class Error : public std::exception {
 public:
  explicit Error(std::string message, ErrorKind kind = ErrorKind::general);

  /// `message: strerror(err)`, remembering `err`. Of a disk that is full the hint is kRoomHint.
  static Error from_errno(int err, std::string_view message);

  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& message() const { return message_; }
  ErrorKind kind() const { return kind_; }
  int errno_code() const { return errno_; }
  const std::optional<SourceRange>& range() const { return range_; }
  /// What the user could do next ("did you mean ..."); empty if we do not know.
  const std::string& hint() const { return hint_; }

  /// Prefixes the message: "`context`: message".
  void add_context(std::string_view context);
  /// Names the lines at fault; the innermost (first) range wins.
  void add_range(const SourceRange& range);
  void set_hint(std::string hint) { hint_ = std::move(hint); }
  void set_kind(ErrorKind kind) { kind_ = kind; }

 private:
  std::string message_;
  std::string hint_;
  std::optional<SourceRange> range_;
  ErrorKind kind_;
  int errno_ = 0;
};

/// Builder forms, so that `throw error_at(range, "...")` reads as a sentence.
Error error_at(const SourceRange& range, std::string message, std::string hint = {});

/// Throws Error::from_errno(errno, message).
[[noreturn]] void throw_errno(std::string_view message);

/// Runs `body`; an Error passing through gains `context` (a string or a callable that makes one,
/// called only on failure).
template <class Context, class Body>
decltype(auto) with_context(Context&& context, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (Error& error) {
    if constexpr (std::is_invocable_v<Context>) {
      error.add_context(context());
    } else {
      error.add_context(context);
    }
    throw;
  }
}

/// 'text' with control characters, quotes and backslashes escaped, for messages and terminals.
std::string quoted(std::string_view text);
// Of exactly these types, since where <iomanip> is included std::quoted is found, too.
inline std::string quoted(const std::string& text) {
  return quoted(std::string_view(text));
}
inline std::string quoted(std::string& text) {
  return quoted(std::string_view(text));
}
inline std::string quoted(const char* text) {
  return quoted(std::string_view(text));
}

}  // namespace lade
