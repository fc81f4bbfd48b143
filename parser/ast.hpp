// The syntax tree of a Dockerfile: one plain struct per instruction, as the text says it.
//
// Nothing here is expanded: values keep their `$variables`, quotes and escapes, because what they
// mean depends on the environment at that point of the build (parser/expansion.hpp). What
// Dockerfiles never expand (flags like `--network`, keywords, exec forms, heredoc delimiters) is
// final. The structs own their strings and are copied freely; a SourceRange shares the file's text.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/source_range.hpp"

namespace lade::parser {

/// What every instruction carries beside its own fields.
struct Origin {
  SourceRange range;    ///< all its lines, continuations and heredocs included
  std::string keyword;  ///< as written: "run", "RUN", "Run"
  std::string text;     ///< the logical line, as history and progress show it: continuation
                        ///< characters, line ends and comments gone, inner blanks kept
  std::vector<std::string> flags;     ///< "--mount=type=cache,target=/x", unquoted, in order
  std::vector<std::string> comments;  ///< the comment lines right above, without "#"
};

/// One `<<NAME`. `content` is the text as read, tabs of a `<<-` included.
struct Heredoc {
  std::string name;
  std::string content;
  unsigned descriptor = 0;  ///< the digits in front of `<<`, 0 if there are none
  bool expand = true;       ///< false if any part of the delimiter was quoted
  bool strip_tabs = false;  ///< `<<-`
};

/// The arguments of RUN, CMD and ENTRYPOINT.
/// Exec form: `words` is the array. Shell form: `words` holds the one script, or nothing if there
/// was none.
struct CommandLine {
  bool exec_form = false;
  std::vector<std::string> words;
  std::vector<Heredoc> heredocs;  ///< RUN only
};

/// One comma-separated part of `--mount=`; no value means that there was no "=".
struct MountField {
  std::string key;  ///< lower case
  std::optional<std::string> value;
};

/// `--mount=...` of a RUN. Values may hold variables (even `type`), so options are only checked by
/// `resolve_mount` (parser/mount.hpp), once they are expanded. `from` is never expanded and final.
struct RunMount {
  std::string text;  ///< everything after "--mount="
  std::vector<MountField> fields;
  std::string from;  ///< stage name, stage index, named context or image; may be empty
};

enum class NetworkMode { standard, none, host };
enum class SecurityMode { sandbox, insecure };

/// `--device=vendor/class=name[,required]`.
struct RunDevice {
  std::string name;
  bool required = false;
};

struct Run {
  CommandLine command;
  std::vector<RunMount> mounts;
  std::vector<RunDevice> devices;
  NetworkMode network = NetworkMode::standard;
  SecurityMode security = SecurityMode::sandbox;
};

/// A heredoc as a source of COPY or ADD: a file `name` with `content` (tabs of `<<-` already
/// removed).
struct InlineFile {
  std::string name;
  std::string content;
  bool expand = true;
};

/// What COPY and ADD share. Sources, destination, owner and mode are expanded; excludes are not.
struct Transfer {
  std::vector<std::string> sources;
  std::vector<InlineFile> inline_files;
  std::string destination;
  std::string chown;
  std::string chmod;
  std::vector<std::string> excludes;
  bool link = false;
};

struct Copy {
  Transfer transfer;
  std::string from;  ///< never expanded
  bool parents = false;
};

struct Add {
  Transfer transfer;
  std::string checksum;  ///< expanded
  std::optional<bool> keep_git_dir;
  std::optional<bool> unpack;
};

struct KeyValue {
  std::string key;
  std::string value;
  bool old_form = false;  ///< `ENV key value`, without "="
};

struct Env {
  std::vector<KeyValue> variables;
};

struct Label {
  std::vector<KeyValue> labels;
};

struct ArgDeclaration {
  std::string name;
  std::optional<std::string> value;
  std::string description;  ///< of a comment `# NAME what it is for` above
};

struct Arg {
  std::vector<ArgDeclaration> arguments;
};

struct Workdir {
  std::string path;
};

struct User {
  std::string user;  ///< "name", "uid", "name:group"
};

struct Volume {
  std::vector<std::string> paths;
};

/// Sorted, as BuildKit does before it looks at them. A word may expand to several ports.
struct Expose {
  std::vector<std::string> ports;
};

struct Cmd {
  CommandLine command;
};

struct Entrypoint {
  CommandLine command;
};

struct Shell {
  std::vector<std::string> words;
};

struct Stopsignal {
  std::string signal;
};

/// Zero durations and retries mean "inherit", as in image configs.
struct Healthcheck {
  std::vector<std::string> test;  ///< {"NONE"}, {"CMD", word...} or {"CMD-SHELL", script}
  std::chrono::nanoseconds interval{0};
  std::chrono::nanoseconds timeout{0};
  std::chrono::nanoseconds start_period{0};
  std::chrono::nanoseconds start_interval{0};
  int retries = 0;
};

/// `trigger` is what an image config stores and `parse_onbuild_trigger` reads again: the
/// instruction with its heredocs.
struct Onbuild {
  std::string trigger;
};

struct Maintainer {
  std::string name;
};

using CommandBody =
    std::variant<Run, Copy, Add, Env, Arg, Workdir, User, Volume, Expose, Label, Cmd, Entrypoint,
                 Shell, Stopsignal, Healthcheck, Onbuild, Maintainer>;

struct Command {
  Origin origin;
  CommandBody body;
};

struct From {
  std::string image;     ///< expanded with the meta ARGs only
  std::string platform;  ///< likewise; empty without `--platform`
  std::string name;      ///< the stage's name in lower case, empty if it has none
  std::string name_as_written;
  std::string as_keyword;   ///< "AS" as written
  std::string description;  ///< of a comment `# name what it builds` above
};

struct Stage {
  Origin origin;
  From from;
  std::vector<Command> commands;
};

/// An ARG before the first FROM.
struct MetaArg {
  Origin origin;
  Arg arg;
};

struct Directive {
  std::string value;
  SourceRange range;
};

/// The `# key=value` lines at the top of the file.
struct Directives {
  std::optional<Directive> syntax;  ///< "docker/dockerfile:1..." means the built-in frontend
  std::optional<Directive> check;   ///< lint settings: "skip=RuleA,RuleB;error=true"
  char escape = '\\';
};

struct Dockerfile {
  std::shared_ptr<const SourceFile> source;
  Directives directives;
  std::vector<MetaArg> meta_args;
  std::vector<Stage> stages;  ///< at least one
};

}  // namespace lade::parser
