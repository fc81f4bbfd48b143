#include "registry/net/http_message.hpp"

#include <charconv>

namespace lade {

const char* method_name(HttpMethod method) {
  switch (method) {
    case HttpMethod::get:
      return "GET";
    case HttpMethod::head:
      return "HEAD";
    case HttpMethod::post:
      return "POST";
    case HttpMethod::put:
      return "PUT";
    case HttpMethod::patch:
      return "PATCH";
    case HttpMethod::delete_:
      return "DELETE";
  }
  return "";
}

HttpBody HttpBody::of(std::string bytes) {
  const uint64_t size = bytes.size();
  return {size, [bytes = std::move(bytes)] { return std::make_unique<StringSource>(bytes); }};
}

std::optional<uint64_t> HttpResponse::length() const {
  const std::string text = header("content-length");
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace lade
