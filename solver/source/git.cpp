#include "solver/source/git.hpp"

#include <map>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "solver/lower/remote.hpp"
#include "solver/source/git_repository.hpp"
#include "solver/source/guarded_proxy.hpp"

namespace lade {
namespace {

constexpr std::string_view kHeads = "refs/heads/";
constexpr std::string_view kTags = "refs/tags/";

std::string without(std::string_view prefix, std::string_view text) {
  return std::string(text.starts_with(prefix) ? text.substr(prefix.size()) : text);
}

/// A source as its op's attributes have it.
struct WantedCommit {
  explicit WantedCommit(const SourceOp& op) {
    remote = op.attrs.at("remote");
    ref = op.attr("ref");
    checksum = op.attr("checksum");
    known_hosts = op.attr("known-hosts");
    fetch_by_commit = op.attr("fetch-by-commit") == "true";
    checkout.subdir = clean_path("/" + op.attr("subdir")).substr(1);
    checkout.keep_git_dir = op.attr("keep-git-dir") == "true";
    checkout.submodules = op.attr("submodules") != "false";
    checkout.commit_times = op.attr("mtime") == "commit";
    checkout.origin = redact_url(remote);
    if (ref.starts_with('-')) throw Error(fmt::format("invalid git ref \"{}\"", ref));
    if (checksum.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
      throw Error(fmt::format("invalid checksum {} for git, expected hex commit hash", checksum));
    }
  }

  std::string remote;
  std::string ref;
  std::string checksum;
  std::string known_hosts;
  bool fetch_by_commit;
  GitCheckout checkout;
};

[[noreturn]] void throw_mismatch(const WantedCommit& wanted, const std::string& got) {
  Error error(fmt::format("expected checksum to match {}, got {}", wanted.checksum, got),
              ErrorKind::corrupt);
  error.set_hint("the repository's commit is not the one that the checksum was made for");
  throw error;
}

void check(const WantedCommit& wanted, const GitCommit& commit) {
  if (commit.object.starts_with(wanted.checksum)) return;
  if (!commit.commit.empty() && commit.commit.starts_with(wanted.checksum)) return;
  throw_mismatch(wanted, commit.object + (commit.commit.empty() ? "" : " or " + commit.commit));
}

/// ref -> object, of `git ls-remote`; "HEAD" may lead to a symbolic ref's name, too.
struct Advertised {
  explicit Advertised(const std::string& output) {
    for (const auto& line : split(output, '\n')) {
      const auto tab = line.find('\t');
      if (tab == std::string::npos) continue;
      if (line.starts_with("ref: ")) {
        head = line.substr(5, tab - 5);
      } else {
        objects[line.substr(tab + 1)] = line.substr(0, tab);
      }
    }
  }
  std::string object(const std::string& ref) const {
    const auto found = objects.find(ref);
    return found == objects.end() ? "" : found->second;
  }
  std::map<std::string, std::string> objects;
  std::string head;
};

class GitSource : public RemoteSource {
 public:
  GitSource(StateDir& state, const RemoteSourceOptions& options, const Cancellation& cancellation)
      : state_(state),
        options_(options),
        cancellation_(cancellation),
        root_(state.root() + "/git") {
    sys::make_dirs(root_, 0700);
    const auto& guard = options.http.guard;
    if (guard && !guard->has_proxies()) proxy_ = std::make_unique<GuardedProxy>(guard);
  }

  Digest resolve(const SourceOp& op, const TransferProgress& progress) override;
  LayerId fetch(const SourceOp& op, const TransferProgress& progress) override;
  std::optional<std::string> pin(const SourceOp& op) override;

 private:
  GitCommand command(const WantedCommit& wanted) const;
  GitCommit ask(const WantedCommit& wanted) const;
  GitCommit ask_default_branch(const WantedCommit& wanted) const;
  GitCommit ask_ref(const WantedCommit& wanted) const;
  LayerId check_out(GitRepository& repository, const WantedCommit& wanted, const GitCommit& commit);

  StateDir& state_;
  const RemoteSourceOptions& options_;
  const Cancellation& cancellation_;
  std::string root_;
  std::unique_ptr<GuardedProxy> proxy_;  // where there is a guard and no proxy of the owner's
  std::mutex mutex_;                     // guards resolved_
  std::map<SourceOp, GitCommit> resolved_;
};

GitCommand GitSource::command(const WantedCommit& wanted) const {
  GitReference reference;
  reference.remote = wanted.remote;
  if (reference.uses_ssh() && !options_.ssh_agents.contains("default")) {
    Error error("git over SSH needs an SSH agent, and the build was given none");
    error.set_hint("pass --ssh default");
    throw error;
  }
  if (wanted.known_hosts.empty()) {
    GitCommand command(wanted.remote, root_, options_, root_ + "/known_hosts", cancellation_);
    command.proxy = proxy_.get();
    return command;
  }
  // No other hosts than these are trusted.
  const std::string hosts =
      fmt::format("{}/known_hosts.{}", root_, Digest::of(wanted.known_hosts).hex().substr(0, 16));
  sys::write_file_atomically(hosts, wanted.known_hosts, 0600);
  GitCommand command(wanted.remote, root_, options_, hosts, cancellation_);
  command.only_known_hosts = true;
  command.proxy = proxy_.get();
  return command;
}

GitCommit GitSource::ask_default_branch(const WantedCommit& wanted) const {
  const Advertised remote(
      command(wanted).run(GitReach::network, {"ls-remote", "--symref", "--", "origin", "HEAD"}));
  const std::string object = remote.object("HEAD");
  if (!is_git_hash(object)) throw Error("the repository has no default branch");
  // A server that does not say which branch it is: the commit then stands for itself.
  return {object, "", remote.head.starts_with(kHeads) ? remote.head : object};
}

GitCommit GitSource::ask_ref(const WantedCommit& wanted) const {
  const std::string& ref = wanted.ref;
  const Advertised remote(
      command(wanted).run(GitReach::network, {"ls-remote", "--", "origin", ref, ref + "^{}"}));
  // Branches win over tags, as with git checkout; what is spelt out wins over both.
  const std::string tag = std::string(kTags) + without(kTags, ref);
  for (const auto& name :
       {"refs/" + without("refs/", ref), std::string(kHeads) + without(kHeads, ref), tag}) {
    const std::string object = remote.object(name);
    if (object.empty()) continue;
    if (!is_git_hash(object)) throw Error(fmt::format("invalid commit sha {}", quoted(object)));
    return {object, name == tag ? remote.object(tag + "^{}") : "", name};
  }
  throw Error(fmt::format("the repository has no branch or tag {}", quoted(ref)),
              ErrorKind::not_found);
}

GitCommit GitSource::ask(const WantedCommit& wanted) const {
  GitCommit commit;
  if (is_git_hash(wanted.ref)) {
    commit = {wanted.ref, "", wanted.ref};
  } else if (wanted.fetch_by_commit) {
    if (!is_git_hash(wanted.checksum)) {
      throw Error("fetch-by-commit requires a full commit hash as checksum or ref");
    }
    const std::string ref = wanted.ref.empty()                ? wanted.checksum
                            : wanted.ref.starts_with("refs/") ? wanted.ref
                                                              : std::string(kHeads) + wanted.ref;
    commit = {wanted.checksum, "", ref};
  } else {
    commit = wanted.ref.empty() ? ask_default_branch(wanted) : ask_ref(wanted);
  }
  check(wanted, commit);
  return commit;
}

Digest GitSource::resolve(const SourceOp& op, const TransferProgress&) {
  const WantedCommit wanted(op);
  const GitCommit commit = ask(wanted);
  {
    const std::lock_guard lock(mutex_);
    resolved_[op] = commit;
  }
  // Where .git is kept, the tag's object and the ref's name are in it; else only the tree counts.
  const bool keep = wanted.checkout.keep_git_dir && wanted.checkout.subdir.empty();
  WireWriter writer;
  writer.text("lade git 1").text(keep || commit.commit.empty() ? commit.object : commit.commit);
  writer.number(keep).text(keep ? commit.ref : "").text(keep ? wanted.checkout.origin : "");
  writer.text(wanted.checkout.subdir).number(wanted.checkout.submodules);
  writer.number(wanted.checkout.commit_times);
  return Digest::of(writer.str());
}

LayerId GitSource::check_out(GitRepository& repository, const WantedCommit& wanted,
                             const GitCommit& commit) {
  repository.fetch(commit.object);
  if (is_git_hash(wanted.ref) && !wanted.checksum.empty()) {
    check(wanted, {commit.object, repository.peel(commit.object), commit.ref});
  }
  PendingLayer layer = state_.layers().prepare();
  std::vector<Entry> entries = repository.check_out(commit, wanted.checkout, layer);
  return state_.layers().commit(std::move(layer), LayerIndex(std::move(entries)));
}

std::optional<std::string> GitSource::pin(const SourceOp& op) {
  const std::lock_guard lock(mutex_);
  const auto resolved = resolved_.find(op);
  if (resolved == resolved_.end()) return std::nullopt;
  const GitCommit& commit = resolved->second;
  return commit.commit.empty() ? commit.object : commit.commit;
}

LayerId GitSource::fetch(const SourceOp& op, const TransferProgress&) {
  const WantedCommit wanted(op);
  std::optional<GitCommit> commit;
  {
    const std::lock_guard lock(mutex_);
    const auto resolved = resolved_.find(op);
    if (resolved != resolved_.end()) commit = resolved->second;
  }
  if (!commit) commit = ask(wanted);
  GitRepository repository = GitRepository::open(root_, wanted.remote, commit->object.size() == 64,
                                                 command(wanted), cancellation_);
  try {
    return check_out(repository, wanted, *commit);
  } catch (const GitError&) {
    // A repository that lost something (a disk that was full, a machine that went down) is made
    // anew; one that has just been made is not to blame.
    if (!repository.existed()) throw;
    repository.reset();
    return check_out(repository, wanted, *commit);
  }
}

}  // namespace

std::unique_ptr<RemoteSource> make_git_source(StateDir& state, const RemoteSourceOptions& options,
                                              const Cancellation& cancellation) {
  return std::make_unique<GitSource>(state, options, cancellation);
}

}  // namespace lade
