#include "registry/s3/aws_config.hpp"

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "registry/auth/files.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxAwsFile = 1u << 20;

std::string first_of(std::initializer_list<std::string> texts) {
  for (const auto& text : texts) {
    if (!text.empty()) return text;
  }
  return "";
}

IniSections read(const std::string& path) {
  return parse_ini(sys::read_file(path, kMaxAwsFile).value_or(""));
}

/// A profile: what ~/.aws/config says, and over that what ~/.aws/credentials says.
std::map<std::string, std::string> read_profile() {
  const std::string chosen = sys::getenv("AWS_PROFILE");
  const std::string name = chosen.empty() ? "default" : chosen;
  const std::string directory = home_directory() + "/.aws/";
  const std::string config = first_of({sys::getenv("AWS_CONFIG_FILE"), directory + "config"});
  const std::string shared =
      first_of({sys::getenv("AWS_SHARED_CREDENTIALS_FILE"), directory + "credentials"});
  std::map<std::string, std::string> out;
  bool found = false;
  const auto add = [&](const IniSections& sections, const std::string& section) {
    const auto at = sections.find(section);
    if (at == sections.end()) return;
    found = true;
    for (const auto& [key, value] : at->second) out[key] = value;
  };
  // The default's section is called as that of the other file.
  add(read(config), name == "default" ? name : "profile " + name);
  add(read(shared), name);
  if (!found && !chosen.empty()) {
    throw Error("AWS_PROFILE=" + chosen + ": neither " + quoted(shared) + " nor " + quoted(config) +
                " has it");
  }
  return out;
}

}  // namespace

IniSections parse_ini(std::string_view text) {
  IniSections out;
  std::map<std::string, std::string>* section = nullptr;
  for (const std::string& line : split(text, '\n')) {
    const bool is_nested = line.starts_with(' ') || line.starts_with('\t');
    const std::string_view trimmed = trim(line);
    if (is_nested || trimmed.empty() || trimmed[0] == '#' || trimmed[0] == ';') continue;
    if (trimmed.starts_with('[') && trimmed.ends_with(']')) {
      section = &out[std::string(trim(trimmed.substr(1, trimmed.size() - 2)))];
      continue;
    }
    const size_t equals = trimmed.find('=');
    if (!section || equals == std::string_view::npos) continue;
    (*section)[to_lower(trim(trimmed.substr(0, equals)))] = trim(trimmed.substr(equals + 1));
  }
  return out;
}

AwsConfig AwsConfig::of_user() {
  const auto profile = read_profile();
  const auto of_profile = [&](const char* key) {
    const auto at = profile.find(key);
    return at == profile.end() ? std::string() : at->second;
  };
  AwsConfig out;
  out.region = first_of(
      {sys::getenv("AWS_REGION"), sys::getenv("AWS_DEFAULT_REGION"), of_profile("region")});
  out.endpoint_url = first_of({sys::getenv("AWS_ENDPOINT_URL_S3"), sys::getenv("AWS_ENDPOINT_URL"),
                               of_profile("endpoint_url")});
  AwsCredentials credentials{sys::getenv("AWS_ACCESS_KEY_ID"), sys::getenv("AWS_SECRET_ACCESS_KEY"),
                             sys::getenv("AWS_SESSION_TOKEN")};
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty()) {
    credentials = {of_profile("aws_access_key_id"), of_profile("aws_secret_access_key"),
                   of_profile("aws_session_token")};
  }
  if (!credentials.access_key_id.empty() && !credentials.secret_access_key.empty()) {
    out.credentials = std::move(credentials);
  }
  return out;
}

}  // namespace lade
