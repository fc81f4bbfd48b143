// Inside of lowering: the state of one stage while its instructions are gone through. Included by
// this folder only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/pattern.hpp"
#include "parser/ast.hpp"
#include "parser/expansion.hpp"
#include "parser/lint.hpp"
#include "solver/lower/options.hpp"
#include "solver/lower/outline.hpp"

namespace lade::lowering {

/// Variables in the order they were (last) set.
class EnvList {
 public:
  void set(std::string_view name, std::string value);
  void unset(std::string_view name);
  std::optional<std::string> get(std::string_view name) const;
  /// "K=V", which belongs to the list until its next set(); null: not set.
  const std::string* assignment(std::string_view name) const;
  std::vector<std::string> assignments() const;  ///< "K=V"
  std::vector<std::string> names() const;
  parser::Environment environment() const;  ///< refers to this list

 private:
  void compact();
  struct Variable {
    std::string text;  ///< "K=V"; empty: it was set again, further on
    size_t name_length = 0;
  };
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::vector<Variable> variables_;
  std::unordered_map<std::string, size_t, Hash, std::equal_to<>> positions_;
};

struct BuildArg {
  std::string name;
  std::optional<std::string> value;
};

/// The build arguments in force, in the order of their first ARG.
class ArgList {
 public:
  void set(std::string_view name, std::optional<std::string> value);
  bool has(std::string_view name) const;
  const std::vector<BuildArg>& all() const { return args_; }

 private:
  std::vector<BuildArg> args_;
};

struct StageState;

/// An instruction to go through, with the stages or images its COPY --from and mounts read (by the
/// order of appearance; null: the build context or nothing).
struct StageCommand {
  parser::Command command;
  std::vector<StageState*> sources;
  bool from_onbuild = false;
};

/// A named context as the command line has it; both empty: none.
struct NamedContext {
  std::string name;
  std::string value;
};

/// A stage of the Dockerfile, or an image or context that is only copied from.
struct StageState {
  const parser::Stage* stage = nullptr;  ///< null for what is only copied from
  SourceRange range;
  std::string name;       ///< lower case; empty if it has none
  std::string label;      ///< in progress: the name, "stage-2", or empty
  std::string base_name;  ///< expanded
  NamedContext context;   ///< what takes its place
  std::optional<Platform> platform;
  std::string name_prefix;     ///< of steps' names: "linux/amd64->arm64 " if platforms are named
  StageState* base = nullptr;  ///< the stage it is FROM
  int heirs = 0;               ///< who still needs its history and variables: stages, the result
  std::vector<StageCommand> commands;
  std::vector<std::pair<StageState*, SourceRange>> deps;  ///< with the instruction that reads it

  bool reachable = false;
  bool resolved = false;  ///< its base image is known
  bool triggers_done = false;
  bool dispatched = false;

  std::optional<Edge> root;
  std::optional<Edge>
      local;  ///< of a directory context: what COPY --from reads, without the copy at `root`
  ImageConfig image;
  EnvList env;
  ArgList build_args;
  std::string user;
  // Where this very stage has its last one.
  std::optional<SourceRange> cmd;
  std::optional<SourceRange> entrypoint;
  std::optional<SourceRange> healthcheck;
  bool workdir_set = false;  ///< in this file, not by the base image
  OutlineCapture outline;
  int steps_total = 0;
  int step = 0;
};

/// What all stages of one lowering share.
struct LowerState {
  const parser::Dockerfile& file;
  LowerOptions options;
  ImageResolver& resolver;
  Platform target_platform;
  EnvList global_args;
  std::optional<int64_t> epoch;
  std::vector<std::unique_ptr<StageState>> stages;
  std::map<std::string, StageState*> by_name;
  Definition definition;
  std::map<std::string, Edge> locals;  ///< local sources made so far, by context name
  std::map<std::pair<std::string, std::string>, Edge> images;  ///< by identifier and platform
  std::optional<Edge> scratch;
  std::optional<Edge> remote_context;  ///< the main context if it is no directory, once it is used
  std::map<Digest, Edge> remotes;      ///< remote sources by their op
  std::optional<PatternMatcher> ignored;                    ///< made when first asked for
  parser::InstructionLint lint;                             ///< of the instruction at hand
  SourceRange command_range;                                ///< its lines
  std::map<std::string, OutlineCapture::Known> known_args;  ///< global ones, for the outline

  Edge add(Vertex vertex);
  Edge scratch_edge();
  /// What COPY, ADD and mounts without `from` read; `what` is for the error that there is none.
  Edge context_edge(const char* what);
  /// A remote source; the same one is one vertex.
  Edge remote_edge(SourceOp op, const SourceRange& range);
  /// The main context ("context") or a named one, if it is a directory.
  Edge local_edge(const std::string& name, const std::vector<std::string>& ignore_patterns);
  StageState* find(std::string_view name) const;
  /// Whether --no-cache or --no-cache-filter wants this step run again.
  bool ignores_cache(const StageState& stage, const StageCommand& command) const;
  parser::ExpansionOptions expansion() const { return {.escape = file.directives.escape}; }
};

/// Finds `state.epoch` (epoch.cpp), and leaves the number where its name was given.
void read_epoch(LowerState& state);

inline constexpr std::string_view kScratch = "scratch";
inline constexpr std::string_view kScratchContext = "docker-image://scratch";

/// Runs `body`; an Error passing through gets `range`.
template <class Body>
decltype(auto) at_range(const SourceRange& range, Body&& body) {
  try {
    return body();
  } catch (Error& error) {
    error.add_range(range);
    throw;
  }
}

/// The named context called `name`, in any of the spellings of an image's name.
NamedContext named_context(const LowerState& state, const std::string& name);

/// Sets the root and the image of a stage that is FROM no other stage. Once.
void resolve_base(LowerState& state, StageState& stage);

/// Goes through one instruction: changes the stage's config, adds vertices. Throws Error without
/// range.
void dispatch(LowerState& state, StageState& stage, const StageCommand& command);

// The larger ones, each in a file of its own.
void dispatch_run(LowerState& state, StageState& stage, const StageCommand& command,
                  const parser::Run& run);
/// Whether BuildKit fails if this source of a COPY or ADD, which is in the build context, has a
/// wildcard and matches nothing.
bool wildcard_must_match(const LowerState& state, const std::string& source);

void dispatch_copy(LowerState& state, StageState& stage, const StageCommand& command,
                   const parser::Copy& copy);
void dispatch_add(LowerState& state, StageState& stage, const StageCommand& command,
                  const parser::Add& add);

/// A step cannot mount the build context itself, but a copy of it: without what .dockerignore
/// excludes, and so that it does not touch the user's files. `source` keeps its place in it.
Edge context_copy(LowerState& state, const std::string& source, const std::string& platform,
                  const SourceRange& range);
/// The step that scans `target`, with the context and other stages as far as they ask for that.
Edge scan_stages(LowerState& state, const StageState& target);

/// The ports of an EXPOSE ("80", "8000-8002/udp", "127.0.0.1:80:80") as "80/tcp".
std::vector<std::string> parse_port(const std::string& text);

/// `word` expanded with the stage's variables. Says which of them are not set (UndefinedVar).
std::string expand(const LowerState& state, const StageState& stage, std::string_view word);
/// The same for what people see only: nothing is checked, and what cannot be expanded stays.
std::string expand_shown(const LowerState& state, const StageState& stage, const std::string& text);
/// Whether it is for Windows, whose images have no PATH of ours, another shell, and other
/// separators.
bool is_windows(const StageState& stage);
/// A path as the Dockerfile has it, for Windows with slashes and without "C:".
std::string with_slashes(const StageState& stage, std::string path);
/// What the stage wraps shell forms in: its SHELL, or /bin/sh -c.
std::vector<std::string> shell_of(const StageState& stage);
/// "[build 2/5] RUN make": the next step's name; counts it.
std::string step_name(StageState& stage, const StageCommand& command, const std::string& text);
/// The keyword in upper case, the rest as it is.
std::string with_upper_keyword(const std::string& text);
void add_history(StageState& stage, std::string text, bool with_layer);
std::string platform_text(const StageState& stage);
/// To be called once the stage's platform is known.
void set_name_prefix(const LowerState& state, StageState& stage);

/// As Go's %q of a string, %q and %v of a slice of strings, and time.Duration.String().
std::string go_quote(std::string_view text);
std::string go_quoted_list(const std::vector<std::string>& words);
std::string go_list(const std::vector<std::string>& words);
std::string go_duration(int64_t nanoseconds);

}  // namespace lade::lowering
