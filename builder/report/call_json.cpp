// The documents of --call as JSON: frontend/subrequests/{lint,outline,targets} and the locations of
// solver/pb of BuildKit v0.32. What is empty is left out, as there.
#include <nlohmann/json.hpp>

#include "base/base64.hpp"
#include "builder/report/call_print.hpp"

namespace lade {
namespace {

using Json = nlohmann::ordered_json;

/// One range per line.
Json location(const SourceRange& range) {
  Json ranges = Json::array();
  if (range.first_line > 0) {
    for (int line = range.first_line; line <= std::max(range.first_line, range.last_line); ++line) {
      ranges.push_back({{"start", {{"line", line}}}, {"end", {{"line", line}}}});
    }
  }
  Json out = Json::object();
  if (!ranges.empty()) out["ranges"] = std::move(ranges);
  return out;
}

void set(Json& object, const char* key, std::string_view value) {
  if (!value.empty()) object[key] = value;
}

/// Bytes that are no UTF-8 become replacement characters.
std::string dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json secrets_json(const std::vector<Outline::Secret>& secrets) {
  Json out = Json::array();
  for (const auto& secret : secrets) {
    Json one{{"name", secret.name}};
    if (secret.required) one["required"] = true;
    one["location"] = location(secret.range);
    out.push_back(std::move(one));
  }
  return out;
}

struct Method {
  const char* name;
  const char* description;
};
constexpr Method kMethods[] = {
    {"frontend.outline", "what a target takes from outside"},
    {"frontend.targets", "the stages that can be built"},
    {"frontend.lint", "build checks of the Dockerfile"},
    {"frontend.subrequests.describe", "these methods"},
};

}  // namespace

std::string lint_json(const LintResults& results) {
  Json out{{"warnings", nullptr}, {"sources", Json::array()}};
  for (const auto& warning : results.warnings) {
    Json one{{"ruleName", warning.rule->name}};
    set(one, "description", warning.rule->description);
    set(one, "url", warning.rule->url);
    set(one, "detail", warning.message);
    one["location"] = location(warning.range);
    out["warnings"].push_back(std::move(one));
  }
  Json source;
  source["filename"] = results.source->name;
  set(source, "data", base64(results.source->text));
  source["language"] = "Dockerfile";
  out["sources"].push_back(std::move(source));
  if (results.error) {
    out["buildError"] = {
        {"message", results.error->message()},
        {"location", results.error->range() ? location(*results.error->range()) : Json::object()}};
  }
  return dump(out);
}

std::string outline_json(const Outline& outline, const SourceFile& source) {
  Json out = Json::object();
  set(out, "name", outline.name);
  set(out, "description", outline.description);
  for (const auto& arg : outline.args) {
    Json one{{"name", arg.name}};
    set(one, "description", arg.description);
    set(one, "value", arg.value);
    one["location"] = location(arg.range);
    out["args"].push_back(std::move(one));
  }
  if (!outline.secrets.empty()) out["secrets"] = secrets_json(outline.secrets);
  if (!outline.ssh.empty()) out["ssh"] = secrets_json(outline.ssh);
  for (const auto& cache : outline.caches) {
    out["cache"].push_back({{"ID", cache.id}, {"location", location(cache.range)}});
  }
  out["sources"] = Json::array({base64(source.text)});
  return dump(out);
}

std::string targets_json(const parser::Dockerfile& file) {
  Json out{{"targets", Json::array()}};
  for (const auto& stage : file.stages) {
    Json one = Json::object();
    set(one, "name", stage.from.name);
    if (&stage == &file.stages.back()) one["default"] = true;
    set(one, "description", stage.from.description);
    set(one, "base", stage.from.image);
    set(one, "platform", stage.from.platform);
    one["location"] = location(stage.origin.range);
    out["targets"].push_back(std::move(one));
  }
  out["sources"] = Json::array({base64(file.source->text)});
  return dump(out);
}

std::string methods_text() {
  std::string out = "NAME                 VERSION DESCRIPTION\n";
  for (const auto& method : kMethods) {
    std::string name = std::string(method.name).substr(sizeof("frontend.") - 1);
    name.resize(21, ' ');
    out += name + "1.0.0   " + method.description + "\n";
  }
  return out;
}

std::string methods_json() {
  Json out = Json::array();
  for (const auto& method : kMethods) {
    out.push_back({{"name", method.name},
                   {"version", "1.0.0"},
                   {"type", "rpc"},
                   {"description", method.description}});
  }
  return dump(out);
}

}  // namespace lade
