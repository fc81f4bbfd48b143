// Requests that Amazon's services, and those that speak as they do, take: AWS Signature Version 4.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.hpp"

namespace lade {

struct AwsCredentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  ///< of temporary credentials; empty for others
};

/// What of a request is signed.
struct AwsRequest {
  std::string method;  ///< "GET"
  std::string path;    ///< as in the URL: absolute, percent-encoded once
  /// Names and values, not yet encoded.
  std::vector<std::pair<std::string, std::string>> query{};
  /// Names in lower case, "host" among them.
  std::map<std::string, std::string> headers;
  std::string payload_digest;  ///< hex SHA-256 of the body
};

/// RFC 2104 with SHA-256.
Digest hmac_sha256(std::string_view key, std::string_view message);

/// "name=value&..." in the order and encoding that are signed, which a URL can have, too.
std::string canonical_query(const AwsRequest& request);

/// The value of the Authorization header. `time` is "20130524T000000Z" and must be that of the
/// header x-amz-date, `service` e.g. "s3".
std::string aws_authorization(const AwsRequest& request, const AwsCredentials& credentials,
                              std::string_view region, std::string_view service,
                              std::string_view time);

}  // namespace lade
