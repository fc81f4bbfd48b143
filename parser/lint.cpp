#include "parser/lint.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/utf8.hpp"
#include "parser/directives.hpp"
#include "parser/grammar.hpp"
#include "parser/unicode.hpp"

namespace lade::parser {
namespace {

std::set<std::string, std::less<>> rule_names(std::string_view text) {
  std::set<std::string, std::less<>> names;
  for (const auto& name : split(text, ',')) names.emplace(trim_space(name));
  return names;
}

// The configuration in a comment above an instruction; it can widen what is skipped or asked for,
// not make warnings errors. One that is malformed is an ordinary comment.
std::optional<LintConfig> config_of(const std::vector<std::string>& comments) {
  for (const auto& comment : comments) {
    const auto found = directive(comment);
    if (!found || found->key != "check") continue;
    try {
      return parse_lint_config(first_word(found->value));
    } catch (const Error&) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

std::u32string characters(std::string_view text) {
  std::u32string out;
  for (size_t at = 0; at < text.size();) {
    const auto c = decode_utf8(text, at);
    out += c.code;
    at += c.size;
  }
  return out;
}

// Levenshtein's distance.
size_t distance(std::u32string_view a, std::u32string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({substituted, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row.back();
}

}  // namespace

bool LintConfig::enabled(const LintRule& rule) const {
  if (rule.experimental) return experimental_all || experimental.contains(rule.name);
  return !skip_all && !skip.contains(rule.name);
}

LintConfig parse_lint_config(std::string_view text) {
  LintConfig config;
  text = trim_space(text);
  // Three options and no more: what follows a third ";" belongs to the third.
  for (int options = 1; !text.empty(); ++options) {
    const auto end = options < 3 ? text.find(';') : std::string_view::npos;
    const auto option = text.substr(0, end);
    const auto equals = option.find('=');
    if (equals == std::string_view::npos) {
      throw Error(fmt::format("invalid check option \"{}\"", option));
    }
    const auto key = trim_space(option.substr(0, equals));
    const auto value = trim_space(option.substr(equals + 1));
    if (key == "skip") {
      config.skip_all = value == "all";
      if (!config.skip_all) config.skip = rule_names(value);
    } else if (key == "experimental") {
      config.experimental_all = value == "all";
      if (!config.experimental_all) config.experimental = rule_names(value);
    } else if (key == "error") {
      const auto error = boolean(value);
      if (!error) throw Error(fmt::format("failed to parse check option \"{}\"", option));
      config.error = *error;
    } else {
      Error error(fmt::format("invalid check option \"{}\"", key));
      error.set_hint("the options are skip=RULE,... error=true and experimental=RULE,...");
      throw error;
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
    if (text.empty()) throw Error("invalid check option \"\"");
  }
  return config;
}

LintConfig lint_config(const std::shared_ptr<const SourceFile>& file,
                       const std::optional<std::string>& build_arg) {
  if (build_arg) {
    return with_context("failed to parse build-arg:BUILDKIT_DOCKERFILE_CHECK",
                        [&] { return parse_lint_config(*build_arg); });
  }
  const auto own = find_directive(file, "check");
  if (!own) return {};
  try {
    return with_context("failed to parse check options",
                        [&] { return parse_lint_config(first_word(own->value)); });
  } catch (Error& error) {
    error.add_range(own->range);
    throw;
  }
}

void Linter::report(const LintRule& rule, const SourceRange& range, std::string message) {
  report(config_, rule, range, std::move(message));
}

void Linter::report(const LintConfig& config, const LintRule& rule, const SourceRange& range,
                    std::string message) {
  if (config.enabled(rule)) warnings_.push_back({&rule, std::move(message), range});
}

void Linter::throw_if_error() const {
  if (!config_.error || warnings_.empty()) return;
  std::set<std::string_view> names;
  for (const auto& warning : warnings_) names.insert(warning.rule->name);
  throw Error(fmt::format("lint violation found for rules: {}", fmt::join(names, ", ")));
}

InstructionLint::InstructionLint(Linter* linter, const std::vector<std::string>& comments)
    : linter_(linter) {
  if (!linter) return;
  auto added = config_of(comments);
  if (!added) return;
  LintConfig merged = linter->config_;
  merged.skip_all |= added->skip_all;
  merged.skip.merge(added->skip);
  merged.experimental_all |= added->experimental_all;
  merged.experimental.merge(added->experimental);
  config_ = std::move(merged);
}

void InstructionLint::report(const LintRule& rule, const SourceRange& range,
                             std::string message) const {
  if (linter_) linter_->report(config_ ? *config_ : linter_->config_, rule, range, message);
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  const auto letters = characters(word);
  std::string best;
  size_t best_distance = 3;
  for (const auto& candidate : candidates) {
    if (candidate == word) return {};
    // Lengths alone can say that it is too far.
    const auto other = characters(candidate);
    if (std::max(letters.size(), other.size()) - std::min(letters.size(), other.size()) > 2) {
      continue;
    }
    const size_t changes = distance(letters, other);
    if (changes >= best_distance) continue;
    best = candidate;
    best_distance = changes;
  }
  return best;
}

}  // namespace lade::parser
