// SOURCE_DATE_EPOCH: a number, or the name of what has the time.
#include <charconv>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "solver/lower/stage.hpp"

namespace lade::lowering {
namespace {

constexpr const char* kEpoch = "SOURCE_DATE_EPOCH";

std::optional<int64_t> number(const std::string& text) {
  int64_t seconds = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  return seconds;
}

/// The one source of a stage that does nothing but ADD it.
class SourceStage {
 public:
  SourceStage(LowerState& state, const parser::Stage& stage)
      : state_(state), stage_(stage), args_(state.global_args) {
    args_.unset(kEpoch);
  }

  SourceOp source() {
    if (word(stage_.from.image) != kScratch) {
      throw Error("SOURCE_DATE_EPOCH stage must use FROM scratch");
    }
    for (const auto& command : stage_.commands) {
      if (const auto* arg = std::get_if<parser::Arg>(&command.body)) {
        add_args(*arg);
      } else if (const auto* add = std::get_if<parser::Add>(&command.body)) {
        if (source_) one_source();
        add_source(*add);
      } else {
        throw Error(
            fmt::format("SOURCE_DATE_EPOCH stage does not meet source-only requirements: "
                        "unsupported {} instruction",
                        to_lower(command.origin.keyword)));
      }
    }
    if (!source_) one_source();
    return *source_;
  }

 private:
  [[noreturn]] static void one_source() {
    throw Error("SOURCE_DATE_EPOCH stage must contain exactly one remote ADD");
  }

  std::string word(const std::string& text) const {
    return parser::process_word(text, args_.environment(), state_.expansion()).text;
  }

  void add_args(const parser::Arg& arg) {
    for (const auto& argument : arg.arguments) {
      const auto given = state_.options.build_args.find(argument.name);
      if (given != state_.options.build_args.end()) {
        args_.set(argument.name, given->second);
      } else if (argument.value) {
        args_.set(argument.name, word(*argument.value));
      }
    }
  }

  void add_source(const parser::Add& add) {
    if (!add.transfer.inline_files.empty() || add.transfer.sources.size() != 1) one_source();
    const std::string text = word(add.transfer.sources.front());
    const std::string checksum = word(add.checksum);
    if (is_http_source(text)) {
      source_ = http_source(text, http_file_name(text), checksum);
      return;
    }
    auto reference = parse_git_reference(text);
    if (!reference || reference->like_local_path) {
      throw Error("SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD");
    }
    if (!reference->keep_git_dir) reference->keep_git_dir = add.keep_git_dir;
    if (!checksum.empty()) reference->checksum = checksum;
    source_ = git_source(*reference);
  }

  LowerState& state_;
  const parser::Stage& stage_;
  EnvList args_;
  std::optional<SourceOp> source_;
};

/// The source that `name` is; nullopt for a context that has no time of its own. Throws Error if
/// there is nothing of that name.
std::optional<SourceOp> named_source(LowerState& state, const std::string& name) {
  const LowerOptions& options = state.options;
  if (name == "context") {
    return options.context_source ? std::optional(options.context_source->source) : std::nullopt;
  }
  if (const auto context = options.contexts.find(name); context != options.contexts.end()) {
    if (is_image_context(context->second)) return std::nullopt;
    const auto remote = remote_context(context->second);
    return remote ? std::optional(remote->source) : std::nullopt;
  }
  for (const auto& stage : state.file.stages) {
    if (stage.from.name.empty() || to_lower(stage.from.name) != to_lower(name)) continue;
    return at_range(stage.origin.range, [&] { return SourceStage(state, stage).source(); });
  }
  throw Error("invalid SOURCE_DATE_EPOCH: " + name);
}

}  // namespace

void read_epoch(LowerState& state) {
  const auto given = state.options.build_args.find(kEpoch);
  const std::string text = given != state.options.build_args.end()
                               ? given->second
                               : state.global_args.get(kEpoch).value_or("");
  if (text.empty()) return;
  state.epoch = number(text);
  if (state.epoch) return;
  if (!state.options.source_time) {
    throw Error("invalid SOURCE_DATE_EPOCH: " + quoted(text) + " is not a number of seconds");
  }
  if (const auto source = named_source(state, text)) {
    state.epoch = state.options.source_time(*source);
  }
  // Instructions see the number, or nothing.
  if (!state.epoch) {
    state.options.build_args.erase(kEpoch);
    state.global_args.unset(kEpoch);
    return;
  }
  const std::string seconds = fmt::format("{}", *state.epoch);
  if (state.options.build_args.contains(kEpoch)) state.options.build_args[kEpoch] = seconds;
  if (state.global_args.get(kEpoch)) state.global_args.set(kEpoch, seconds);
}

}  // namespace lade::lowering
