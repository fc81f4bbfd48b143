// Checks that need variables, base images or .dockerignore. The messages are BuildKit's, which
// people search for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "parser/parse.hpp"
#include "solver/lower/lint.hpp"
#include "solver/lower/lower.hpp"
#include "support.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

using Lines = std::vector<std::string>;

/// A build whose warnings are looked at: "LINE RULE: MESSAGE".
struct Linting {
  explicit Linting(std::string dockerfile) : lowering(dockerfile), text(std::move(dockerfile)) {}

  Lines run() {
    const auto file = std::make_shared<const SourceFile>(SourceFile{"Dockerfile", text});
    parser::Linter linter(parser::lint_config(file, {}));
    lowering.options.linter = &linter;
    failure = error_of([&] { lower(parser::parse(file), lowering.options, lowering.images); });
    Lines out;
    for (const auto& warning : linter.warnings()) {
      out.push_back(std::to_string(warning.range.first_line) + " " +
                    std::string(warning.rule->name) + ": " + warning.message);
    }
    return out;
  }

  Lowering lowering;
  std::string text;
  std::string failure;
};

Lines lint(const std::string& dockerfile) {
  Linting linting(dockerfile);
  const Lines lines = linting.run();
  EXPECT_EQ(linting.failure, "") << dockerfile;
  return lines;
}

struct Case {
  std::string dockerfile;
  Lines warnings;
};

void expect_all(const std::vector<Case>& cases) {
  for (const auto& [dockerfile, warnings] : cases)
    EXPECT_EQ(lint(dockerfile), warnings) << dockerfile;
}

/// `instructions` after "FROM debian", which is line 1.
void expect_after_from(const std::vector<Case>& cases) {
  for (const auto& [instructions, warnings] : cases) {
    EXPECT_EQ(lint("FROM debian\n" + instructions), warnings) << instructions;
  }
}

std::string undefined(const std::string& line, const std::string& name,
                      const std::string& more = "") {
  return line + " UndefinedVar: Usage of undefined variable '$" + name + "'" + more;
}

TEST(LowerLint, UndefinedVar) {
  expect_after_from({
      {"ENV a=$foo", {undefined("2", "foo")}},
      {"LABEL a=$foo b=${bar}", {undefined("2", "foo"), undefined("2", "bar")}},
      {"WORKDIR /$foo", {undefined("2", "foo")}},
      {"USER u$foo", {undefined("2", "foo")}},
      {"VOLUME /$foo", {undefined("2", "foo")}},
      {"STOPSIGNAL ${foo}9", {undefined("2", "foo")}},
      {"COPY --chown=$foo a$foo /b", {undefined("2", "foo"), undefined("2", "foo")}},
      {"COPY <<E /x\n$foo\nE", {undefined("2", "foo")}},
      {"ARG a=$foo", {undefined("2", "foo")}},
      {"RUN --mount=type=cache,target=/x$foo x", {undefined("2", "foo")}},
      {"ENV a=${foo:-x}", {undefined("2", "foo")}},
      {"ENV PATHS=1\nENV b=$PATHSS", {undefined("3", "PATHSS", " (did you mean $PATHS?)")}},
      {"ENV b=$PHAT", {undefined("2", "PHAT", " (did you mean $PATH?)")}},
      // Declared without a value is declared; RUN, CMD and EXPOSE are left to others.
      {"ARG foo\nENV a=$foo", {}},
      {"RUN echo $foo\nCMD [\"$foo\"]\nRUN <<E\n$foo\nE", {}},
      {"ENV a=$PATH b='$foo' c=\\$foo", {}},
      {"COPY <<'E' /x\n$foo\nE", {}},
      {"EXPOSE $foo", {}},
      {"# check=skip=UndefinedVar\nENV a=$foo\nENV b=$other", {undefined("4", "other")}},
  });
}

TEST(LowerLint, UndefinedVarIsSaidOfWhatCannotBeExpanded) {
  Linting linting("FROM debian\nENV a=${foo:?gone}\n");
  EXPECT_THAT(linting.run(), ElementsAre(undefined("2", "foo")));
  EXPECT_THAT(linting.failure, HasSubstr("foo: gone"));
}

TEST(LowerLint, AnArgumentThatWasGivenHidesItsDefault) {
  Linting linting("FROM debian\nARG a=$foo\n");
  linting.lowering.options.build_args = {{"a", "1"}};
  EXPECT_THAT(linting.run(), IsEmpty());
}

TEST(LowerLint, UndefinedVarKnowsWhatTheBaseStageDeclared) {
  EXPECT_THAT(lint("FROM debian AS a\nARG foo\nFROM a\nENV b=$foo c=$bar"),
              ElementsAre(undefined("4", "bar")));
}

TEST(LowerLint, UndefinedArgInFrom) {
  const auto message = [](const std::string& rest) {
    return "UndefinedArgInFrom: FROM argument " + rest;
  };
  expect_all({
      {"FROM debian$foo", {"1 " + message("'foo' is not declared")}},
      {"ARG VERSION\nFROM debian$VERSIO",
       {"2 " + message("'VERSIO' is not declared (did you mean VERSION?)")}},
      {"FROM --platform=${BUILDPLATFROM:-linux/amd64} debian",
       {"1 " + message("'BUILDPLATFROM' is not declared (did you mean BUILDPLATFORM?)")}},
      {"ARG foo\nFROM debian$foo", {}},
      {"FROM --platform=$BUILDPLATFORM debian", {}},
      // A stage's own ARG is nothing to FROM.
      {"FROM debian AS a\nARG foo\nFROM debian$foo", {"3 " + message("'foo' is not declared")}},
  });
}

TEST(LowerLint, InvalidDefaultArgInFrom) {
  const auto message = [](const std::string& image) {
    return "InvalidDefaultArgInFrom: Default value for ARG " + image +
           " results in empty or invalid base image name";
  };
  Linting linting(
      "ARG image\nARG tag=12\nFROM $image\nFROM debian:$image\nFROM debian:${image:-1}\n"
      "FROM debian:$tag\nFROM scratch");
  linting.lowering.options.build_args = {{"image", "debian"}};
  EXPECT_THAT(linting.run(),
              ElementsAre("3 " + message("$image"), "4 " + message("debian:$image")));
  EXPECT_EQ(linting.failure, "");
}

TEST(LowerLint, Platforms) {
  const std::string redundant =
      "1 RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is "
      "redundant as this is the default behavior";
  const auto constant = [](const std::string& platform) {
    return "1 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "
           "\"" +
           platform + "\"";
  };
  expect_all({
      {"FROM --platform=$TARGETPLATFORM debian", {redundant}},
      {"FROM --platform=$BUILDPLATFORM debian", {}},
      {"FROM --platform=${TARGETOS}/${TARGETARCH} debian", {}},
      {"FROM --platform=linux/amd64 debian", {constant("linux/amd64")}},
      {"FROM --platform=linux/amd64 debian AS build", {constant("linux/amd64")}},
      {"FROM --platform=x86_64 debian", {constant("x86_64")}},
      // A name that says so means it.
      {"FROM --platform=linux/amd64 debian AS build_amd64", {}},
      {"FROM --platform=linux/arm64 debian AS for-linux", {}},
  });
}

TEST(LowerLint, InvalidBaseImagePlatform) {
  struct OnePlatform : FakeImages {
    BaseImage resolve(const std::string& source, const Platform& platform) override {
      BaseImage image = FakeImages::resolve(source, platform);
      image.config.platform = Platform::parse("linux/arm64");
      return image;
    }
  } images;
  images.add("docker-image://debian");
  LowerOptions options;
  options.build_platform = Platform::parse("linux/amd64");
  parser::Linter linter;
  options.linter = &linter;
  const auto file = parser::parse(std::make_shared<const SourceFile>(SourceFile{
      "Dockerfile", "FROM debian AS a\nFROM --platform=linux/arm64 debian\nCOPY --from=a / /"}));
  lower(file, options, images);
  ASSERT_THAT(linter.warnings(), SizeIs(2));
  EXPECT_EQ(linter.warnings()[0].rule, &parser::rules::kFromPlatformFlagConstDisallowed);
  EXPECT_EQ(linter.warnings()[1].message,
            "Base image debian was pulled with platform \"linux/arm64\", expected \"linux/amd64\" "
            "for current build");
  EXPECT_EQ(linter.warnings()[1].range.first_line, 1);
}

TEST(LowerLint, WorkdirRelativePath) {
  const std::string message =
      " WorkdirRelativePath: Relative workdir \"app\" can have unexpected results if the base "
      "image changes";
  expect_after_from({{"WORKDIR app\nWORKDIR more", {"2" + message}},
                     {"ENV d=app\nWORKDIR $d", {"3" + message}},
                     {"WORKDIR /x\nWORKDIR app", {}},
                     {"ENV d=/app\nWORKDIR $d", {}}});
  EXPECT_THAT(lint("FROM debian AS a\nWORKDIR /x\nFROM a\nWORKDIR app"), IsEmpty());
}

TEST(LowerLint, MultipleInstructionsDisallowed) {
  const auto message = [](const std::string& name) {
    return "MultipleInstructionsDisallowed: Multiple " + name +
           " instructions should not be used in the same stage because only the last one will be "
           "used";
  };
  expect_after_from(
      {{"CMD [\"a\"]\nCMD [\"b\"]\nCMD [\"c\"]", {"2 " + message("CMD"), "3 " + message("CMD")}},
       {"entrypoint [\"a\"]\nENTRYPOINT [\"b\"]", {"2 " + message("ENTRYPOINT")}},
       {"HEALTHCHECK NONE\nHEALTHCHECK CMD a", {"2 " + message("HEALTHCHECK")}},
       {"CMD [\"a\"]\nENTRYPOINT [\"b\"]\nHEALTHCHECK NONE", {}}});
  EXPECT_THAT(lint("FROM debian AS a\nCMD [\"a\"]\nFROM a\nCMD [\"b\"]"), IsEmpty());
}

TEST(LowerLint, JsonArgsRecommended) {
  const auto message = [](const std::string& name) {
    return "JSONArgsRecommended: JSON arguments recommended for " + name +
           " to prevent unintended behavior related to OS signals";
  };
  expect_after_from({{"CMD a b", {"2 " + message("CMD")}},
                     {"entrypoint a", {"2 " + message("entrypoint")}},
                     {"CMD [\"a\"]\nENTRYPOINT [\"b\"]\nRUN c\nHEALTHCHECK CMD d", {}},
                     // Whoever chose the shell wants it.
                     {"SHELL [\"/bin/bash\", \"-c\"]\nCMD a", {}}});
}

TEST(LowerLint, LegacyKeyValueFormat) {
  const auto message = [](const std::string& name) {
    return "2 LegacyKeyValueFormat: \"" + name +
           " key=value\" should be used instead of legacy \"" + name + " key value\" format";
  };
  expect_after_from({{"ENV a b", {message("ENV")}},
                     {"env a b c", {message("env")}},
                     {"LABEL a b", {message("LABEL")}},
                     {"ENV a=b\nLABEL a=\"b c\"", {}}});
}

TEST(LowerLint, SecretsUsedInArgOrEnv) {
  const auto message = [](const std::string& what) {
    return "2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (" +
           what + ")";
  };
  expect_after_from({
      {"ARG GITHUB_TOKEN", {message("ARG \"GITHUB_TOKEN\"")}},
      {"ENV a=1 DATABASE_PASSWORD=x", {message("ENV \"DATABASE_PASSWORD\"")}},
      {"ENV auth=x", {message("ENV \"auth\"")}},
      {"ARG secret_message=x", {message("ARG \"secret_message\"")}},
      {"ARG AWS_CREDENTIALS", {message("ARG \"AWS_CREDENTIALS\"")}},
      {"ENV MONKEY=x tokens=y AUTHOR=me", {}},
      {"ENV PASSWORD_FILE=/x PUBLIC_KEY=x KEY_VERSION=1", {}},
  });
  EXPECT_THAT(lint("ARG API_KEY=x\nFROM debian"), IsEmpty());
}

TEST(LowerLint, Expose) {
  const auto casing = [](const std::string& port) {
    return "2 ExposeProtoCasing: Defined protocol '" + port +
           "' in EXPOSE instruction should be lowercase";
  };
  const auto format = [](const std::string& port) {
    return "2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port "
           "mapping, found '" +
           port + "'";
  };
  expect_after_from(
      {{"EXPOSE 80/TCP", {casing("80/TCP")}},
       {"EXPOSE 80/tcp 81 82-83/udp", {}},
       {"EXPOSE 8080:80", {format("8080:80")}},
       {"EXPOSE 127.0.0.1:8080:80", {format("127.0.0.1:8080:80")}},
       {"EXPOSE 127.0.0.1::80/Udp", {casing("127.0.0.1::80/Udp"), format("127.0.0.1::80/Udp")}},
       {"EXPOSE [::1]:8080:80", {format("[::1]:8080:80")}},
       {"EXPOSE :80 ::81", {}}});
}

TEST(LowerLint, CopyIgnoredFile) {
  const auto message = [](const std::string& verb, const std::string& file) {
    return "2 CopyIgnoredFile: Attempting to " + verb + " file \"" + file +
           "\" that is excluded by .dockerignore";
  };
  struct IgnoreCase {
    Lines patterns;
    std::string instruction;
    Lines warnings;
  };
  const IgnoreCase cases[] = {
      {{"a.txt"}, "COPY a.txt /", {message("Copy", "a.txt")}},
      {{"a.txt"}, "ADD ./a.txt b.txt /", {message("Add", "a.txt")}},
      {{"dir"}, "COPY dir/sub/../x /", {message("Copy", "dir/x")}},
      {{"*.txt"}, "COPY *.txt /x/", {message("Copy", "*.txt")}},
      {{"a.txt"}, "COPY b.txt /", {}},
      {{"a.txt"}, "COPY . /", {}},
      {{"a.txt"}, "COPY /a.txt /", {}},
      {{"*"}, "COPY . /", {message("Copy", ".")}},
      {{"**"}, "COPY / /", {message("Copy", "/")}},
      {{"*"}, "COPY /a.txt /", {message("Copy", "/a.txt")}},
      // With "!" nothing can be said for certain.
      {{"*", "!b.txt"}, "COPY a.txt /", {}},
      {{}, "COPY a.txt /", {}},
      {{"a.txt"}, "COPY --from=debian a.txt /", {}},
      {{"a"}, "COPY <<a /\na", {}},
  };
  for (const auto& one : cases) {
    Linting linting("FROM debian\n" + one.instruction);
    linting.lowering.options.ignore_patterns = one.patterns;
    EXPECT_EQ(linting.run(), one.warnings) << one.instruction;
    EXPECT_EQ(linting.failure, "");
  }
}

TEST(LowerLint, LooksAtWhatTheTargetNeedsUnlessAskedForAll) {
  const std::string text = "FROM debian AS a\nCMD a\nFROM debian AS b\nCMD b\nFROM a\n";
  EXPECT_THAT(lint(text), ElementsAre(HasSubstr("2 JSON")));
  Linting linting(text);
  linting.lowering.options.all_stages = true;
  EXPECT_THAT(linting.run(), ElementsAre(HasSubstr("2 JSON"), HasSubstr("4 JSON")));
}

TEST(LowerLint, ErrorsEndLoweringOnceAllWasSaid) {
  Linting linting("# check=error=true\nFROM debian\nCMD a\nENV b=$foo\n");
  EXPECT_THAT(linting.run(), SizeIs(2));
  EXPECT_EQ(linting.failure, "lint violation found for rules: JSONArgsRecommended, UndefinedVar");
  Linting fine("# check=error=true\nFROM debian\nCMD [\"a\"]\n");
  EXPECT_THAT(fine.run(), IsEmpty());
  EXPECT_EQ(fine.failure, "");
}

TEST(LowerLint, TriggersAreCheckedAtTheFromThatBroughtThem) {
  Linting linting("FROM debian\n");
  ContainerConfig config;
  config.on_build = {"CMD a", "ENV b=$foo"};
  linting.lowering.images.add("docker-image://debian", config);
  EXPECT_THAT(linting.run(), ElementsAre(HasSubstr("1 JSON"), undefined("1", "foo")));
}

// ------------------------------------------------------------------------------------- the outline

std::string describe(const Outline& outline) {
  std::string out = outline.name + ":" + outline.description;
  for (const auto& arg : outline.args) {
    out += "\n" + std::to_string(arg.range.first_line) + " arg " + arg.name + "=" + arg.value +
           " " + arg.description;
  }
  for (const auto& secret : outline.secrets) {
    out += "\n" + std::to_string(secret.range.first_line) + " secret " + secret.name +
           (secret.required ? " required" : "");
  }
  for (const auto& ssh : outline.ssh)
    out += "\nssh " + ssh.name + (ssh.required ? " required" : "");
  for (const auto& cache : outline.caches) out += "\ncache " + cache.id;
  return out;
}

std::string outline_of(const std::string& text, const std::string& target = "",
                       std::map<std::string, std::string> build_args = {}) {
  Lowering lowering(text);
  Outline outline;
  lowering.options.outline = &outline;
  lowering.options.target = target;
  lowering.options.build_args = std::move(build_args);
  lowering.run();
  return describe(outline);
}

TEST(LowerOutline, HasTheArgumentsThatTheTargetUses) {
  const std::string text =
      "# IMAGE which one\nARG IMAGE=debian\nARG TAG=v${IMAGE}\nARG UNUSED=1\n"
      "FROM ${IMAGE} AS base\nARG LOCAL=2\n"
      "FROM debian AS other\nARG ELSEWHERE\n"
      "# app what it is\nFROM base AS app\nARG TAG\n# MODE how\nARG MODE=fast\n";
  EXPECT_EQ(outline_of(text),
            "app:what it is\n2 arg IMAGE=debian which one\n3 arg TAG=vdebian \n6 arg LOCAL=2 \n"
            "13 arg MODE=fast how");
  EXPECT_EQ(outline_of(text, "other"), "other:\n8 arg ELSEWHERE= ");
  // One that is given is the stage's own.
  EXPECT_EQ(outline_of(text, "", {{"MODE", "slow"}, {"TAG", "x"}}),
            "app:what it is\n2 arg IMAGE=debian which one\n6 arg LOCAL=2 \n11 arg TAG=x \n"
            "13 arg MODE=slow how");
}

TEST(LowerOutline, HasSecretsAgentsAndCachesOfAllStagesBelow) {
  EXPECT_EQ(outline_of("FROM debian AS a\n"
                       "RUN --mount=type=secret,id=s --mount=type=ssh x\n"
                       "RUN --mount=type=secret,target=/run/t,required=true x\n"
                       "FROM debian\n"
                       "RUN --mount=type=secret,id=s,required=true x\n"
                       "RUN --mount=type=cache,target=/var//c --mount=type=cache,id=i,target=/d x\n"
                       "RUN --mount=type=ssh,id=k,required=true x\n"
                       "RUN --mount=type=secret,source=u x\n"
                       "COPY --from=a / /\n"),
            ":\n3 secret t required\n5 secret s required\n8 secret u\nssh default\nssh k required\n"
            "cache /var/c\ncache i");
}

TEST(LowerOutline, FollowsDefaultsOfDefaults) {
  EXPECT_EQ(outline_of("ARG A=1\nARG B=$A\nARG A=${A}2\nARG C=$B\nARG D=4\nFROM debian\nARG C\n"),
            ":\n2 arg B=1 \n3 arg A=12 \n4 arg C=1 ");
}

}  // namespace
}  // namespace lade
