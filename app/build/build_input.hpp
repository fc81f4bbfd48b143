// What a build reads before it starts: the Dockerfile and .dockerignore, here those of a directory
// of the user's (others: app/build/remote_input.hpp).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/build/build_options.hpp"
#include "base/source_range.hpp"
#include "parser/lint.hpp"
#include "snapshotter/layers/layer_store.hpp"

namespace lade {

/// Of a policy's file: what comes after the Dockerfile's name.
inline constexpr const char* kPolicySuffix = ".rego";

/// What a context leaves out.
struct IgnoreRules {
  std::vector<std::string> patterns;
  std::vector<int> lines;  ///< where each of them is in the file
  std::string file;        ///< its name; empty if there is none
};

struct BuildInput {
  std::shared_ptr<const SourceFile> dockerfile;
  std::string context;                             ///< absolute
  std::string context_name = "the build context";  ///< in messages
  IgnoreRules ignore;
  std::string policy;  ///< the file beside the Dockerfile that buildx would evaluate; empty: none

  // Of a context that is no directory of the user's:
  std::optional<ContextSource> source;
  std::shared_ptr<PendingLayer> spool;  ///< what was on standard input; `context` is its directory
  std::string context_cache;            ///< where digests of `spool` are kept
  std::optional<int64_t> source_date_epoch;  ///< of SOURCE_DATE_EPOCH=context
};

/// Reads the Dockerfile, unless it is given, and what is to be ignored. Throws Error naming the
/// file.
BuildInput read_build_input(const BuildRequest& request,
                            std::shared_ptr<const SourceFile> dockerfile = nullptr);

/// A Dockerfile of this machine.
std::shared_ptr<const SourceFile> read_local_dockerfile(const std::string& path);

/// What .dockerignore in `directory` says; nothing if there is none. Throws Error.
IgnoreRules read_ignore_rules(const std::string& directory);

/// Which build checks run, and how strictly. Throws Error.
parser::LintConfig read_lint_config(const BuildRequest& request, const BuildInput& input);

}  // namespace lade
