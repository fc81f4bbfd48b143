// Build checks: what may be wrong with a Dockerfile that builds. They have the names, conditions,
// messages and pages of BuildKit's linter (v0.32), so that what is said about those holds here.
//
// A build makes one Linter, hands it to parse() and lower() and prints what it collected. Which
// checks run is for `# check=...` at the top of the file to say, or for the build argument
// BUILDKIT_DOCKERFILE_CHECK in its place; such a comment right above an instruction holds for that
// instruction only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/source_range.hpp"

namespace lade::parser {

/// One check. Experimental ones run only where they are asked for.
struct LintRule {
  std::string_view name;
  std::string_view description;
  std::string_view url;  ///< may be empty
  bool experimental = false;
};

namespace rules {
extern const LintRule kStageNameCasing;
extern const LintRule kFromAsCasing;
extern const LintRule kNoEmptyContinuation;
extern const LintRule kConsistentInstructionCasing;
extern const LintRule kDuplicateStageName;
extern const LintRule kReservedStageName;
extern const LintRule kJsonArgsRecommended;
extern const LintRule kMaintainerDeprecated;
extern const LintRule kUndefinedArgInFrom;
extern const LintRule kWorkdirRelativePath;
extern const LintRule kUndefinedVar;
extern const LintRule kMultipleInstructionsDisallowed;
extern const LintRule kLegacyKeyValueFormat;
extern const LintRule kInvalidBaseImagePlatform;
extern const LintRule kRedundantTargetPlatform;
extern const LintRule kSecretsUsedInArgOrEnv;
extern const LintRule kInvalidDefaultArgInFrom;
extern const LintRule kFromPlatformFlagConstDisallowed;
extern const LintRule kCopyIgnoredFile;
extern const LintRule kInvalidDefinitionDescription;
extern const LintRule kExposeProtoCasing;
extern const LintRule kExposeInvalidFormat;
}  // namespace rules

/// Something that works but should not be relied on.
struct Warning {
  const LintRule* rule = nullptr;
  std::string message;
  SourceRange range;
};

/// Which checks run, and whether what they find ends the build.
struct LintConfig {
  bool skip_all = false;
  std::set<std::string, std::less<>> skip;
  bool experimental_all = false;
  std::set<std::string, std::less<>> experimental;
  bool error = false;

  bool enabled(const LintRule& rule) const;
};

/// "skip=RuleA,RuleB;error=true;experimental=all". Throws Error naming the option that is wrong.
LintConfig parse_lint_config(std::string_view text);

/// What holds for a file: `build_arg` (the value of BUILDKIT_DOCKERFILE_CHECK) in place of the
/// file's own directive. Throws Error, with the directive's range if that is at fault.
LintConfig lint_config(const std::shared_ptr<const SourceFile>& file,
                       const std::optional<std::string>& build_arg);

/// Collects warnings in the order in which they are found.
class Linter {
 public:
  explicit Linter(LintConfig config = {}) : config_(std::move(config)) {}

  void report(const LintRule& rule, const SourceRange& range, std::string message);
  const std::vector<Warning>& warnings() const { return warnings_; }
  /// With error=true, throws Error naming the rules that were violated.
  void throw_if_error() const;

 private:
  friend class InstructionLint;
  void report(const LintConfig& config, const LintRule& rule, const SourceRange& range,
              std::string message);

  LintConfig config_;
  std::vector<Warning> warnings_;
};

/// The linter as one instruction sees it. Refers to the Linter; without one it drops everything.
class InstructionLint {
 public:
  InstructionLint() = default;
  /// `comments` are those right above the instruction.
  InstructionLint(Linter* linter, const std::vector<std::string>& comments);

  void report(const LintRule& rule, const SourceRange& range, std::string message) const;
  explicit operator bool() const { return linter_ != nullptr; }

 private:
  Linter* linter_ = nullptr;
  std::optional<LintConfig> config_;  // if the comments say something
};

/// The candidate at most two changes away from `word`, as BuildKit suggests it; empty if there is
/// none, or if `word` is itself a candidate.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace lade::parser
