#include "base/shown_text.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

#include "base/utf8.hpp"

namespace lade {
namespace {

constexpr char kEscape = '\x1b';
constexpr std::string_view kReset = "\x1b[0m";

bool is_within_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

/// Bytes of the SGR sequence that `text` begins with (ECMA-48, 8.3.117), 0 if it is none.
size_t sgr_size(std::string_view text) {
  if (!text.starts_with("\x1b[")) return 0;
  const size_t end = text.find_first_not_of("0123456789;:", 2);
  return end != std::string_view::npos && text[end] == 'm' ? end + 1 : 0;
}

void append_control(std::string& out, char32_t code) {
  if (code < 0x20 || code == 0x7f) {
    out += '^';
    out += static_cast<char>(code ^ 0x40);
  } else {
    fmt::format_to(std::back_inserter(out), "<{:02x}>", static_cast<unsigned>(code));
  }
}

void append_line(std::string& out, std::string_view line) {
  bool coloured = false;
  for (size_t at = 0; at < line.size();) {
    if (line[at] == kEscape) {
      if (const size_t size = sgr_size(line.substr(at)); size > 0) {
        out += line.substr(at, size);
        at += size;
        coloured = true;
        continue;
      }
    }
    const Utf8Char next = decode_utf8(line, at);
    const bool is_c1 = next.code >= 0x80 && next.code < 0xa0;
    if (next.code >= kInvalidByte) {
      append_control(out, next.code - kInvalidByte);
    } else if (is_c1 || next.code == 0x7f || (next.code < 0x20 && next.code != '\t')) {
      append_control(out, next.code);
    } else {
      out += line.substr(at, next.size);
    }
    at += next.size;
  }
  if (coloured) out += kReset;
}

}  // namespace

std::string elided(std::string_view text, size_t limit) {
  if (text.size() <= limit) return std::string(text);
  size_t head = limit * 2 / 3;
  size_t tail = text.size() - (limit - head);
  while (head > 0 && is_within_character(text[head])) --head;
  while (tail < text.size() && is_within_character(text[tail])) ++tail;
  return fmt::format("{} [... {} bytes ...] {}", text.substr(0, head), tail - head,
                     text.substr(tail));
}

std::string_view last_state(std::string_view line) {
  while (line.ends_with('\r')) line.remove_suffix(1);
  const size_t start = line.rfind('\r');
  return start == std::string_view::npos ? line : line.substr(start + 1);
}

std::string for_terminal(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    append_line(out, text.substr(0, end));
    if (end < text.size()) out += '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string shown_on(int fd, std::string text) {
  if (::isatty(fd) == 0) return text;
  return for_terminal(text);
}

std::string counted(uint64_t count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

}  // namespace lade
