// The git source: the tree of one commit of a remote repository, as a layer.
//
// Ops: "git://HOST/PATH" (for people), with the attributes
//   remote           the URL, or "user@host:path"
//   ref              branch, tag, "refs/..." or commit; absent: the default branch
//   subdir           only this directory, whose contents become the root
//   checksum         a prefix of what the commit (or an annotated tag's object) must be
//   keep-git-dir     "true": with .git (without `subdir` only)
//   submodules       "false": without them
//   mtime            "commit": all times are the commit's, else the checkout's
//   fetch-by-commit  "true": `checksum` is the commit; `ref` is not asked for
//   known-hosts      SSH hosts and their keys, as known_hosts(5) has them: no others are trusted
//
// Each remote has a bare repository in the state directory, STATE/git/ID, which fetched commits
// stay in. Debian's git does the work, told to ignore all configuration of the user's and the
// system's, to run no hooks, and to speak HTTP, HTTPS, git and SSH only.
#pragma once

#include <memory>

#include "base/child_process.hpp"
#include "snapshotter/state.hpp"
#include "solver/source/remote_source.hpp"

namespace lade {

/// What is passed must outlive the source. Throws nothing: git is looked for when it is needed.
std::unique_ptr<RemoteSource> make_git_source(StateDir& state, const RemoteSourceOptions& options,
                                              const Cancellation& cancellation);

}  // namespace lade
