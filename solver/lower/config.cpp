// The instructions that change nothing but the image's config (and WORKDIR, which makes a
// directory).
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "solver/lower/lint.hpp"
#include "solver/lower/stage.hpp"

namespace lade::lowering {
namespace {

std::vector<std::string> with_shell(const StageState& stage, const parser::CommandLine& command) {
  if (command.exec_form) return command.words;
  std::vector<std::string> words = shell_of(stage);
  words.push_back(join(command.words, " "));
  return words;
}

bool known_signal(std::string_view text) {
  static constexpr std::array kNames = {
      "ABRT", "ALRM",   "BUS",  "CHLD",   "CLD",   "CONT", "FPE",  "HUP",   "ILL",
      "INT",  "IO",     "IOT",  "KILL",   "PIPE",  "POLL", "PROF", "PWR",   "QUIT",
      "SEGV", "STKFLT", "STOP", "SYS",    "TERM",  "TRAP", "TSTP", "TTIN",  "TTOU",
      "URG",  "USR1",   "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX"};
  // Any number but 0, also one that no system has.
  const std::string_view digits = text.substr(text.starts_with('+') ? 1 : 0);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), value);
  if (error == std::errc() && end == digits.end() && !text.starts_with("+-")) return value != 0;
  std::string name = to_upper(text);
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (const std::string_view known : kNames) {
    if (name == known) return true;
  }
  // RTMIN+1 ... RTMIN+15, RTMAX-1 ... RTMAX-14
  const bool low = name.starts_with("RTMIN+");
  if (!low && !name.starts_with("RTMAX-")) return false;
  const std::string number = name.substr(6);
  if (number.empty() || number.size() > 2 ||
      number.find_first_not_of("0123456789") != std::string::npos) {
    return false;
  }
  return std::stoi(number) >= 1 && std::stoi(number) <= (low ? 15 : 14);
}

struct DispatchConfig {
  LowerState& state;
  StageState& stage;
  const StageCommand& command;

  ContainerConfig& config() const { return stage.image.config; }
  std::string expanded(std::string_view word) const { return expand(state, stage, word); }

  void operator()(const parser::Maintainer& body) const {
    stage.image.author = body.name;
    add_history(stage, "MAINTAINER " + body.name, false);
  }

  void operator()(const parser::Env& body) const {
    // All values see the environment from before the instruction.
    std::vector<std::pair<std::string, std::string>> values;
    for (const auto& variable : body.variables) {
      values.emplace_back(expanded(variable.key), expanded(variable.value));
    }
    std::string text = "ENV";
    lint_old_form(state, command, body.variables);
    for (const auto& [key, value] : values) {
      lint_secret_name(state, "ENV", key);
      text += fmt::format(" {}={}", key, value);
      stage.env.set(key, value);
      config().set_env(key, value);
    }
    add_history(stage, std::move(text), false);
  }

  void operator()(const parser::Label& body) const {
    std::string text = "LABEL";
    std::vector<std::pair<std::string, std::string>> values;
    for (const auto& label : body.labels) {
      values.emplace_back(expanded(label.key), expanded(label.value));
    }
    lint_old_form(state, command, body.labels);
    for (const auto& [key, value] : values) {
      config().labels[key] = value;
      text += fmt::format(" {}={}", key, value);
    }
    add_history(stage, std::move(text), false);
  }

  void operator()(const parser::Onbuild& body) const { config().on_build.push_back(body.trigger); }

  void operator()(const parser::Cmd& body) const {
    lint_once(state, command, stage.cmd);
    lint_shell_form(state, stage, command, body.command);
    const auto words = with_shell(stage, body.command);
    config().cmd = words;
    config().args_escaped = true;
    add_history(stage, "CMD " + go_quoted_list(words), false);
  }

  void operator()(const parser::Entrypoint& body) const {
    lint_once(state, command, stage.entrypoint);
    lint_shell_form(state, stage, command, body.command);
    const auto words = with_shell(stage, body.command);
    config().entrypoint = words;
    // A CMD that was meant for the parent's entrypoint makes no sense for this one.
    if (!stage.cmd) config().cmd.reset();
    add_history(stage, "ENTRYPOINT " + go_quoted_list(words), false);
  }

  void operator()(const parser::Healthcheck& body) const {
    lint_once(state, command, stage.healthcheck);
    Healthcheck check;
    check.test = body.test;
    check.interval_ns = body.interval.count();
    check.timeout_ns = body.timeout.count();
    check.start_period_ns = body.start_period.count();
    check.start_interval_ns = body.start_interval.count();
    check.retries = body.retries;
    add_history(stage,
                fmt::format("HEALTHCHECK {{Test:{} Interval:{} Timeout:{} StartPeriod:{} "
                            "StartInterval:{} Retries:{}}}",
                            go_list(check.test), go_duration(check.interval_ns),
                            go_duration(check.timeout_ns), go_duration(check.start_period_ns),
                            go_duration(check.start_interval_ns), check.retries),
                false);
    config().healthcheck = std::move(check);
  }

  void operator()(const parser::Expose& body) const {
    std::vector<std::string> ports;
    for (const auto& word : body.ports) {
      for (const auto& port :
           parser::process_words(word, stage.env.environment(), state.expansion())) {
        lint_port(state, port);
        for (auto& one : parse_port(port)) ports.push_back(std::move(one));
      }
    }
    config().exposed_ports.insert(ports.begin(), ports.end());
    add_history(stage, "EXPOSE " + go_list(ports), false);
  }

  void operator()(const parser::User& body) const {
    stage.user = expanded(body.user);
    config().user = stage.user;
    add_history(stage, "USER " + stage.user, false);
  }

  void operator()(const parser::Volume& body) const {
    std::vector<std::string> paths;
    for (const auto& path : body.paths) paths.push_back(expanded(path));
    for (const auto& path : paths) {
      if (path.empty()) throw Error("VOLUME specified can not be an empty string");
      config().volumes.insert(path);
    }
    add_history(stage, "VOLUME " + go_list(paths), false);
  }

  void operator()(const parser::Stopsignal& body) const {
    const std::string signal = expanded(body.signal);
    if (!known_signal(signal)) throw Error("invalid signal: " + signal);
    config().stop_signal = signal;
    add_history(stage, "STOPSIGNAL " + signal, false);
  }

  void operator()(const parser::Shell& body) const {
    config().shell = body.words;
    add_history(stage, "SHELL " + go_list(body.words), false);
  }

  void operator()(const parser::Arg& body) const {
    std::vector<std::string> texts;
    for (const auto& arg : body.arguments) {
      lint_secret_name(state, "ARG", arg.name);
      std::optional<std::string> value;
      const auto given = state.options.build_args.find(arg.name);
      const bool from_global = given == state.options.build_args.end() && !arg.value;
      if (given != state.options.build_args.end()) {
        value = given->second;
      } else if (arg.value) {
        value = expanded(*arg.value);
      } else {
        value = state.global_args.get(arg.name);
      }
      const bool hidden =
          arg.name == "BUILDKIT_SBOM_SCAN_CONTEXT" || arg.name == "BUILDKIT_SBOM_SCAN_STAGE";
      if (value && !hidden) stage.env.set(arg.name, *value);
      stage.build_args.set(arg.name, value);
      stage.outline.used_args.insert(arg.name);
      // One that takes a global one's value is that one.
      if (!from_global || !value) {
        stage.outline.known_args[arg.name] = {
            {arg.name, value.value_or(""), arg.description, command.command.origin.range}, {}};
      }
      texts.push_back(value ? arg.name + "=" + *value : arg.name);
    }
    add_history(stage, "ARG " + join(texts, " "), false);
  }

  void operator()(const parser::Workdir& body) const {
    const std::string path = with_slashes(stage, expanded(body.path));
    lint_workdir(state, stage, path);
    const std::string current = config().working_dir.empty() ? "/" : config().working_dir;
    // An absolute path stays as it was written, as in BuildKit, also if a variable without a value
    // names no other.
    config().working_dir = path.empty()            ? current
                           : path.starts_with('/') ? path
                                                   : join_path(current, path);
    const std::string& directory = config().working_dir;
    if (directory != "/") {
      MakeDirAction action{.path = clean_path(directory), .owner = {}, .mtime = state.epoch};
      if (!config().user.empty()) action.owner = CopyOwner{config().user};
      Vertex vertex;
      vertex.op = FileOp{{std::move(action)}};
      vertex.inputs = {*stage.root};
      vertex.platform = platform_text(stage);
      vertex.range = command.command.origin.range;
      vertex.name =
          step_name(stage, command,
                    with_upper_keyword(expand_shown(state, stage, command.command.origin.text)));
      vertex.ignore_cache = state.ignores_cache(stage, command);
      stage.root = state.add(std::move(vertex));
    }
    add_history(stage, "WORKDIR " + directory, directory != "/");
  }

  void operator()(const parser::Run& body) const { dispatch_run(state, stage, command, body); }
  void operator()(const parser::Copy& body) const { dispatch_copy(state, stage, command, body); }
  void operator()(const parser::Add& body) const { dispatch_add(state, stage, command, body); }
};

}  // namespace

void dispatch(LowerState& state, StageState& stage, const StageCommand& command) {
  lint_begin(state, command);
  std::visit(DispatchConfig{state, stage, command}, command.command.body);
}

}  // namespace lade::lowering
