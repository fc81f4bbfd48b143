#include "registry/net/proxies.hpp"

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/json/json_reader.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxConfig = 1u << 20;

constexpr std::pair<const char*, const char*> kProxyKeys[] = {{"httpProxy", "HTTP_PROXY"},
                                                              {"httpsProxy", "HTTPS_PROXY"},
                                                              {"noProxy", "NO_PROXY"},
                                                              {"ftpProxy", "FTP_PROXY"},
                                                              {"allProxy", "ALL_PROXY"}};

}  // namespace

std::map<std::string, std::string> configured_proxies(const std::string& docker_config,
                                                      const std::string& host) {
  const auto text = sys::read_file(docker_config, kMaxConfig);
  if (!text || trim(*text).empty()) return {};
  const auto json = parse_foreign_json(*text);
  if (!json.is_object()) {
    throw Error(quoted(docker_config) + " is not a JSON object", ErrorKind::corrupt);
  }
  const auto proxies = json.find("proxies");
  if (proxies == json.end() || !proxies->is_object()) return {};
  auto entry = proxies->find(host);
  if (entry == proxies->end()) entry = proxies->find("default");
  if (entry == proxies->end() || !entry->is_object()) return {};
  std::map<std::string, std::string> out;
  for (const auto& [key, variable] : kProxyKeys) {
    const auto value = entry->find(key);
    if (value == entry->end() || !value->is_string()) continue;
    if (!value->get_ref<const std::string&>().empty()) out[variable] = value->get<std::string>();
  }
  return out;
}

std::string docker_host() {
  const std::string host = sys::getenv("DOCKER_HOST");
  return host.empty() ? "unix:///var/run/docker.sock" : host;
}

}  // namespace lade
