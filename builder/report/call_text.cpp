// The documents of --call as text.
#include <algorithm>

#include <fmt/format.h>

#include "base/utf8.hpp"
#include "builder/report/call_print.hpp"
#include "builder/report/lint_report.hpp"

namespace lade {
namespace {

size_t width(std::string_view text) {
  size_t characters = 0;
  for (size_t at = 0; at < text.size(); ++characters) at += decode_utf8(text, at).size;
  return characters;
}

/// Rows of as many cells each; all cells but the last are padded to their column's width and
/// `gap` blanks more.
std::string table(const std::vector<std::vector<std::string>>& rows, size_t gap) {
  std::vector<size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    for (size_t i = 0; i + 1 < row.size(); ++i) {
      out += row[i] + std::string(widths[i] + gap - width(row[i]), ' ');
    }
    out += row.back() + "\n";
  }
  return out;
}

std::string secrets_table(const char* title, const std::vector<Outline::Secret>& secrets) {
  if (secrets.empty()) return {};
  std::vector<std::vector<std::string>> rows{{title, "REQUIRED"}};
  for (const auto& secret : secrets) {
    rows.push_back({secret.name, secret.required ? "true" : ""});
  }
  return table(rows, 3) + "\n";
}

}  // namespace

std::string lint_text(const LintResults& results) {
  std::vector<const parser::Warning*> sorted;
  for (const auto& warning : results.warnings) sorted.push_back(&warning);
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return a->range.first_line < b->range.first_line;
  });
  std::string out;
  if (sorted.size() == 1) {
    out = "Check complete, 1 warning has been found!\n";
  } else if (!sorted.empty()) {
    out = fmt::format("Check complete, {} warnings have been found!\n", sorted.size());
  }
  for (const auto* warning : sorted) {
    out += fmt::format("\nWARNING: {}", warning->rule->name);
    if (!warning->rule->url.empty()) out += fmt::format(" - {}", warning->rule->url);
    out += fmt::format("\n{}\n{}", warning->message, source_excerpt(warning->range));
  }
  if (results.error) return sorted.empty() ? out : out + "\n";
  return sorted.empty() ? "Check complete, no warnings found.\n" : out;
}

std::string outline_text(const Outline& outline) {
  std::string out;
  if (!outline.name.empty() || !outline.description.empty()) {
    std::vector<std::vector<std::string>> rows{
        {"TARGET:", outline.name.empty() ? "(default)" : outline.name}};
    if (!outline.description.empty()) rows.push_back({"DESCRIPTION:", outline.description});
    out += table(rows, 1) + "\n";
  }
  if (!outline.args.empty()) {
    std::vector<std::vector<std::string>> rows{{"BUILD ARG", "VALUE", "DESCRIPTION"}};
    for (const auto& arg : outline.args) rows.push_back({arg.name, arg.value, arg.description});
    out += table(rows, 3) + "\n";
  }
  out += secrets_table("SECRET", outline.secrets);
  out += secrets_table("SSH", outline.ssh);
  if (!outline.caches.empty()) {
    out += "CACHE MOUNT\n";
    for (const auto& cache : outline.caches) out += cache.id + "\n";
    out += "\n";
  }
  return out;
}

std::string targets_text(const parser::Dockerfile& file) {
  std::vector<std::vector<std::string>> rows{{"TARGET", "DESCRIPTION"}};
  for (const auto& stage : file.stages) {
    std::string name = stage.from.name;
    if (&stage == &file.stages.back()) name += name.empty() ? "(default)" : " (default)";
    rows.push_back({std::move(name), stage.from.description});
  }
  return table(rows, 1);
}

}  // namespace lade
