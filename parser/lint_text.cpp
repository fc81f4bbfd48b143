#include "parser/lint_text.hpp"

#include <set>

#include <fmt/format.h>

#include "base/text.hpp"

namespace lade::parser {
namespace {

bool is_lower(const std::string& word) {
  return word == to_lower(word);
}

bool is_upper(const std::string& word) {
  return word == to_upper(word);
}

// The comment right above a definition, if there is one, has to begin with a name it defines.
void lint_description(const InstructionLint& lint, const Origin& origin,
                      std::string_view instruction, const std::vector<std::string>& names) {
  if (origin.comments.empty() || names.empty()) return;
  const auto& comment = origin.comments.back();
  const auto first = comment.substr(0, comment.find(' '));
  for (const auto& name : names) {
    if (name == first) return;
  }
  lint.report(rules::kInvalidDefinitionDescription, origin.range,
              fmt::format("Comment for {} should follow the format: `# {} <description>`",
                          instruction, names.size() == 1 ? names.front() : "<arg_key>"));
}

void lint_from(const InstructionLint& lint, const Origin& origin, const From& from) {
  if (from.name.empty()) return;
  if (!is_lower(from.name_as_written)) {
    lint.report(rules::kStageNameCasing, origin.range,
                fmt::format("Stage name '{}' should be lowercase", from.name_as_written));
  }
  // A FROM of mixed case is another check's business.
  const bool fits = is_lower(origin.keyword)   ? is_lower(from.as_keyword)
                    : is_upper(origin.keyword) ? is_upper(from.as_keyword)
                                               : true;
  if (!fits) {
    lint.report(rules::kFromAsCasing, origin.range,
                fmt::format("'{}' and '{}' keywords' casing do not match", from.as_keyword,
                            origin.keyword));
  }
  lint_description(lint, origin, "FROM", {from.name});
}

void lint_stage_names(Linter& linter, const Dockerfile& file) {
  std::set<std::string> names;
  for (const auto& stage : file.stages) {
    const auto& name = stage.from.name;
    if (name.empty()) continue;
    if (name == "scratch" || name == "context") {
      linter.report(
          rules::kReservedStageName, stage.origin.range,
          fmt::format("Stage name should not use the same name as reserved stage \"{}\"", name));
    }
    if (!names.insert(name).second) {
      linter.report(rules::kDuplicateStageName, stage.origin.range,
                    fmt::format("Duplicate stage name \"{}\", stage names should be unique", name));
    }
  }
}

// ARGs before the first stage do not count.
template <class Visit>
void each_keyword(const Dockerfile& file, Visit visit) {
  for (const auto& stage : file.stages) {
    visit(stage.origin);
    for (const auto& command : stage.commands) visit(command.origin);
  }
}

void lint_keyword_case(Linter& linter, const Dockerfile& file) {
  int lower = 0;
  int upper = 0;
  each_keyword(file, [&](const Origin& origin) {
    lower += is_lower(origin.keyword) ? 1 : 0;
    upper += is_upper(origin.keyword) ? 1 : 0;
  });
  const bool mostly_lower = lower > upper;
  each_keyword(file, [&](const Origin& origin) {
    if (mostly_lower ? is_lower(origin.keyword) : is_upper(origin.keyword)) return;
    linter.report(rules::kConsistentInstructionCasing, origin.range,
                  fmt::format("Command '{}' should match the case of the command majority ({})",
                              origin.keyword, mostly_lower ? "lowercase" : "uppercase"));
  });
}

}  // namespace

void lint_instruction(Linter* linter, const ParsedLine& line) {
  if (!linter) return;
  const InstructionLint lint(linter, line.origin.comments);
  if (const auto* from = std::get_if<From>(&line.instruction)) {
    lint_from(lint, line.origin, *from);
    return;
  }
  const auto& body = std::get<CommandBody>(line.instruction);
  if (std::holds_alternative<Maintainer>(body)) {
    lint.report(rules::kMaintainerDeprecated, line.origin.range,
                "Maintainer instruction is deprecated in favor of using label");
  } else if (const auto* arg = std::get_if<Arg>(&body)) {
    std::vector<std::string> names;
    for (const auto& argument : arg->arguments) names.push_back(argument.name);
    lint_description(lint, line.origin, "ARG", names);
  }
}

void lint_file(Linter& linter, const Dockerfile& file) {
  lint_stage_names(linter, file);
  lint_keyword_case(linter, file);
}

}  // namespace lade::parser
