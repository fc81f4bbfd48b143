// The bare repository in the state directory that commits of one remote are fetched into, and
// checking them out of it.
//
//   STATE/git/ID        the repository; each fetched object has a ref refs/lade/HASH
//   STATE/git/ID.lock   locked while a process uses it
#pragma once

#include <optional>
#include <string>

#include "snapshotter/layers/layer_store.hpp"
#include "solver/source/git_command.hpp"

namespace lade {

/// What a git source stands for, once the remote was asked.
struct GitCommit {
  std::string object;  ///< hash of a commit, or of an annotated tag
  std::string commit;  ///< of the commit, where `object` is known to be a tag; else empty
  std::string ref;     ///< "refs/heads/main", "refs/tags/v1", or `object`
};

struct GitCheckout {
  std::string subdir;  ///< relative and clean; empty: all
  bool keep_git_dir = false;
  bool submodules = true;
  bool commit_times = false;
  std::string origin;  ///< the remote as the kept .git names it
};

/// Whether `text` is a full SHA-1 or SHA-256 object name.
bool is_git_hash(const std::string& text);

class GitRepository {
 public:
  /// Waits for the lock, makes the repository if it is not there. `command` knows the remote.
  static GitRepository open(const std::string& git_root, const std::string& remote, bool sha256,
                            GitCommand command, const Cancellation& cancellation);

  /// Whether it was there before.
  bool existed() const { return existed_; }
  /// Starts afresh.
  void reset();
  /// Gets `object`, its history cut off where the remote can do that.
  void fetch(const std::string& object);
  /// The commit that `object` is, or that a tag leads to.
  std::string peel(const std::string& object) const;
  /// Seconds since 1970.
  int64_t commit_time(const std::string& object) const;

  /// Writes the tree of a fetched commit below layer.path(), nothing else. Returns its entries.
  std::vector<Entry> check_out(const GitCommit& commit, const GitCheckout& checkout,
                               const PendingLayer& layer) const;

 private:
  GitRepository(GitCommand command, UniqueFd lock, std::string path, bool sha256)
      : command_(std::move(command)),
        lock_(std::move(lock)),
        path_(std::move(path)),
        sha256_(sha256) {}

  void init();
  bool has(const std::string& object) const;
  void fetch_all(const std::string& object);
  GitCommand bare() const;
  void init_checkout(GitCommand& git, const std::string& origin) const;
  void check_out_tree(const GitCommit& commit, GitCommand git, const std::string& origin) const;
  void check_out_clone(const GitCommit& commit, GitCommand git, const std::string& origin) const;
  static void update_submodules(const GitCommand& git);

  GitCommand command_;
  UniqueFd lock_;
  std::string path_;
  bool sha256_;
  bool existed_ = false;
};

}  // namespace lade
