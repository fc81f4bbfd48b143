#include "solver/executor/network/hosts.hpp"

#include <array>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "solver/executor/network/frame_filter.hpp"
#include "solver/executor/network/resolv_conf.hpp"

namespace lade {
namespace sandbox {
namespace {

// slirp4netns's own name server: hands queries to the host's, and nothing else to its loopback.
constexpr std::string_view forwarder = "10.0.2.3";

/// What a line of resolv.conf(5) names as server; empty for other lines.
std::string nameserver_of(std::string_view line) {
  const auto text = trim(line);
  constexpr std::string_view keyword = "nameserver";
  if (!text.starts_with(keyword) || text.size() == keyword.size()) return {};
  const auto rest = text.substr(keyword.size());
  if (rest[0] != ' ' && rest[0] != '\t') return {};
  return std::string(trim(rest));
}

/// Slots have IPv4 only, a loopback address would be the sandbox's own, and this machine's are out
/// of reach.
bool is_reachable(const std::string& server, const AddressSet& denied) {
  try {
    return is_usable_name_server(parse_ipv4(server), denied);
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

bool has_reachable_server(std::string_view text, const AddressSet& denied) {
  for (const auto& line : split(text, '\n')) {
    const auto server = nameserver_of(line);
    if (!server.empty() && is_reachable(server, denied)) return true;
  }
  return false;
}

std::string filter_resolv_conf(std::string_view text, const AddressSet& denied) {
  std::string out;
  bool any = false;
  for (const auto& line : split(text, '\n')) {
    const auto server = nameserver_of(line);
    if (!server.empty() && !is_reachable(server, denied)) continue;
    any = any || !server.empty();
    const auto kept = trim(line);
    if (!kept.empty() && kept[0] != '#' && kept[0] != ';') out += fmt::format("{}\n", kept);
  }
  if (!any) out += fmt::format("nameserver {}\n", forwarder);
  return out;
}

}  // namespace sandbox

std::string sandbox_resolv_conf(NetworkMode network, const AddressSet& denied) {
  const std::string own = sys::read_file("/etc/resolv.conf").value_or("");
  // There the host's loopback is the step's, too.
  if (network == NetworkMode::host) return own;
  if (sandbox::has_reachable_server(own, denied)) return sandbox::filter_resolv_conf(own, denied);
  for (const char* upstream :
       {"/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"}) {
    const auto text = sys::read_file(upstream);
    if (text && sandbox::has_reachable_server(*text, denied))
      return sandbox::filter_resolv_conf(*text, denied);
  }
  return sandbox::filter_resolv_conf(own, denied);
}

std::string sandbox_hosts(const std::string& hostname,
                          const std::vector<std::pair<std::string, std::string>>& extra_hosts) {
  std::string out = "127.0.0.1\tlocalhost";
  if (!hostname.empty() && hostname != "localhost") out += " " + hostname;
  out += "\n::1\tlocalhost ip6-localhost ip6-loopback\n";
  for (const auto& [address, name] : extra_hosts) out += fmt::format("{}\t{}\n", address, name);
  return out;
}

}  // namespace lade
