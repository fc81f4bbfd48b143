#include "solver/source/git_command.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/shown_text.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "solver/lower/remote.hpp"
#include "solver/source/guarded_proxy.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxOutput = 16u << 20;

/// The remote's scope for a token: as BuildKit (and GitHub's checkout), all of github.com.
std::string token_scope(const std::string& remote) {
  for (const char* prefix : {"https://github.com/", "https://www.github.com/"}) {
    if (remote.starts_with(prefix)) return prefix;
  }
  return remote;
}

/// What git says of a redirect that it may not follow.
bool met_redirect(const std::string& errors) {
  constexpr std::string_view kSaid = "requested URL returned error: 30";
  return errors.find(kSaid) != std::string::npos;
}

/// {user, password} of "basic BASE64" (RFC 7617); nullopt of any other authorization.
std::optional<std::pair<std::string, std::string>> basic_credentials(const std::string& header) {
  const size_t space = header.find(' ');
  if (space == std::string::npos || to_lower(header.substr(0, space)) != "basic") {
    return std::nullopt;
  }
  const auto text = from_base64(trim(header.substr(space)));
  if (!text) return std::nullopt;
  const size_t colon = text->find(':');
  if (colon == std::string::npos ||
      text->find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos) {
    return std::nullopt;
  }
  return std::pair(text->substr(0, colon), text->substr(colon + 1));
}

}  // namespace

/// Options given by environment variables, which no other user can see.
class GitConfiguration {
 public:
  void set(const std::string& key, const std::string& value) {
    variables_.push_back(fmt::format("GIT_CONFIG_KEY_{}={}", count_, key));
    variables_.push_back(fmt::format("GIT_CONFIG_VALUE_{}={}", count_, value));
    ++count_;
  }
  void add_to(std::vector<std::string>& env) const {
    env.push_back(fmt::format("GIT_CONFIG_COUNT={}", count_));
    env.insert(env.end(), variables_.begin(), variables_.end());
  }

 private:
  std::vector<std::string> variables_;
  int count_ = 0;
};

GitCommand::GitCommand(std::string remote, std::string directory,
                       const RemoteSourceOptions& options, std::string known_hosts,
                       const Cancellation& cancellation)
    : remote_(std::move(remote)),
      directory_(std::move(directory)),
      options_(&options),
      known_hosts_(std::move(known_hosts)),
      cancellation_(&cancellation) {}

/// Keys come from the agent that the build was given, never from the user's files. A host is
/// trusted at first sight, then held to its key; the user's own known hosts count, too.
std::string GitCommand::ssh_command() const {
  std::string hosts = "\"" + known_hosts_ + "\"";
  if (const auto home = sys::getenv("HOME"); home.starts_with('/') && !only_known_hosts) {
    hosts += " \"" + home + "/.ssh/known_hosts\"";
  }
  std::string quoted_hosts;
  for (const char c : hosts) quoted_hosts += c == '\'' ? "'\\''" : std::string(1, c);
  return std::string("ssh -F /dev/null -o BatchMode=yes -o IdentityFile=none ") + ssh_place() +
         // A connection that has died ends, also where nobody waits for it any more.
         "-o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=4 " +
         "-o StrictHostKeyChecking=" +
         (only_known_hosts ? "yes -o GlobalKnownHostsFile=/dev/null" : "accept-new") +
         " -o UserKnownHostsFile='" + quoted_hosts + "'";
}

/// Under a guard: the address that the remote's name leads to, found here, so that ssh cannot come
/// to another. Whatever ssh is asked for then (submodules), it asks there.
std::string GitCommand::ssh_place() const {
  GitReference reference;
  reference.remote = remote_;
  if (!is_guarded() || !reference.uses_ssh()) return {};
  std::string host;
  std::string alias;
  if (const auto parts = parse_url(remote_)) {
    host = parts->host_name();
    // As known_hosts(5) has it.
    const auto port = parts->host.substr(parts->host.rfind(':') + 1);
    const bool has_port = !parts->host.ends_with(']') && port != parts->host && port != "22";
    alias = has_port ? fmt::format("[{}]:{}", host, port) : host;
  } else {
    host = remote_.substr(0, remote_.find(':'));
    host.erase(0, host.find('@') + 1);
    alias = host;
  }
  const std::string address = allowed_address(*options_->http.guard, host);
  const bool plain = alias.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") ==
                     std::string::npos;
  if (!plain) throw Error("the host " + quoted(host) + " is not one that ssh can be told of");
  return fmt::format("-o HostName={} -o HostKeyAlias='{}' ", address, alias);
}

/// Also for submodules: no "ext::", no repositories of this machine. Under a guard, only what can
/// be guarded.
std::string GitCommand::allowed_protocols(GitReach reach) const {
  if (reach == GitReach::nothing) return "none";
  if (reach == GitReach::files) return "file";
  if (!is_guarded()) return "http:https:git:ssh";
  GitReference reference;
  reference.remote = remote_;
  return reference.uses_ssh() ? "http:https:ssh" : "http:https";
}

void GitCommand::add_proxies(GitConfiguration& config, std::vector<std::string>& env) const {
  if (proxy) return config.set("http.proxy", proxy->url());
  for (const char* name : {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy",
                           "https_proxy", "no_proxy", "all_proxy"}) {
    // Under a guard a proxy of the environment is what decides, for all hosts.
    if (is_guarded() && to_lower(name) == "no_proxy") continue;
    if (const auto value = sys::getenv(name); !value.empty()) {
      env.push_back(std::string(name) + "=" + value);
    }
  }
}

std::string GitCommand::authorization() const {
  const auto parts = parse_url(remote_);
  if (!parts) return {};
  for (const auto& suffix : {"." + parts->host, std::string()}) {
    for (const bool token : {false, true}) {
      const auto secret =
          options_->secrets.find((token ? "GIT_AUTH_TOKEN" : "GIT_AUTH_HEADER") + suffix);
      if (secret == options_->secrets.end()) continue;
      const std::string value(trim(secret->second));
      return token ? "basic " + base64("x-access-token:" + value) : value;
    }
  }
  return {};
}

/// git puts an extra header into every request of a command whose URL it was configured for, also
/// into those that it sends to another server after a redirect: so with the header it may follow
/// none. Credentials, in contrast, it looks up by the server that asks. They are the second way,
/// not the first, because a server may hide a private repository from whoever does not say who they
/// are.
void GitCommand::authorize(GitConfiguration& config, std::vector<std::string>& env,
                           Redirects redirects) const {
  const std::string header = authorization();
  if (header.empty()) return;
  if (redirects == Redirects::refused) {
    const std::string scope = "http." + token_scope(remote_);
    config.set(scope + ".extraheader", "Authorization: " + header);
    config.set(scope + ".followRedirects", "false");
    return;
  }
  const auto basic = basic_credentials(header);
  const auto parts = parse_url(remote_);
  if (!basic || !parts) return;
  env.push_back("LADE_GIT_USER=" + basic->first);
  env.push_back("LADE_GIT_PASSWORD=" + basic->second);
  config.set(
      fmt::format("credential.{}://{}.helper", parts->scheme, parts->host),
      R"(!f() { printf 'username=%s\npassword=%s\n' "$LADE_GIT_USER" "$LADE_GIT_PASSWORD"; }; f)");
}

std::vector<std::string> GitCommand::environment(GitReach reach, Redirects redirects) const {
  std::vector<std::string> env = {"PATH=" + sys::getenv("PATH"),
                                  "LC_ALL=C",
                                  "HOME=/dev/null",
                                  "GIT_CONFIG_NOSYSTEM=1",
                                  "GIT_CONFIG_GLOBAL=/dev/null",
                                  "GIT_ATTR_NOSYSTEM=1",
                                  "GIT_TERMINAL_PROMPT=0",
                                  "GIT_TEMPLATE_DIR=",
                                  "GIT_HTTP_LOW_SPEED_LIMIT=100",
                                  "GIT_HTTP_LOW_SPEED_TIME=60",
                                  "GIT_SSH_VARIANT=ssh"};
  if (reach == GitReach::network) env.push_back("GIT_SSH_COMMAND=" + ssh_command());
  // A repository is where lade says, never one that happens to be around.
  env.push_back("GIT_CEILING_DIRECTORIES=" + dir_name(working_directory()));
  env.push_back("GIT_ALLOW_PROTOCOL=" + allowed_protocols(reach));
  if (const auto agent = options_->ssh_agents.find("default");
      agent != options_->ssh_agents.end()) {
    env.push_back("SSH_AUTH_SOCK=" + agent->second);
  }
  if (!git_dir.empty()) env.push_back("GIT_DIR=" + git_dir);
  if (!work_tree.empty()) env.push_back("GIT_WORK_TREE=" + work_tree);
  if (!index_file.empty()) env.push_back("GIT_INDEX_FILE=" + index_file);
  GitConfiguration config;
  add_proxies(config, env);
  config.set("core.hooksPath", "/dev/null");
  config.set("core.fsmonitor", "false");
  config.set("gc.auto", "0");
  config.set("maintenance.auto", "false");
  config.set("advice.detachedHead", "false");
  config.set("init.defaultBranch", "master");
  config.set("safe.directory",
             "*");  // lade's own; another user's state directory is refused before
  if (configure_origin) config.set("remote.origin.url", remote_);
  authorize(config, env, redirects);
  config.add_to(env);
  return env;
}

/// What git says of its progress, and ssh of a host that it meets for the first time.
bool is_chatter(std::string_view line) {
  constexpr std::string_view kBeginnings[] = {"remote: Enumerating ",
                                              "remote: Counting ",
                                              "remote: Compressing ",
                                              "remote: Total ",
                                              "Receiving objects:",
                                              "Resolving deltas:",
                                              "From ",
                                              "hint:",
                                              "warning: redirecting to ",
                                              "Cloning into ",
                                              "Warning: Permanently added "};
  return std::any_of(std::begin(kBeginnings), std::end(kBeginnings),
                     [&](std::string_view beginning) { return line.starts_with(beginning); });
}

/// All that git said: its reason may stand before or after the line that begins with "fatal:" (what
/// ssh says, what to do about it). Without the terminal's control characters and without passwords.
std::string GitCommand::describe_failure(const std::string& errors) const {
  std::string reason;
  for (const auto& line : split(errors, '\n')) {
    const std::string_view text = trim(line);
    if (text.empty() || is_chatter(text)) continue;
    if (!reason.empty()) reason += "; ";
    reason += text;
  }
  const std::string shown = redact_url(remote_);
  for (size_t at = reason.find(remote_); shown != remote_ && at != std::string::npos;
       at = reason.find(remote_)) {
    reason.replace(at, remote_.size(), shown);
  }
  constexpr size_t kLongEnough = 1000;
  return quoted(elided(reason, kLongEnough));
}

std::string GitCommand::run(GitReach reach, const std::vector<std::string>& args) const {
  if (reach == GitReach::network && options_->http.offline) {
    throw Error(quoted(remote_) + " would have to be asked, but lade is offline",
                ErrorKind::unavailable);
  }
  if (reach == GitReach::network && is_guarded() && remote_.starts_with("git://")) {
    Error error(quoted(remote_) + ": where connections are guarded, git:// is not used");
    error.set_hint("use https:// or ssh://");
    throw error;
  }
  ProcessSpec spec;
  spec.args = {"git"};
  spec.args.insert(spec.args.end(), args.begin(), args.end());
  spec.env = environment(reach, Redirects::refused);
  spec.directory = working_directory();
  spec.keep_fd = lock_fd;
  spec.max_output = kMaxOutput;
  ProcessResult result = run_process(spec, *cancellation_);
  if (result.exit_code != 0 && met_redirect(result.errors)) {
    spec.env = environment(reach, Redirects::followed);
    result = run_process(spec, *cancellation_);
  }
  const std::string refusal = proxy ? proxy->take_refusal() : "";
  if (result.exit_code == 0) return result.output;
  if (!refusal.empty()) throw Error(refusal);
  throw GitError(fmt::format("git {} failed: {}", args.front(), describe_failure(result.errors)),
                 result.errors);
}

std::optional<std::string> GitCommand::try_run(GitReach reach,
                                               const std::vector<std::string>& args) const {
  try {
    return run(reach, args);
  } catch (const GitError&) {
    return std::nullopt;
  }
}

}  // namespace lade
