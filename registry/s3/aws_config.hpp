// Who the user is to Amazon's services: the environment, and the files of the aws command.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "registry/s3/aws_signature.hpp"

namespace lade {

/// Sections of a file as ~/.aws/credentials, their keys and values. Lines that say nothing are left
/// out; so are nested settings (lines that begin with a blank).
using IniSections = std::map<std::string, std::map<std::string, std::string>>;
IniSections parse_ini(std::string_view text);

/// What is set anywhere. Read once, when it is first needed.
struct AwsConfig {
  std::optional<AwsCredentials> credentials;
  std::string region;
  std::string endpoint_url;

  /// In this order: AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN); the
  /// profile $AWS_PROFILE (default: "default") of $AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials)
  /// and of $AWS_CONFIG_FILE (~/.aws/config). The region is AWS_REGION's, AWS_DEFAULT_REGION's or
  /// the profile's; the endpoint AWS_ENDPOINT_URL_S3's, AWS_ENDPOINT_URL's or the profile's. Throws
  /// Error if a profile was asked for that no file has.
  static AwsConfig of_user();
};

}  // namespace lade
