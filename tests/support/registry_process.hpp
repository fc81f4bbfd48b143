// Debian's docker-registry as a child process, and images in the form it takes them.
#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

#include "base/temp_dir.hpp"

namespace lade::test {

/// Runs until it is destroyed; keeps everything in a temporary directory.
class RegistryProcess {
 public:
  /// False where the package docker-registry is not installed; tests skip then.
  static bool available();

  /// Serves http, or https with a self-signed certificate. `extra` is more YAML for its
  /// configuration.
  explicit RegistryProcess(bool tls = false, const std::string& extra = "");
  ~RegistryProcess();
  RegistryProcess(const RegistryProcess&) = delete;
  RegistryProcess& operator=(const RegistryProcess&) = delete;

  const std::string& host() const { return host_; }  ///< "127.0.0.1:12345"
  const std::string& directory() const { return dir_.path(); }
  /// Copies every image of the OCI layout `layout` (skopeo's name, "path:tag") to `name` ("app:1").
  void push(const std::string& layout, const std::string& name) const;

 private:
  bool start(bool tls, const std::string& extra);
  void stop();

  TempDir dir_;
  std::string host_;
  pid_t pid_ = -1;
};

/// Runs `command` in a shell with its output in `log`; throws Error with that output if it fails.
void run_command(const std::string& command, const std::string& log);

}  // namespace lade::test
