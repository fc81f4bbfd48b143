// The checks (parser/lint.hpp) that need to know variables, base images or .dockerignore: small
// functions called where lowering knows what they ask about. All of them do nothing without a
// Linter. Included by this folder only.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "parser/expansion.hpp"
#include "solver/lower/stage.hpp"

namespace lade::lowering {

/// From here on, `command` is the instruction at hand.
void lint_begin(LowerState& state, const StageCommand& command);

/// InvalidDefaultArgInFrom. To be called while the global variables have their automatic values
/// only.
void lint_default_bases(const LowerState& state);
/// UndefinedArgInFrom in one word of a FROM.
void lint_from_word(const LowerState& state, const parser::Stage& stage,
                    const parser::Expansion& expansion);
/// RedundantTargetPlatform, FromPlatformFlagConstDisallowed.
void lint_from_platform(const LowerState& state, const parser::Stage& stage,
                        const parser::Expansion& expansion);
/// InvalidBaseImagePlatform: `actual` is what the image says of itself.
void lint_base_platform(const LowerState& state, const StageState& stage, const Platform& actual);

// About the instruction at hand.

/// UndefinedVar: `unset` are variables that it used.
void lint_unset(const LowerState& state, const StageState& stage,
                const std::set<std::string>& unset);
/// SecretsUsedInArgOrEnv.
void lint_secret_name(const LowerState& state, std::string_view instruction,
                      const std::string& name);
/// LegacyKeyValueFormat.
void lint_old_form(const LowerState& state, const StageCommand& command,
                   const std::vector<parser::KeyValue>& values);
/// MultipleInstructionsDisallowed: `last` is where the stage had this instruction before, and is
/// set to this one.
void lint_once(const LowerState& state, const StageCommand& command,
               std::optional<SourceRange>& last);
/// JSONArgsRecommended.
void lint_shell_form(const LowerState& state, const StageState& stage, const StageCommand& command,
                     const parser::CommandLine& line);
/// WorkdirRelativePath; `path` is expanded.
void lint_workdir(const LowerState& state, StageState& stage, const std::string& path);
/// ExposeProtoCasing, ExposeInvalidFormat; `port` is expanded.
void lint_port(const LowerState& state, const std::string& port);
/// CopyIgnoredFile: a source in the build context, expanded; `verb` is "Copy" or "Add".
void lint_context_source(LowerState& state, std::string_view verb, const std::string& source);

}  // namespace lade::lowering
