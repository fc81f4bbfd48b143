#include "registry/s3/aws_signature.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "registry/net/http.hpp"

namespace lade {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string_view as_text(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes().data()), digest.bytes().size()};
}

std::string signed_headers(const AwsRequest& request) {
  std::vector<std::string> names;
  for (const auto& [name, value] : request.headers) names.push_back(name);
  return join(names, ";");
}

std::string canonical_request(const AwsRequest& request) {
  std::string headers;
  for (const auto& [name, value] : request.headers) {
    headers += fmt::format("{}:{}\n", name, trim(value));
  }
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, request.path,
                     canonical_query(request), headers, signed_headers(request),
                     request.payload_digest);
}

}  // namespace

Digest hmac_sha256(std::string_view key, std::string_view message) {
  Digest::Bytes bytes{};
  unsigned int size = 0;
  if (!::HMAC(::EVP_sha256(), key.data(), static_cast<int>(key.size()),
              reinterpret_cast<const unsigned char*>(message.data()), message.size(), bytes.data(),
              &size)) {
    throw Error("HMAC-SHA256 failed");
  }
  return Digest(bytes);
}

std::string canonical_query(const AwsRequest& request) {
  std::vector<std::string> pairs;
  for (const auto& [name, value] : request.query) {
    pairs.push_back(url_encode(name) + "=" + url_encode(value));
  }
  std::sort(pairs.begin(), pairs.end());
  return join(pairs, "&");
}

std::string aws_authorization(const AwsRequest& request, const AwsCredentials& credentials,
                              std::string_view region, std::string_view service,
                              std::string_view time) {
  const std::string_view date = time.substr(0, 8);
  const std::string scope = fmt::format("{}/{}/{}/aws4_request", date, region, service);
  const std::string to_sign = fmt::format("{}\n{}\n{}\n{}", kAlgorithm, time, scope,
                                          Digest::of(canonical_request(request)).hex());
  Digest key = hmac_sha256("AWS4" + credentials.secret_access_key, date);
  for (const std::string_view part : {region, service, std::string_view("aws4_request")}) {
    key = hmac_sha256(as_text(key), part);
  }
  return fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm,
                     credentials.access_key_id, scope, signed_headers(request),
                     hmac_sha256(as_text(key), to_sign).hex());
}

}  // namespace lade
