// The options of `lade run`, as given and as understood. Names and meanings are `docker run`'s.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/command_line.hpp"
#include "base/mount.hpp"
#include "solver/executor/network/network_reach.hpp"
#include "solver/graph/definition.hpp"
#include "solver/source/image.hpp"

namespace lade {

/// As the command line gave them.
struct RunFlags {
  std::vector<std::string> env;
  std::vector<std::string> env_files;
  std::vector<std::string> volumes;
  std::vector<std::string> mounts;
  std::vector<std::string> tmpfs;
  std::vector<std::string> add_hosts;
  std::vector<std::string> ulimits;
  std::vector<std::string> publish;
  std::string workdir;
  std::string user;
  std::optional<std::string> entrypoint;
  std::string network = "default";
  std::vector<std::string> network_deny;
  std::string hostname;
  std::string name;
  std::string platform;
  std::string pull = "missing";
  std::string shm_size;
  std::string pids_limit;
  bool remove = false;
  std::string detach_keys = "ctrl-p,ctrl-q";
  bool interactive = false;
  bool terminal = false;
  bool detach = false;
  bool read_only = false;
  bool privileged = false;
  bool init = false;
};

/// A directory of the host's, of the sandbox's memory, or of the container's own.
struct RunVolume {
  enum class Type { bind, tmpfs, anonymous } type = Type::bind;
  std::string source;  ///< bind: absolute path of the host
  std::string target;  ///< absolute path in the container
  bool read_only = false;
  bool make_source = false;  ///< bind: a directory, made if there is nothing
  uint64_t size_bytes = 0;   ///< tmpfs; 0: the kernel's default
  uint32_t mode = 01777;     ///< tmpfs
};

/// Checked.
struct RunRequest {
  std::string image;
  std::vector<std::string> command;  ///< empty: the image's
  std::vector<std::string> env;      ///< "K=V"; "K" takes K out of the image's
  std::vector<RunVolume> volumes;    ///< shorter targets first
  std::vector<std::pair<std::string, std::string>> extra_hosts;  ///< name, address
  std::vector<Ulimit> ulimits;
  std::string workdir;  ///< empty: the image's
  std::optional<std::string> user;
  std::optional<std::string> entrypoint;  ///< empty: none, not even the image's
  OpNetwork network = OpNetwork::sandbox;
  NetworkReach network_reach;
  std::string hostname;
  std::optional<Platform> platform;
  PullPolicy pull = PullPolicy::missing;
  uint64_t shm_bytes = 0;   ///< 0: the default
  int64_t pids_limit = 0;   ///< 0: none
  std::string detach_keys;  ///< the bytes that are typed
  bool interactive = false;
  bool terminal = false;
  bool read_only = false;
  bool privileged = false;
  bool init = false;
};

void add_run_flags(CommandLine& command, RunFlags& flags);

/// `words`: the image, then its command. Throws Error(usage) naming the option.
RunRequest check_run_flags(const RunFlags& flags, const std::vector<std::string>& words);

}  // namespace lade
