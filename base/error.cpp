#include "base/error.hpp"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace lade {

Error::Error(std::string message, ErrorKind kind) : message_(std::move(message)), kind_(kind) {}

Error Error::from_errno(int err, std::string_view message) {
  // strerror_r's GNU form returns a pointer that may or may not be the buffer.
  char buffer[128];
  Error error(fmt::format("{}: {}", message, strerror_r(err, buffer, sizeof buffer)),
              err == ENOENT ? ErrorKind::not_found : ErrorKind::general);
  error.errno_ = err;
  if (err == ENOSPC || err == EDQUOT) error.hint_ = kRoomHint;
  return error;
}

void Error::add_context(std::string_view context) {
  message_ = fmt::format("{}: {}", context, message_);
}

void Error::add_range(const SourceRange& range) {
  if (!range_) range_ = range;
}

Error error_at(const SourceRange& range, std::string message, std::string hint) {
  Error error(std::move(message));
  error.add_range(range);
  error.set_hint(std::move(hint));
  return error;
}

void throw_errno(std::string_view message) {
  throw Error::from_errno(errno, message);
}

std::string quoted(std::string_view text) {
  std::string out = "'";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\'' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + "'";
}

}  // namespace lade
