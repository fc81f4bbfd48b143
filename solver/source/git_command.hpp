// Running Debian's git, closed off from everything that could make it do more than it is asked:
// configuration of the user's and the system's, hooks, prompts, protocols that start programs.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/child_process.hpp"
#include "solver/source/remote_source.hpp"

namespace lade {

/// Where git may connect to.
enum class GitReach {
  nothing,  ///< works on files only
  files,    ///< repositories on this machine: lade's own
  network,  ///< http, https, git, ssh
};

class GitConfiguration;
class GuardedProxy;

/// A git command with its surroundings. Copy it and change fields for the next one.
class GitCommand {
 public:
  /// `remote` is configured as "origin"; it appears on no command line, since it may hold a
  /// password. `options` and `cancellation` must outlive the command.
  /// `directory` is where it runs (if it has no work tree).
  GitCommand(std::string remote, std::string directory, const RemoteSourceOptions& options,
             std::string known_hosts, const Cancellation& cancellation);

  std::string git_dir;    ///< empty: none
  std::string work_tree;  ///< empty: none
  std::string index_file;
  bool only_known_hosts = false;  ///< no host is trusted that is not in `known_hosts`
  int lock_fd = -1;               ///< kept open by git and all it starts
  GuardedProxy* proxy = nullptr;  ///< that git is to go through; where options have a guard
  bool configure_origin = true;   ///< false: the repository has an origin of its own

  const std::string& remote() const { return remote_; }

  /// Standard output. Throws Error with git's own last words; a failed command is a GitError.
  std::string run(GitReach reach, const std::vector<std::string>& args) const;
  /// The same, nullopt if the command fails.
  std::optional<std::string> try_run(GitReach reach, const std::vector<std::string>& args) const;

 private:
  /// Of a remote that a secret is for. Without a secret git follows them as it usually does.
  enum class Redirects { refused, followed };
  std::vector<std::string> environment(GitReach reach, Redirects redirects) const;
  void authorize(GitConfiguration& config, std::vector<std::string>& env,
                 Redirects redirects) const;
  std::string ssh_command() const;
  std::string ssh_place() const;
  std::string allowed_protocols(GitReach reach) const;
  void add_proxies(GitConfiguration& config, std::vector<std::string>& env) const;
  bool is_guarded() const { return options_->http.guard != nullptr; }
  const std::string& working_directory() const {
    return work_tree.empty() ? directory_ : work_tree;
  }
  std::string authorization() const;
  std::string describe_failure(const std::string& errors) const;

  std::string remote_;
  std::string directory_;
  const RemoteSourceOptions* options_;
  std::string known_hosts_;
  const Cancellation* cancellation_;
};

/// A git command that failed; says what git said.
class GitError : public Error {
 public:
  GitError(const std::string& message, std::string output)
      : Error(message), output_(std::move(output)) {}
  /// All of standard error, for recognising known failures.
  const std::string& output() const { return output_; }

 private:
  std::string output_;
};

}  // namespace lade
