#include "registry/auth/credential_store.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/file_lock.hpp"
#include "base/json/json_reader.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "registry/auth/credential_helper.hpp"
#include "registry/auth/secret_json.hpp"

namespace lade {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxCredentials = 4u << 20;
constexpr std::string_view kDockerHub = "docker.io";
constexpr std::string_view kDockerHubKey = "https://index.docker.io/v1/";

/// An entry of "auths"; nullopt if it says nothing, as where a credentials store has the rest.
std::optional<Credentials> read_entry(const JsonValue& entry) {
  Credentials out;
  out.user = entry["username"].string_or_empty();
  out.password = entry["password"].string_or_empty();
  out.identity_token = entry["identitytoken"].string_or_empty();
  out.registry_token = entry["registrytoken"].string_or_empty();
  if (const std::string auth = entry["auth"].string_or_empty(); !auth.empty()) {
    auto text = from_base64(auth);
    const size_t colon = text ? text->find(':') : std::string::npos;
    if (colon == std::string::npos) entry["auth"].fail("is not base64 of USER:PASSWORD");
    // Old versions of Docker padded it with zero bytes.
    while (text->ends_with('\0')) text->pop_back();
    out.user = text->substr(0, colon);
    out.password = text->substr(colon + 1);
  }
  if (out.empty()) return std::nullopt;
  return out;
}

/// "host/a/b" -> itself, "host/a", "host".
std::vector<std::string> candidates(const std::string& registry, const std::string& repository) {
  std::vector<std::string> out;
  std::string name = repository.empty() ? registry : registry + "/" + repository;
  while (name.size() > registry.size()) {
    out.push_back(name);
    name.resize(name.rfind('/'));
  }
  out.push_back(registry);
  return out;
}

// ---------------------------------------------------------------------------- writing

/// Where a symlink leads: files of settings are often kept elsewhere.
std::string followed(const std::string& path) {
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), &::free);
  return real ? std::string(real.get()) : path;
}

/// Docker's config.json while it is changed; other lade processes wait.
class DockerConfig {
 public:
  explicit DockerConfig(const std::string& path) : path_(followed(path)) {
    const std::string directory = dir_name(path_);
    sys::make_dirs(directory, 0700);
    // Not the file itself, which is replaced.
    lock_ = sys::open(directory, O_RDONLY | O_DIRECTORY);
    lock_file(lock_.get(), LOCK_EX, lade::quoted(directory));
    const std::string text = sys::read_file(path_, kMaxCredentials).value_or("");
    json_ = trim(text).empty() ? Json::object() : Json::parse(text, nullptr, false);
    if (!json_.is_object()) {
      throw Error(lade::quoted(path_) + " is not a JSON object", ErrorKind::corrupt);
    }
  }

  /// The helper for the registry, "" if the file itself is to hold its credentials.
  std::string helper(const std::string& registry) const {
    if (const auto helpers = json_.find("credHelpers");
        helpers != json_.end() && helpers->is_object()) {
      for (const auto& [key, name] : helpers->items()) {
        if (registry_of_key(key) == registry && name.is_string()) return name.get<std::string>();
      }
    }
    const auto store = json_.find("credsStore");
    return store != json_.end() && store->is_string() ? store->get<std::string>() : "";
  }

  void set(const std::string& registry, Json entry) {
    erase(registry);
    json_["auths"][credentials_key(registry)] = std::move(entry);
  }

  bool erase(const std::string& registry) {
    const auto auths = json_.find("auths");
    if (auths == json_.end() || !auths->is_object()) return false;
    std::vector<std::string> keys;
    for (const auto& [key, entry] : auths->items()) {
      if (registry_of_key(key) == registry) keys.push_back(key);
    }
    for (const auto& key : keys) auths->erase(key);
    return !keys.empty();
  }

  void save() const {
    sys::write_file_atomically(
        path_, json_.dump(1, '\t', false, Json::error_handler_t::replace) + "\n", 0600);
  }

 private:
  std::string path_;
  UniqueFd lock_;
  Json json_;
};

}  // namespace

std::string Credentials::basic() const {
  return "Basic " + base64(user + ":" + password);
}

std::string credentials_key(const std::string& registry) {
  return registry == kDockerHub ? std::string(kDockerHubKey) : registry;
}

std::string registry_of_key(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  while (key.ends_with('/')) key.remove_suffix(1);
  for (const std::string_view version : {"/v1", "/v2"}) {
    if (key.ends_with(version)) key.remove_suffix(version.size());
  }
  if (key == "index.docker.io" || key == "registry-1.docker.io") return std::string(kDockerHub);
  return std::string(key);
}

struct CredentialStore::File {
  std::map<std::string, Credentials> entries;  ///< by registry[/namespace...]
  std::map<std::string, std::pair<std::string, std::string>> helpers;  ///< name, key
  std::string store;                                                   ///< credsStore
};

CredentialStore::CredentialStore(const RegistryFiles& files, CredentialLookup lookup)
    : lookup_(std::move(lookup)), paths_(files.credentials) {}
CredentialStore::~CredentialStore() = default;

const std::vector<CredentialStore::File>& CredentialStore::files() {
  const std::lock_guard lock(mutex_);
  if (files_) return *files_;
  auto out = std::make_unique<std::vector<File>>();
  for (const auto& path : paths_) {
    const auto text = sys::read_file(path, kMaxCredentials);
    if (!text || trim(*text).empty()) continue;
    require_json(*text, lade::quoted(path));
    const JsonDocument document(*text, kMaxCredentials, lade::quoted(path));
    const JsonValue root = document.root();
    File& file = out->emplace_back();
    file.store = root["credsStore"].string_or_empty();
    for (const auto& key :
         root["auths"].present() ? root["auths"].keys() : std::set<std::string>{}) {
      if (auto entry = read_entry(root["auths"][key])) {
        file.entries.emplace(registry_of_key(key), std::move(*entry));
      }
    }
    if (!root["credHelpers"].present()) continue;
    for (const auto& [key, name] : root["credHelpers"].string_map()) {
      file.helpers.emplace(registry_of_key(key), std::pair(name, key));
    }
  }
  files_ = std::move(out);
  return *files_;
}

Credentials CredentialStore::find(const std::string& registry, const std::string& repository) {
  if (lookup_) return lookup_(registry, repository);
  for (const auto& file : files()) {
    for (const auto& name : candidates(registry, repository)) {
      if (const auto helper = file.helpers.find(name); helper != file.helpers.end()) {
        const auto& [program, key] = helper->second;
        if (auto found = CredentialHelper(program).get(key)) return *found;
      }
      if (const auto entry = file.entries.find(name); entry != file.entries.end()) {
        return entry->second;
      }
    }
    if (file.store.empty()) continue;
    if (auto found = CredentialHelper(file.store).get(credentials_key(registry))) return *found;
  }
  return {};
}

std::string store_credentials(const std::string& docker_config, const std::string& registry,
                              const Credentials& credentials) {
  DockerConfig config(docker_config);
  const std::string helper = config.helper(registry);
  Json entry = Json::object();
  if (!helper.empty()) {
    CredentialHelper(helper).store(credentials_key(registry), credentials);
  } else if (!credentials.identity_token.empty()) {
    entry["auth"] = base64(credentials.user + ":");
    entry["identitytoken"] = credentials.identity_token;
  } else {
    entry["auth"] = base64(credentials.user + ":" + credentials.password);
  }
  config.set(registry, std::move(entry));
  config.save();
  return helper.empty() ? docker_config : fmt::format("the helper docker-credential-{}", helper);
}

bool erase_credentials(const std::string& docker_config, const std::string& registry) {
  if (!sys::lstatat(AT_FDCWD, docker_config)) return false;
  DockerConfig config(docker_config);
  const std::string helper = config.helper(registry);
  if (!helper.empty()) CredentialHelper(helper).erase(credentials_key(registry));
  if (!config.erase(registry)) return !helper.empty();
  config.save();
  return true;
}

}  // namespace lade
