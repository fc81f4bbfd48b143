// Text of URLs and headers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lade {

/// "https://example.com:5000" of "https://example.com:5000/v2/?x", lower case.
std::string url_origin(std::string_view url);
/// Whether `host` ("localhost:5000", "127.0.0.2", "[::1]:80") is this machine.
bool is_loopback(std::string_view host);
/// Percent-encodes all but letters, digits and "-._~" (RFC 3986, 2.3).
std::string url_encode(std::string_view text);
/// The time of an HTTP date (RFC 9110, 5.6.7) in seconds since 1970; nullopt if it is none.
std::optional<int64_t> parse_http_date(const std::string& text);

}  // namespace lade
