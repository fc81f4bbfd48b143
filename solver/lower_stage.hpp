// Inside of lowering: the state of one stage while its instructions are gone through. Included by
// solver/lower*.cpp only.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "parser/ast.hpp"
#include "parser/expansion.hpp"
#include "solver/lower.hpp"

namespace lade::lowering {

/// Variables in the order they were (last) set.
class EnvList {
 public:
  void set(std::string_view name, std::string value);
  std::optional<std::string> get(std::string_view name) const;
  std::vector<std::string> assignments() const;  ///< "K=V"
  parser::Environment environment() const;       ///< refers to this list

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

struct BuildArg {
  std::string name;
  std::optional<std::string> value;
};

struct StageState;

/// An instruction to go through, with the stages or images its COPY --from and mounts read (by the
/// order of appearance; null: the build context or nothing).
struct StageCommand {
  parser::Command command;
  std::vector<StageState*> sources;
  bool from_onbuild = false;
};

/// A stage of the Dockerfile, or an image or context that is only copied from.
struct StageState {
  const parser::Stage* stage = nullptr;  ///< null for what is only copied from
  SourceRange range;
  std::string name;           ///< lower case; empty if it has none
  std::string label;          ///< in progress: the name, "stage-2", or empty
  std::string base_name;      ///< expanded
  std::string context_value;  ///< the named context that takes its place; empty if none
  std::optional<Platform> platform;
  StageState* base = nullptr;  ///< the stage it is FROM
  std::vector<StageCommand> commands;
  std::vector<StageState*> deps;

  bool reachable = false;
  bool resolved = false;  ///< its base image is known
  bool triggers_done = false;
  bool dispatched = false;

  std::optional<Edge> root;
  std::optional<Edge>
      local;  ///< of a directory context: what COPY --from reads, without the copy at `root`
  ImageConfig image;
  EnvList env;
  std::vector<BuildArg> build_args;
  std::string user;
  bool cmd_set = false;  ///< CMD was set in this very stage
  int steps_total = 0;
  int step = 0;
};

/// What all stages of one lowering share.
struct LowerState {
  const parser::Dockerfile& file;
  const LowerOptions& options;
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
  std::vector<parser::Warning> warnings;

  Edge add(Vertex vertex);
  Edge scratch_edge();
  /// The main context ("context") or a named one.
  Edge local_edge(const std::string& name, const std::vector<std::string>& ignore_patterns);
  StageState* find(std::string_view name) const;
  parser::ExpansionOptions expansion() const { return {.escape = file.directives.escape}; }
};

/// Goes through one instruction: changes the stage's config, adds vertices. Throws Error without
/// range.
void dispatch(LowerState& state, StageState& stage, const StageCommand& command);

// The larger ones, each in a file of its own.
void dispatch_run(LowerState& state, StageState& stage, const StageCommand& command,
                  const parser::Run& run);
void dispatch_copy(LowerState& state, StageState& stage, const StageCommand& command,
                   const parser::Copy& copy);
void dispatch_add(LowerState& state, StageState& stage, const StageCommand& command,
                  const parser::Add& add);

/// The ports of an EXPOSE ("80", "8000-8002/udp", "127.0.0.1:80:80") as "80/tcp".
std::vector<std::string> parse_port(const std::string& text);

/// `word` expanded with the stage's variables.
std::string expand(const LowerState& state, const StageState& stage, std::string_view word);
/// What the stage wraps shell forms in: its SHELL, or /bin/sh -c.
std::vector<std::string> shell_of(const StageState& stage);
/// "[build 2/5] RUN make": the next step's name; counts it.
std::string step_name(StageState& stage, const StageCommand& command, const std::string& text);
/// The keyword in upper case, the rest as it is.
std::string with_upper_keyword(const std::string& text);
void add_history(StageState& stage, std::string text, bool with_layer);
std::string platform_text(const StageState& stage);

/// As Go's %q of a string, %q and %v of a slice of strings, and time.Duration.String().
std::string go_quote(std::string_view text);
std::string go_quoted_list(const std::vector<std::string>& words);
std::string go_list(const std::vector<std::string>& words);
std::string go_duration(int64_t nanoseconds);

}  // namespace lade::lowering
