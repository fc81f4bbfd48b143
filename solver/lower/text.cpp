// How history texts are written: BuildKit's are Go's formats of its data, and tools compare them.
#include "base/text.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include "base/error.hpp"
#include "solver/lower/stage.hpp"

namespace lade::lowering {
namespace {

/// Length of the well-formed UTF-8 sequence at the start of `text`, with its code point; 0 if there
/// is none.
size_t decode_utf8(std::string_view text, uint32_t& code) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const size_t length = lead < 0x80       ? 1
                        : lead >> 5 == 6  ? 2
                        : lead >> 4 == 14 ? 3
                        : lead >> 3 == 30 ? 4
                                          : 0;
  if (length == 0 || text.size() < length) return 0;
  code = length == 1 ? lead : lead & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if (byte(i) >> 6 != 2) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool valid =
      code >= kSmallest[length] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  return valid ? length : 0;
}

/// Printable as Go has it, as far as texts of Dockerfiles go: no controls, no exotic spaces, no
/// format characters.
bool printable(uint32_t code) {
  if (code < 0x20 || code == 0x7f || (code >= 0x80 && code < 0xa1) || code == 0xad) return false;
  if (code >= 0x2000 && code <= 0x200f) return false;
  if (code >= 0x2028 && code <= 0x202f) return false;
  if (code >= 0x205f && code <= 0x206f) return false;
  if (code >= 0xe000 && code <= 0xf8ff) return false;
  return code != 0x1680 && code != 0x3000 && code != 0xfeff && code < 0xe0000;
}

std::string escaped(uint32_t code) {
  switch (code) {
    case '\a':
      return "\\a";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\v':
      return "\\v";
    default:
      break;
  }
  if (code < 0x20 || code == 0x7f) return fmt::format("\\x{:02x}", code);
  return code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
}

/// A Go duration's fraction: `value` / 10^digits without trailing zeros, with a leading point if
/// any is left.
std::string fraction(uint64_t value, int digits) {
  if (value == 0) return {};
  std::string text = fmt::format("{:0{}}", value, digits);
  while (text.back() == '0') text.pop_back();
  return "." + text;
}

struct PortRange {
  int first = 0;
  int last = 0;
};

PortRange parse_port_range(const std::string& text, const char* what) {
  const auto number = [&](const std::string& part) {
    if (part.empty() || part.size() > 5 ||
        part.find_first_not_of("0123456789") != std::string::npos || std::stoi(part) > 65535) {
      throw Error(fmt::format("invalid {}: {}", what, text));
    }
    return std::stoi(part);
  };
  const auto dash = text.find('-');
  if (dash == std::string::npos) return {number(text), number(text)};
  const PortRange range{number(text.substr(0, dash)), number(text.substr(dash + 1))};
  if (range.last < range.first) throw Error(fmt::format("invalid {}: {}", what, text));
  return range;
}

void check_address(std::string address) {
  if (address.empty()) return;
  if (address.starts_with('[') && address.ends_with(']')) {
    address = address.substr(1, address.size() - 2);
  }
  in6_addr parsed{};
  if (::inet_pton(AF_INET, address.c_str(), &parsed) != 1 &&
      ::inet_pton(AF_INET6, address.c_str(), &parsed) != 1) {
    throw Error("invalid IP address: " + address);
  }
}

}  // namespace

std::string go_quote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    uint32_t code = 0;
    size_t length = decode_utf8(text, code);
    if (length == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
      length = 1;
    } else if (code == '"' || code == '\\') {
      out += '\\';
      out += static_cast<char>(code);
    } else if (printable(code)) {
      out += text.substr(0, length);
    } else {
      out += escaped(code);
    }
    text.remove_prefix(length);
  }
  return out + "\"";
}

std::string go_quoted_list(const std::vector<std::string>& words) {
  std::vector<std::string> quoted_words;
  for (const auto& word : words) quoted_words.push_back(go_quote(word));
  return go_list(quoted_words);
}

std::string go_list(const std::vector<std::string>& words) {
  return "[" + join(words, " ") + "]";
}

std::string go_duration(int64_t nanoseconds) {
  if (nanoseconds == 0) return "0s";
  const bool negative = nanoseconds < 0;
  uint64_t left =
      negative ? 0 - static_cast<uint64_t>(nanoseconds) : static_cast<uint64_t>(nanoseconds);
  const std::string sign = negative ? "-" : "";
  if (left < 1'000) return fmt::format("{}{}ns", sign, left);
  if (left < 1'000'000)
    return fmt::format("{}{}{}µs", sign, left / 1'000, fraction(left % 1'000, 3));
  if (left < 1'000'000'000) {
    return fmt::format("{}{}{}ms", sign, left / 1'000'000, fraction(left % 1'000'000, 6));
  }
  const std::string fractional = fraction(left % 1'000'000'000, 9);
  left /= 1'000'000'000;
  const std::string seconds = fmt::format("{}{}s", left % 60, fractional);
  left /= 60;
  if (left == 0) return sign + seconds;
  const std::string minutes = fmt::format("{}m{}", left % 60, seconds);
  left /= 60;
  return left == 0 ? sign + minutes : fmt::format("{}{}h{}", sign, left, minutes);
}

std::vector<std::string> parse_port(const std::string& text) {
  // [ip:][host port:]container port[/protocol]; the first two mean nothing here but are checked.
  const auto slash = text.find('/');
  const std::string protocol =
      slash == std::string::npos ? "tcp" : to_lower(text.substr(slash + 1));
  const std::string ports = text.substr(0, slash);
  if (protocol != "tcp" && protocol != "udp" && protocol != "sctp") {
    if (!protocol.empty()) {
      throw Error(fmt::format("invalid port: {}: invalid proto: {}", go_quote(text), protocol));
    }
  }
  const auto last_colon = ports.rfind(':');
  const std::string container =
      last_colon == std::string::npos ? ports : ports.substr(last_colon + 1);
  if (container.empty()) {
    throw Error(fmt::format("invalid port: {}: no port specified", go_quote(text)));
  }
  const PortRange range = parse_port_range(container, "containerPort");
  if (last_colon != std::string::npos) {
    const std::string rest = ports.substr(0, last_colon);
    const auto colon = rest.rfind(':');
    const std::string host = colon == std::string::npos ? rest : rest.substr(colon + 1);
    if (colon != std::string::npos) check_address(rest.substr(0, colon));
    if (!host.empty()) {
      const PortRange hosts = parse_port_range(host, "hostPort");
      if (range.last != range.first && hosts.last - hosts.first != range.last - range.first) {
        throw Error(fmt::format("invalid ranges specified for container and host Ports: {} and {}",
                                container, host));
      }
    }
  }
  std::vector<std::string> out;
  for (int port = range.first; port <= range.last; ++port) {
    out.push_back(fmt::format("{}/{}", port, protocol.empty() ? "tcp" : protocol));
  }
  return out;
}

}  // namespace lade::lowering
