// --call: its option, and its documents. Texts are laid out as buildx prints them.
#include "app/build/call.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "builder/report/call_print.hpp"
#include "builder/report/lint_report.hpp"
#include "parser/parse.hpp"

namespace lade {
namespace {

using testing::HasSubstr;

std::shared_ptr<const SourceFile> source(std::string text) {
  return std::make_shared<const SourceFile>(SourceFile{"Dockerfile", std::move(text)});
}

std::string usage_error(const std::string& text) {
  try {
    parse_call(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.message() + (error.hint().empty() ? "" : "; " + error.hint());
  }
  return {};
}

TEST(CallOption, NamesAMethodAndHowItIsPrinted) {
  EXPECT_EQ(parse_call("build").method, CallMethod::build);
  EXPECT_EQ(parse_call("check").method, CallMethod::check);
  EXPECT_EQ(parse_call("lint").method, CallMethod::check);
  EXPECT_EQ(parse_call("targets").method, CallMethod::targets);
  EXPECT_EQ(parse_call("subrequests.describe").method, CallMethod::describe);
  EXPECT_FALSE(parse_call("outline").json);
  EXPECT_FALSE(parse_call("outline,format=text").json);
  const Call call = parse_call("format=json,outline,ignorestatus=true");
  EXPECT_EQ(call.method, CallMethod::outline);
  EXPECT_TRUE(call.json && call.ignore_status);
}

TEST(CallOption, IsRefusedWithAHint) {
  EXPECT_THAT(usage_error("chek"), HasSubstr("did you mean check?"));
  EXPECT_THAT(usage_error("check,outline"), HasSubstr("names two methods"));
  EXPECT_THAT(usage_error("check,format=xml"), HasSubstr("text, json"));
  EXPECT_THAT(usage_error("check,ignorestatus=maybe"), HasSubstr("'maybe'"));
  EXPECT_THAT(usage_error("check,color=red"), HasSubstr("no option 'color'"));
}

TEST(Excerpt, HasFourLinesAroundOneAndTwoAroundMore) {
  const auto file = source("1\n2\n3\n4\n5\n6\n7\n");
  const std::string rule = "--------------------\n";
  EXPECT_EQ(source_excerpt({file, 4, 4}), "Dockerfile:4\n" + rule +
                                              "   2 |     2\n   3 |     3\n   4 | >>> 4\n"
                                              "   5 |     5\n   6 |     6\n" +
                                              rule);
  EXPECT_EQ(source_excerpt({file, 1, 1}),
            "Dockerfile:1\n" + rule + "   1 | >>> 1\n   2 |     2\n   3 |     3\n" + rule);
  EXPECT_EQ(source_excerpt({file, 3, 4}), "Dockerfile:3\n" + rule +
                                              "   2 |     2\n   3 | >>> 3\n   4 | >>> 4\n"
                                              "   5 |     5\n" +
                                              rule);
  EXPECT_EQ(source_excerpt({source("a\nb"), 2, 2}),
            "Dockerfile:2\n" + rule + "   1 |     a\n   2 | >>> b\n" + rule);
  EXPECT_EQ(source_excerpt({file, 0, 0}), "");
  EXPECT_EQ(source_excerpt({file, 99, 99}), "");
}

TEST(WarningsText, IsALineEachOrAllThereIs) {
  const auto file = source("FROM x as A\n");
  const std::vector<parser::Warning> one{{&parser::rules::kStageNameCasing, "text", {file, 1, 1}}};
  EXPECT_EQ(warnings_text(one, false),
            "\n 1 warning found (use --debug to expand):\n - StageNameCasing: text (line 1)\n");
  const std::vector<parser::Warning> two{one[0],
                                         {&parser::rules::kInvalidBaseImagePlatform, "more", {}}};
  EXPECT_EQ(warnings_text(two, false),
            "\n 2 warnings found (use --debug to expand):\n - StageNameCasing: text (line 1)\n"
            " - InvalidBaseImagePlatform: more\n");
  const std::string all = warnings_text(two, true);
  EXPECT_THAT(all, HasSubstr(" 2 warnings found:\n - StageNameCasing: text (line 1)\n"));
  EXPECT_THAT(
      all,
      HasSubstr("\nMore info: "
                "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/\nDockerfile:1\n"));
  EXPECT_EQ(warnings_text({}, true), "");
}

LintResults checked(const std::string& text) {
  const auto file = source(text);
  parser::Linter linter;
  parser::parse(file, &linter);
  return {file, linter.warnings(), {}};
}

TEST(LintDocument, IsText) {
  EXPECT_EQ(lint_text(checked("FROM x\n")), "Check complete, no warnings found.\n");
  EXPECT_EQ(lint_text(checked("FROM x\nMAINTAINER m\n")),
            "Check complete, 1 warning has been found!\n\n"
            "WARNING: MaintainerDeprecated - "
            "https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/\n"
            "Maintainer instruction is deprecated in favor of using label\nDockerfile:2\n"
            "--------------------\n   1 |     FROM x\n   2 | >>> MAINTAINER m\n   3 |     \n"
            "--------------------\n");
  // In the order of the file, however they were found.
  const std::string two = lint_text(checked("from x\nMAINTAINER m\nRUN a\n"));
  EXPECT_THAT(two,
              HasSubstr("2 warnings have been found!\n\nWARNING: ConsistentInstructionCasing"));
}

TEST(LintDocument, IsJsonWithBuildKitsNames) {
  auto results = checked("FROM x\nMAINTAINER m \\\n x\n");
  results.error = error_at({results.source, 1, 1}, "not found");
  const auto json = nlohmann::json::parse(lint_json(results));
  const auto& warning = json.at("warnings").at(0);
  EXPECT_EQ(warning.at("ruleName"), "MaintainerDeprecated");
  EXPECT_EQ(warning.at("url"), "https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/");
  EXPECT_EQ(warning.at("detail"), "Maintainer instruction is deprecated in favor of using label");
  EXPECT_FALSE(warning.at("description").get<std::string>().empty());
  // One range per line.
  EXPECT_EQ(
      warning.at("location").dump(),
      R"({"ranges":[{"end":{"line":2},"start":{"line":2}},{"end":{"line":3},"start":{"line":3}}]})");
  EXPECT_EQ(json.at("sources").at(0).at("filename"), "Dockerfile");
  EXPECT_EQ(json.at("sources").at(0).at("data"), "RlJPTSB4Ck1BSU5UQUlORVIgbSBcCiB4Cg==");
  EXPECT_EQ(json.at("buildError").at("message"), "not found");
  EXPECT_EQ(json.at("buildError").at("location").at("ranges").size(), 1u);
  const auto clean = nlohmann::json::parse(lint_json(checked("FROM x\n")));
  EXPECT_TRUE(clean.at("warnings").is_null());
  EXPECT_FALSE(clean.contains("buildError"));
}

Outline outline() {
  Outline outline;
  outline.name = "app";
  outline.description = "what it is";
  outline.args = {{"GO_VERSION", "1.22", "sets the version", {nullptr, 2, 2}}, {"X", "", "", {}}};
  outline.secrets = {{"token", true, {}}, {"other", false, {}}};
  outline.ssh = {{"default", false, {}}};
  outline.caches = {{"/var/cache", {}}};
  return outline;
}

TEST(OutlineDocument, IsText) {
  EXPECT_EQ(outline_text(outline()),
            "TARGET:      app\nDESCRIPTION: what it is\n\n"
            "BUILD ARG    VALUE   DESCRIPTION\nGO_VERSION   1.22    sets the version\n"
            "X                    \n\n"
            "SECRET   REQUIRED\ntoken    true\nother    \n\n"
            "SSH       REQUIRED\ndefault   \n\n"
            "CACHE MOUNT\n/var/cache\n\n");
  EXPECT_EQ(outline_text({}), "");
}

TEST(OutlineDocument, IsJsonWithBuildKitsNames) {
  const auto json = nlohmann::json::parse(outline_json(outline(), {"Dockerfile", "x"}));
  EXPECT_EQ(json.at("name"), "app");
  EXPECT_EQ(json.at("args").at(0).at("value"), "1.22");
  EXPECT_EQ(json.at("args").at(0).at("location").at("ranges").at(0).at("start").at("line"), 2);
  EXPECT_FALSE(json.at("args").at(1).contains("value"));
  EXPECT_EQ(json.at("secrets").at(0).at("required"), true);
  EXPECT_FALSE(json.at("secrets").at(1).contains("required"));
  EXPECT_EQ(json.at("ssh").at(0).at("name"), "default");
  EXPECT_EQ(json.at("cache").at(0).at("ID"), "/var/cache");
  EXPECT_EQ(json.at("sources").at(0), "eA==");
}

TEST(TargetsDocument, HasAllStagesAndTheDefault) {
  const auto file = parser::parse(
      source("# build makes it\nFROM debian AS build\nFROM --platform=$BUILDPLATFORM build\n"));
  EXPECT_EQ(targets_text(file), "TARGET    DESCRIPTION\nbuild     makes it\n(default) \n");
  const auto json = nlohmann::json::parse(targets_json(file)).at("targets");
  EXPECT_EQ(json.at(0).at("name"), "build");
  EXPECT_EQ(json.at(0).at("description"), "makes it");
  EXPECT_EQ(json.at(0).at("base"), "debian");
  EXPECT_FALSE(json.at(0).contains("default"));
  EXPECT_EQ(json.at(1).at("default"), true);
  EXPECT_EQ(json.at(1).at("platform"), "$BUILDPLATFORM");
  EXPECT_FALSE(json.at(1).contains("name"));
}

TEST(MethodsDocument, ListsThem) {
  EXPECT_THAT(methods_text(), HasSubstr("subrequests.describe 1.0.0   "));
  EXPECT_EQ(nlohmann::json::parse(methods_json()).at(0).at("name"), "frontend.outline");
}

}  // namespace
}  // namespace lade
