#include "registry/net/url.hpp"

#include <array>
#include <ctime>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "base/text.hpp"

namespace lade {

std::string url_origin(std::string_view url) {
  const size_t scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) return "";
  return to_lower(url.substr(0, url.find_first_of("/?#", scheme_end + 3)));
}

bool is_loopback(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1) == "[::1]";
  const std::string name = to_lower(host.substr(0, host.find(':')));
  if (name == "localhost" || name.ends_with(".localhost")) return true;
  struct in_addr address = {};
  return inet_pton(AF_INET, name.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

std::string url_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::optional<int64_t> parse_http_date(const std::string& text) {
  // The form of today, and the two that recipients must accept, too.
  static constexpr std::array kFormats = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                          "%a %b %e %H:%M:%S %Y"};
  // Some servers call GMT so.
  const std::string date = text.ends_with(" UTC") ? text.substr(0, text.size() - 3) + "GMT" : text;
  for (const char* format : kFormats) {
    struct tm time{};
    const char* end = ::strptime(date.c_str(), format, &time);
    if (end && *end == '\0') return ::timegm(&time);
  }
  return std::nullopt;
}

}  // namespace lade
