#include "builder/frontend.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/json/json_reader.hpp"
#include "base/text.hpp"
#include "parser/directives.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {
namespace {

/// The `syntax` of a file for BuildKit in general, of which Dockerfiles are only one kind:
/// "# syntax=", "// syntax=", or {"syntax": ...}.
std::optional<parser::Directive> detect(const std::shared_ptr<const SourceFile>& file) {
  if (auto found = parser::find_directive(file, "syntax")) return found;
  if (auto found = parser::find_directive(file, "syntax", "//")) return found;
  std::string_view text = parser::without_byte_order_mark(file->text);
  int line = 1;
  if (text.starts_with("#!")) {
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
    ++line;
  }
  if (!trim(text).starts_with('{')) return std::nullopt;
  const auto json = parse_foreign_json(text);
  if (!json.is_object() || !json.contains("syntax") || !json["syntax"].is_string()) {
    return std::nullopt;
  }
  return parser::Directive{json["syntax"].get<std::string>(), {file, line, line}};
}

}  // namespace

bool is_builtin_frontend(const std::string& image) {
  if (image == "dockerfile.v0") return true;
  try {
    // Also a mirror's, wherever in the registry that has it: the whole name but for the host, or
    // its last two parts.
    const std::string name = Reference::parse(image).name();
    return name.ends_with("/docker/dockerfile") || name.ends_with("/docker/dockerfile-upstream");
  } catch (const Error&) {
    return false;
  }
}

void check_frontend(const std::shared_ptr<const SourceFile>& dockerfile,
                    const std::map<std::string, std::string>& build_args) {
  std::optional<parser::Directive> asked;
  const auto given = build_args.find("BUILDKIT_SYNTAX");
  if (given != build_args.end()) {
    asked = parser::Directive{std::string(trim(given->second)), {}};
  } else {
    asked = detect(dockerfile);
  }
  if (!asked) return;
  const std::string image(parser::first_word(asked->value));
  if (is_builtin_frontend(image)) return;
  Error error(fmt::format("{}frontend image {} is not supported: lade reads Dockerfiles itself",
                          asked->range.file ? "" : "BUILDKIT_SYNTAX: ", lade::quoted(image)));
  error.set_hint(
      "if the file is an ordinary Dockerfile, say so with --build-arg "
      "BUILDKIT_SYNTAX=docker/dockerfile:1");
  if (asked->range.file) error.add_range(asked->range);
  throw error;
}

}  // namespace lade
