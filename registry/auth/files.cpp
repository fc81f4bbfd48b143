#include "registry/auth/files.hpp"

#include <pwd.h>
#include <unistd.h>

#include "base/sys.hpp"

namespace lade {

std::string home_directory() {
  if (auto out = sys::getenv("HOME"); !out.empty()) return out;
  struct passwd entry = {};
  struct passwd* found = nullptr;
  char buffer[4096];
  if (::getpwuid_r(::geteuid(), &entry, buffer, sizeof buffer, &found) == 0 && found) {
    return found->pw_dir;
  }
  return "/";
}

RegistryFiles RegistryFiles::of_user() {
  const std::string home_dir = home_directory();
  std::string config_home = sys::getenv("XDG_CONFIG_HOME");
  if (config_home.empty()) config_home = home_dir + "/.config";
  RegistryFiles out;

  out.user_registries_conf = config_home + "/containers/registries.conf";
  if (const auto chosen = sys::getenv("CONTAINERS_REGISTRIES_CONF"); !chosen.empty()) {
    out.registries_conf = {chosen};
  } else {
    out.registries_conf = {out.user_registries_conf, "/etc/containers/registries.conf"};
  }
  out.system_drop_ins = {"/etc/containers/registries.conf.d"};
  out.drop_ins = {config_home + "/containers/registries.conf.d"};

  out.certificates = {config_home + "/containers/certs.d", "/etc/containers/certs.d",
                      "/etc/docker/certs.d"};

  std::string docker = sys::getenv("DOCKER_CONFIG");
  if (docker.empty()) docker = home_dir + "/.docker";
  out.docker_config = docker + "/config.json";
  if (const auto chosen = sys::getenv("REGISTRY_AUTH_FILE"); !chosen.empty()) {
    out.credentials.push_back(chosen);
  }
  out.credentials.push_back(out.docker_config);
  if (const auto runtime = sys::getenv("XDG_RUNTIME_DIR"); !runtime.empty()) {
    out.credentials.push_back(runtime + "/containers/auth.json");
  }
  out.credentials.push_back(config_home + "/containers/auth.json");
  return out;
}

}  // namespace lade
