#include "parser/parse.hpp"

#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/instruction.hpp"
#include "parser/lines.hpp"

namespace lade::parser {
namespace {

Command to_command(ParsedLine&& line) {
  return {std::move(line.origin), std::get<CommandBody>(std::move(line.instruction))};
}

void check_stage_name(const Stage& stage, std::set<std::string>& names,
                      std::vector<Warning>& warnings) {
  const auto& name = stage.from.name;
  if (name.empty()) return;
  if (name == "scratch" || name == "context") {
    warnings.push_back({"ReservedStageName", fmt::format("stage name {} is reserved", quoted(name)),
                        stage.origin.range});
  }
  if (!names.insert(name).second) {
    warnings.push_back(
        {"DuplicateStageName",
         fmt::format("duplicate stage name {}, stage names should be unique", quoted(name)),
         stage.origin.range});
  }
}

// Only ARG may stand before the first stage.
void add_before_stages(Dockerfile& file, ParsedLine&& line) {
  auto command = to_command(std::move(line));
  auto* arg = std::get_if<Arg>(&command.body);
  if (!arg) {
    throw error_at(command.origin.range, "no build stage in current context",
                   "a Dockerfile begins with FROM; only ARG may come before it");
  }
  file.meta_args.push_back({std::move(command.origin), std::move(*arg)});
}

}  // namespace

Dockerfile parse(std::shared_ptr<const SourceFile> source) {
  const SourceRange nowhere{source, 0, 0};
  if (source->text.empty()) throw error_at(nowhere, "the Dockerfile cannot be empty");
  if (source->text.size() > kMaxDockerfileSize) {
    throw error_at(nowhere,
                   fmt::format("the Dockerfile is larger than {} MiB", kMaxDockerfileSize >> 20));
  }
  auto lines = read_lines(
      source->text, [&source](int first, int last) { return SourceRange{source, first, last}; });
  if (lines.lines.empty()) throw error_at(nowhere, "file with no instructions");

  Dockerfile file;
  file.source = source;
  file.directives = std::move(lines.directives);
  file.warnings = std::move(lines.warnings);
  std::set<std::string> names;
  for (const auto& logical : lines.lines) {
    auto line = parse_line(logical, file.directives.escape);
    if (auto* from = std::get_if<From>(&line.instruction)) {
      file.stages.push_back({std::move(line.origin), std::move(*from), {}});
      check_stage_name(file.stages.back(), names, file.warnings);
    } else if (file.stages.empty()) {
      add_before_stages(file, std::move(line));
    } else {
      file.stages.back().commands.push_back(to_command(std::move(line)));
    }
  }
  if (file.stages.empty()) {
    throw error_at(file.meta_args.back().origin.range, "dockerfile contains no stages to build");
  }
  return file;
}

Command parse_onbuild_trigger(std::string_view text, const SourceRange& range) {
  return with_context("ONBUILD trigger", [&] {
    const auto lines = read_lines(text, [&range](int, int) { return range; });
    if (lines.lines.size() != 1) {
      throw error_at(range, fmt::format("{} should be a single instruction", quoted(text)));
    }
    auto line = parse_line(lines.lines.front(), '\\');
    if (std::holds_alternative<From>(line.instruction)) {
      throw error_at(range, "FROM isn't allowed as an ONBUILD trigger");
    }
    return to_command(std::move(line));
  });
}

}  // namespace lade::parser
