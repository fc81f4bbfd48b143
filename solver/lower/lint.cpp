#include "solver/lower/lint.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade::lowering {
namespace {

constexpr std::array kSecretWords{"apikey",   "auth",  "credential", "credentials", "key",
                                  "password", "pword", "passwd",     "secret",      "token"};
constexpr std::array kPublicWords{"public", "file", "version"};

template <size_t count>
bool has_word(const std::string& name, const std::array<const char*, count>& words) {
  for (const auto& part : split(to_lower(name), '_')) {
    if (std::find(words.begin(), words.end(), part) != words.end()) return true;
  }
  return false;
}

bool is_image_name(const std::string& text) {
  try {
    Reference::parse(text);
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// The patterns that leave nothing of the context.
bool excludes_root(const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [](const std::string& pattern) {
    return pattern == "*" || pattern == "**" || pattern == "**/*";
  });
}

parser::InstructionLint lint_of(const LowerState& state, const parser::Stage& stage) {
  return {state.options.linter, stage.origin.comments};
}

}  // namespace

void lint_begin(LowerState& state, const StageCommand& command) {
  state.lint = {state.options.linter, command.command.origin.comments};
  state.command_range = command.command.origin.range;
}

void lint_default_bases(const LowerState& state) {
  if (!state.options.linter) return;
  EnvList args = state.global_args;
  const auto expand_default = [&](const std::string& word) {
    return parser::process_word(word, args.environment(), state.expansion()).text;
  };
  try {
    for (const auto& meta : state.file.meta_args) {
      for (const auto& arg : meta.arg.arguments) {
        if (arg.value) args.set(arg.name, expand_default(*arg.value));
      }
    }
    for (const auto& stage : state.file.stages) {
      if (is_image_name(expand_default(stage.from.image))) continue;
      state.options.linter->report(
          parser::rules::kInvalidDefaultArgInFrom, stage.origin.range,
          fmt::format("Default value for ARG {} results in empty or invalid base image name",
                      stage.from.image));
    }
  } catch (const Error&) {
    // What cannot be expanded without build arguments may well be with them.
  }
}

void lint_from_word(const LowerState& state, const parser::Stage& stage,
                    const parser::Expansion& expansion) {
  if (!state.options.linter || expansion.unset.empty()) return;
  std::vector<std::string> known = state.global_args.names();
  for (const auto& meta : state.file.meta_args) {
    for (const auto& arg : meta.arg.arguments) known.push_back(arg.name);
  }
  for (const auto& name : expansion.unset) {
    // Declared without a value is declared.
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::string message = fmt::format("FROM argument '{}' is not declared", name);
    if (const auto meant = parser::suggestion(name, known); !meant.empty()) {
      message += fmt::format(" (did you mean {}?)", meant);
    }
    lint_of(state, stage)
        .report(parser::rules::kUndefinedArgInFrom, stage.origin.range, std::move(message));
  }
}

void lint_from_platform(const LowerState& state, const parser::Stage& stage,
                        const parser::Expansion& expansion) {
  if (!state.options.linter) return;
  const auto lint = lint_of(state, stage);
  const auto& range = stage.origin.range;
  if (expansion.unset.empty() && expansion.used == std::set<std::string>{"TARGETPLATFORM"} &&
      expansion.text == state.global_args.get("TARGETPLATFORM")) {
    lint.report(
        parser::rules::kRedundantTargetPlatform, range,
        fmt::format("Setting platform to predefined {} in FROM is redundant as this is the default "
                    "behavior",
                    stage.from.platform));
  }
  if (!expansion.unset.empty() || !expansion.used.empty()) return;
  Platform platform;
  try {
    platform = Platform::parse(expansion.text);
  } catch (const Error&) {
    return;  // an error of its own, later
  }
  // A stage that says so in its name means it.
  const auto& name = stage.from.name;
  if (name.find(platform.os) != std::string::npos ||
      name.find(platform.architecture) != std::string::npos) {
    return;
  }
  lint.report(parser::rules::kFromPlatformFlagConstDisallowed, range,
              fmt::format("FROM --platform flag should not use constant value {}",
                          go_quote(expansion.text)));
}

void lint_base_platform(const LowerState& state, const StageState& stage, const Platform& actual) {
  if (!state.options.linter) return;
  const Platform& expected = *stage.platform;
  if (expected.os == actual.os && expected.architecture == actual.architecture) return;
  state.options.linter->report(
      parser::rules::kInvalidBaseImagePlatform, stage.range,
      fmt::format("Base image {} was pulled with platform {}, expected {} for current build",
                  stage.base_name, go_quote(actual.str()), go_quote(expected.str())));
}

void lint_unset(const LowerState& state, const StageState& stage,
                const std::set<std::string>& unset) {
  if (!state.lint) return;
  for (const auto& name : unset) {
    if (name == "BUILDKIT_SBOM_SCAN_CONTEXT" || name == "BUILDKIT_SBOM_SCAN_STAGE") continue;
    // Declared without a value is declared.
    if (stage.build_args.has(name)) continue;
    std::string message = fmt::format("Usage of undefined variable '${}'", name);
    if (const auto meant = parser::suggestion(name, stage.env.names()); !meant.empty()) {
      message += fmt::format(" (did you mean ${}?)", meant);
    }
    state.lint.report(parser::rules::kUndefinedVar, state.command_range, std::move(message));
  }
}

void lint_secret_name(const LowerState& state, std::string_view instruction,
                      const std::string& name) {
  if (!has_word(name, kSecretWords) || has_word(name, kPublicWords)) return;
  state.lint.report(parser::rules::kSecretsUsedInArgOrEnv, state.command_range,
                    fmt::format("Do not use ARG or ENV instructions for sensitive data ({} {})",
                                instruction, go_quote(name)));
}

void lint_old_form(const LowerState& state, const StageCommand& command,
                   const std::vector<parser::KeyValue>& values) {
  const auto& keyword = command.command.origin.keyword;
  for (const auto& value : values) {
    if (!value.old_form) continue;
    state.lint.report(
        parser::rules::kLegacyKeyValueFormat, state.command_range,
        fmt::format("\"{0} key=value\" should be used instead of legacy \"{0} key value\" format",
                    keyword));
  }
}

void lint_once(const LowerState& state, const StageCommand& command,
               std::optional<SourceRange>& last) {
  if (last) {
    state.lint.report(
        parser::rules::kMultipleInstructionsDisallowed, *last,
        fmt::format("Multiple {} instructions should not be used in the same stage because only "
                    "the last one will be used",
                    command.command.origin.keyword));
  }
  last = command.command.origin.range;
}

void lint_shell_form(const LowerState& state, const StageState& stage, const StageCommand& command,
                     const parser::CommandLine& line) {
  const auto& shell = stage.image.config.shell;
  if (line.exec_form || (shell && !shell->empty())) return;
  state.lint.report(parser::rules::kJsonArgsRecommended, state.command_range,
                    fmt::format("JSON arguments recommended for {} to prevent unintended behavior "
                                "related to OS signals",
                                command.command.origin.keyword));
}

void lint_workdir(const LowerState& state, StageState& stage, const std::string& path) {
  // All that follow are as right as the first.
  if (!std::exchange(stage.workdir_set, true) && !path.starts_with('/')) {
    state.lint.report(
        parser::rules::kWorkdirRelativePath, state.command_range,
        fmt::format("Relative workdir {} can have unexpected results if the base image changes",
                    go_quote(path)));
  }
}

void lint_port(const LowerState& state, const std::string& port) {
  const auto parts = split(port, ':');
  const std::string& container = parts.back();
  const auto slash = container.find('/');
  if (slash != std::string::npos && to_lower(container) != container) {
    state.lint.report(
        parser::rules::kExposeProtoCasing, state.command_range,
        fmt::format("Defined protocol '{}' in EXPOSE instruction should be lowercase", port));
  }
  // [address:]host port:container port; of what an address with colons of its own consists does not
  // matter.
  const bool mapped = std::any_of(parts.begin(), parts.end() - 1,
                                  [](const std::string& part) { return !part.empty(); });
  if (mapped || parts.size() > 3) {
    state.lint.report(
        parser::rules::kExposeInvalidFormat, state.command_range,
        fmt::format("EXPOSE instruction should not define an IP address or host-port mapping, "
                    "found '{}'",
                    port));
  }
}

void lint_context_source(LowerState& state, std::string_view verb, const std::string& source) {
  if (!state.lint) return;
  const auto& patterns = state.options.ignore_patterns;
  if (!state.ignored) state.ignored = PatternMatcher(patterns);
  // What "!" takes back below an excluded directory cannot be told from the patterns.
  if (state.ignored->empty() || state.ignored->has_exceptions()) return;
  const std::string path = clean_path(source);
  bool excluded = excludes_root(patterns) && (path == "." || path.starts_with('/'));
  if (path != "." && path != "/") excluded = excluded || state.ignored->matches(path);
  if (!excluded) return;
  state.lint.report(parser::rules::kCopyIgnoredFile, state.command_range,
                    fmt::format("Attempting to {} file {} that is excluded by .dockerignore", verb,
                                go_quote(path)));
}

}  // namespace lade::lowering
