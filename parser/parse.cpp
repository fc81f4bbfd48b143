#include "parser/parse.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/directives.hpp"
#include "parser/instruction.hpp"
#include "parser/lines.hpp"
#include "parser/lint_text.hpp"

namespace lade::parser {
namespace {

Command to_command(ParsedLine&& line) {
  return {std::move(line.origin), std::get<CommandBody>(std::move(line.instruction))};
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

Dockerfile parse(std::shared_ptr<const SourceFile> source, Linter* linter) {
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
  file.directives = {find_directive(source, "syntax"), find_directive(source, "check"),
                     lines.escape};
  for (const auto& range : lines.empty_continuations) {
    if (linter) linter->report(rules::kNoEmptyContinuation, range, "Empty continuation line");
  }
  for (const auto& logical : lines.lines) {
    auto line = parse_line(logical, file.directives.escape);
    lint_instruction(linter, line);
    if (auto* from = std::get_if<From>(&line.instruction)) {
      file.stages.push_back({std::move(line.origin), std::move(*from), {}});
    } else if (file.stages.empty()) {
      add_before_stages(file, std::move(line));
    } else {
      file.stages.back().commands.push_back(to_command(std::move(line)));
    }
  }
  if (file.stages.empty()) {
    throw error_at(file.meta_args.back().origin.range, "dockerfile contains no stages to build");
  }
  if (linter) lint_file(*linter, file);
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
