// Stages: which are built, what they are FROM, variables across them, ONBUILD, platforms, named
// contexts.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.hpp"
#include "support.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

using Words = std::vector<std::string>;

std::string run_text(const LoweredImage& image) {
  return last_exec(image).args.back();
}

TEST(LowerStages, EachOfSeveralStagesHasAllOfTheStageThatItIsFrom) {
  const std::string base = "FROM debian AS a\nARG X=1\nENV A=$X\nLABEL l=a\n";
  const std::string text =
      base +
      "FROM a AS b\nENV B=$A\nRUN echo $X $A $B\nFROM a AS c\nENV C=$A\nRUN echo $X $A $C\n"
      "FROM b AS d\nENV D=$A$B\nRUN echo $X $A $B $D\nFROM scratch\nCOPY --from=c / /c\n"
      "COPY --from=d / /d\n";
  for (const bool all : {false, true}) {
    for (const auto& [target, history] : {std::pair("a", 3u), {"b", 5u}, {"c", 5u}, {"d", 7u}}) {
      Lowering lowering(text);
      lowering.options.target = target;
      lowering.options.all_stages = all;
      const auto image = lowering.run();
      EXPECT_EQ(image.config.history.size(), history) << target;
      EXPECT_THAT(image.config.config.env, Contains("A=1")) << target;
      EXPECT_EQ(image.config.config.labels.at("l"), "a") << target;
    }
  }
}

TEST(LowerStages, AVariableThatIsSetOverAndOverKeepsItsLastValueAndItsPlace) {
  std::string text = "FROM debian AS s0\nENV A=a B=b\n";
  for (int i = 1; i < 200; ++i) {
    text += fmt::format("FROM s{} AS s{}\nENV B={}\n", i - 1, i, i);
    if (i % 50 == 0) text += fmt::format("ENV A={}\n", i);
  }
  const auto image = lowered(text + "RUN echo $A $B\n");
  EXPECT_THAT(image.config.config.env, testing::IsSupersetOf({"A=150", "B=199"}));
  EXPECT_EQ(run_text(image), "echo $A $B");
  EXPECT_EQ(image.config.history.size(), 1u + 199u + 3u + 1u);
}

TEST(LowerStages, OnlyWhatTheTargetNeedsIsInTheGraphAndResolved) {
  Lowering lowering(
      "FROM debian AS used\nRUN a\nFROM missing AS unused\nRUN b\nFROM debian AS other\nRUN c\n"
      "FROM scratch\nCOPY --from=used /x /x\n");
  const auto image = lowering.run();
  EXPECT_THAT(graph(image), ElementsAre("0 source docker-image://debian@sha256:1",
                                        "1 source scratch", "2 exec 0", "3 file 1 2"));
  EXPECT_THAT(lowering.images.asked, ElementsAre("docker-image://debian linux/amd64"));
}

TEST(LowerStages, StepsThatNothingReadsAreNotInTheGraph) {
  // The instruction is gone through for the config's sake; its context is not loaded.
  Lowering lowering("FROM debian AS a\nCOPY x /x\nFROM debian AS b\nFROM missing AS c\n");
  lowering.options.target = "b";
  EXPECT_THAT(graph(lowering.run()), ElementsAre("0 source docker-image://debian@sha256:1"));
}

TEST(LowerStages, AnImageOfSeveralStagesIsOneVertex) {
  const auto image = lowered("FROM debian AS a\nRUN one\nFROM debian\nCOPY --from=a / /\n");
  EXPECT_THAT(graph(image),
              ElementsAre("0 source docker-image://debian@sha256:1", "1 exec 0", "2 file 0 1"));
}

TEST(LowerStages, ImageSourcesCarryTheirChainAndPlatform) {
  const auto image = lowered("FROM debian\n");
  const Vertex& vertex = root_vertex(image);
  const auto& op = std::get<SourceOp>(vertex.op);
  EXPECT_EQ(op.attrs.at("chain"), Digest::of("docker-image://debian").str());
  EXPECT_EQ(vertex.platform, "linux/amd64");
  EXPECT_EQ(vertex.name, "[1/1] FROM debian");
  EXPECT_EQ(to_string(vertex.range), "Dockerfile:1");
}

TEST(LowerStages, AnImageWithoutLayersIsScratch) {
  Lowering lowering("FROM empty\nRUN x\n");
  lowering.images.add("docker-image://empty");
  lowering.images.images["docker-image://empty"].config.diff_ids.clear();
  EXPECT_THAT(graph(lowering.run()), ElementsAre("0 source scratch", "1 exec 0"));
}

TEST(LowerStages, NamesAreCaseInsensitiveButInFrom) {
  Lowering lowering(
      "FROM debian AS Base\nRUN base\nFROM base AS next\nRUN next\nFROM scratch\nCOPY --from=NeXt "
      "/ /\n");
  lowering.options.target = "NEXT";
  EXPECT_EQ(run_text(lowering.run()), "next");
  lowering.options.target.clear();
  EXPECT_EQ(graph(lowering.run()).back(), "4 file 1 3");
  EXPECT_THAT(Lowering("FROM debian AS Base\nFROM BASE\n").error(),
              HasSubstr(":2: failed to parse stage name 'BASE'"));
}

TEST(LowerStages, CopyFromANumberIsAStagesIndex) {
  const auto image = lowered(
      "FROM debian AS a\nRUN a\nFROM debian AS b\nRUN b\nFROM scratch\nCOPY --from=1 / /\n");
  EXPECT_EQ(run_text(image), "b");
}

TEST(LowerStages, AStageBeatsAnImageOfTheSameName) {
  const auto image = lowered("FROM scratch AS debian\nRUN mine\nFROM debian\nRUN next\n");
  EXPECT_THAT(graph(image), ElementsAre("0 source scratch", "1 exec 0", "2 exec 1"));
}

TEST(LowerStages, ALaterStageOfANameBeatsAnEarlierOne) {
  const auto image = lowered("FROM scratch AS a\nRUN one\nFROM scratch AS a\nRUN two\nFROM a\n");
  EXPECT_EQ(run_text(image), "two");
}

TEST(LowerStages, CopyFromAnUnknownNameIsAnImage) {
  const auto image = lowered("FROM scratch\nCOPY --from=debian /a /b\n");
  EXPECT_THAT(graph(image), ElementsAre("0 source scratch",
                                        "1 source docker-image://debian@sha256:1", "2 file 0 1"));
  EXPECT_EQ(names(image).at(1), "FROM debian");
}

TEST(LowerStages, StepNamesCountTheStagesSteps) {
  const auto image = lowered(
      "FROM debian AS build\nENV a=b\nRUN make $a $unset\nWORKDIR /w\nFROM scratch\n"
      "copy --from=build /x /x\nADD y /y\n");
  EXPECT_THAT(names(image),
              ElementsAre("[build 1/3] FROM debian", "", "[build 2/3] RUN make b $unset",
                          "[build 3/3] WORKDIR /w", "[stage-1 1/2] COPY --from=build /x /x",
                          "[internal] load build context", "[stage-1 2/2] ADD y /y"));
}

TEST(LowerStages, ASoleStageHasNoLabel) {
  EXPECT_THAT(names(lowered("FROM debian AS build\nRUN x\n")),
              ElementsAre("[1/2] FROM debian", "[2/2] RUN x"));
}

TEST(LowerStages, ManyStepsAreAligned) {
  std::string text = "FROM debian\n";
  for (int i = 0; i < 10; ++i) text += "RUN x\n";
  const auto all = names(lowered(text));
  EXPECT_EQ(all.front(), "[ 1/11] FROM debian");
  EXPECT_EQ(all.back(), "[11/11] RUN x");
}

// -- errors

TEST(LowerStages, AMissingTargetSuggestsANearOne) {
  Lowering lowering("FROM scratch AS builder\nFROM scratch\n");
  lowering.options.target = "bulder";
  EXPECT_EQ(lowering.error(),
            "target stage \"bulder\" could not be found\nhint: did you mean builder?");
  lowering.options.target = "zzzzzzzz";
  EXPECT_EQ(lowering.error(), "target stage \"zzzzzzzz\" could not be found");
}

TEST(LowerStages, WrongReferencesAreErrorsWithTheirLines) {
  const std::pair<const char*, const char*> cases[] = {
      {"FROM scratch\nCOPY --from=1 a b\n", "Dockerfile:2: invalid stage index 1"},
      {"FROM scratch\nCOPY --from=99999999999999999999 a b\n",
       "Dockerfile:2: invalid stage index 99999999999999999999"},
      {"FROM scratch AS a\nCOPY --from=a a b\n",
       "Dockerfile:2: circular dependency detected on stage: a"},
      {"FROM scratch AS a\nCOPY --from=b a b\nFROM scratch AS b\nCOPY --from=a a b\n",
       "Dockerfile:4: circular dependency detected on stage: a"},
      {"FROM scratch AS a\nCOPY --from=b a b\nFROM scratch AS b\nFROM a\n",
       "Dockerfile:2: cannot copy from stage \"b\", it needs to be defined before current stage "
       "\"a\""},
      {"FROM scratch AS a\nRUN --mount=from=b,target=/m x\nFROM scratch AS b\nFROM a\n",
       "Dockerfile:2: cannot mount from stage \"b\" to \"/m\", stage needs to be defined before "
       "current "
       "command"},
      {"ARG v=a\nFROM scratch\nCOPY --from=$v a b\n",
       "Dockerfile:3: variable expansion is not supported for --from, define a new stage with FROM "
       "using ARG "
       "from global scope as a workaround"},
      {"FROM $unset\n", "Dockerfile:1: base name ($unset) should not be blank"},
      {"FROM --platform=$unset debian\n",
       "Dockerfile:1: empty platform value from expression $unset"},
      {"FROM scratch\nFROM missing\n", "Dockerfile:2: docker-image://missing: not found"},
      {"FROM scratch\nCOPY --from=missing a b\n",
       "Dockerfile:2: docker-image://missing: not found"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(Lowering(text).error(), message);
}

TEST(LowerStages, ABadPlatformNamesItsLine) {
  EXPECT_THAT(Lowering("FROM scratch AS a\nFROM --platform=a/b/c/d debian\n").error(),
              HasSubstr("Dockerfile:2: "));
}

TEST(LowerStages, ThousandsOfStagesDoNotOverflowTheStack) {
  std::string text = "FROM debian AS s0\n";
  for (int i = 1; i < 3000; ++i)
    text += "FROM s" + std::to_string(i - 1) + " AS s" + std::to_string(i) + "\n";
  text += "FROM s2999\nRUN x\n";
  EXPECT_THAT(graph(lowered(text)),
              ElementsAre("0 source docker-image://debian@sha256:1", "1 exec 0"));
}

// -- variables

TEST(LowerVariables, GlobalArgsReachAStageOnlyWhenRedeclared) {
  const auto image =
      lowered("ARG v=global\nFROM scratch\nENV a=$v\nARG v\nENV b=$v\nARG v=own\nENV c=$v\n");
  const auto& config = image.config.config;
  EXPECT_EQ(config.get_env("a"), "");
  EXPECT_EQ(config.get_env("b"), "global");
  EXPECT_EQ(config.get_env("c"), "own");
}

TEST(LowerVariables, GlobalArgsSeeEarlierOnesAndNameBases) {
  Lowering lowering("ARG name=deb\nARG full=${name}ian\nFROM $full\n");
  lowering.run();
  EXPECT_THAT(lowering.images.asked, ElementsAre("docker-image://debian linux/amd64"));
  lowering.options.build_args = {{"full", "missing"}};
  EXPECT_THAT(lowering.error(), HasSubstr("docker-image://missing"));
}

TEST(LowerVariables, BuildArgsBeatDefaultsOfGlobalAndStageArgs) {
  Lowering lowering(
      "ARG g=1\nFROM scratch\nARG g\nARG s=1\nARG undeclared_default\nENV all=$g-$s-$other\n");
  lowering.options.build_args = {{"g", "A"}, {"s", "B"}, {"other", "C"}};
  EXPECT_EQ(lowering.run().config.config.get_env("all"), "A-B-");
}

TEST(LowerVariables, AnArgWithoutAValueStaysUnset) {
  const auto image = lowered("FROM scratch\nARG v\nENV a=${v-unset} b=${v:-empty}\nRUN x\n");
  EXPECT_EQ(image.config.config.get_env("a"), "unset");
  EXPECT_THAT(last_exec(image).env, Not(Contains(HasSubstr("v="))));
}

TEST(LowerVariables, AnInstructionSeesTheEnvironmentFromBeforeIt) {
  const auto image = lowered("FROM scratch\nENV a=1\nENV a=2 b=$a\n");
  EXPECT_EQ(image.config.config.get_env("b"), "1");
  EXPECT_EQ(image.config.config.get_env("a"), "2");
}

TEST(LowerVariables, TheLaterOfEnvAndArgWinsForSteps) {
  const auto env = [](const char* text) {
    const auto image = lowered(text);
    const auto& all = last_exec(image).env;
    for (const auto& variable : all) {
      if (variable.starts_with("v=")) return variable;
    }
    return std::string();
  };
  EXPECT_EQ(env("FROM scratch\nENV v=env\nARG v=arg\nRUN x\n"), "v=arg");
  EXPECT_EQ(env("FROM scratch\nARG v=arg\nENV v=env\nRUN x\n"), "v=env");
}

TEST(LowerVariables, ArgsAreInStepsButNotInTheConfig) {
  const auto image = lowered("FROM debian\nARG v=1\nRUN x\n");
  EXPECT_THAT(last_exec(image).env, ElementsAre("PATH=/bin", "v=1"));
  EXPECT_THAT(image.config.config.env, ElementsAre("PATH=/bin"));
}

TEST(LowerVariables, AStageInheritsItsParentsArgs) {
  const auto image = lowered("FROM scratch AS a\nARG v=1\nFROM a\nENV w=$v\nRUN x\n");
  EXPECT_EQ(image.config.config.get_env("w"), "1");
  EXPECT_EQ(history(image).back(), "RUN |1 v=1 /bin/sh -c x # buildkit");
}

TEST(LowerVariables, ProxiesReachTheProcessButNeitherHistoryNorEnvironment) {
  Lowering lowering("FROM scratch\nRUN x\n");
  lowering.options.build_args = {{"HTTP_PROXY", "http://p"}, {"no_proxy", "here"}};
  const auto image = lowering.run();
  const ExecOp& op = last_exec(image);
  EXPECT_EQ(op.proxy_env, (std::map<std::string, std::string>{{"HTTP_PROXY", "http://p"},
                                                              {"http_proxy", "http://p"},
                                                              {"NO_PROXY", "here"},
                                                              {"no_proxy", "here"}}));
  EXPECT_THAT(op.env, Not(Contains(HasSubstr("proxy"))));
  EXPECT_THAT(history(image), ElementsAre("RUN /bin/sh -c x # buildkit"));
  EXPECT_EQ(op_digest(root_vertex(image)),
            op_digest(root_vertex(lowered("FROM scratch\nRUN x\n"))));
}

TEST(LowerVariables, PlatformArgsDescribeBuildAndTarget) {
  Lowering lowering(
      "ARG TARGETARCH\nFROM --platform=$BUILDPLATFORM debian\n"
      "ARG BUILDPLATFORM\nARG BUILDOS\nARG BUILDARCH\nARG TARGETPLATFORM\nARG TARGETOS\nARG "
      "TARGETARCH\n"
      "ARG TARGETVARIANT\n"
      "ENV "
      "all=$BUILDPLATFORM,$BUILDOS,$BUILDARCH,$TARGETPLATFORM,$TARGETOS,$TARGETARCH,$"
      "TARGETVARIANT\n");
  lowering.options.target_platform = Platform::parse("linux/arm/v7");
  const auto image = lowering.run();
  EXPECT_EQ(image.config.config.get_env("all"),
            "linux/amd64,linux,amd64,linux/arm/v7,linux,arm,v7");
  EXPECT_THAT(lowering.images.asked, ElementsAre("docker-image://debian linux/amd64"));
  // The image says what was asked for, whatever its base was for.
  EXPECT_EQ(image.config.platform.str(), "linux/arm/v7");
}

TEST(LowerVariables, BasesAreResolvedForTheTargetPlatform) {
  Lowering lowering("FROM debian AS a\nFROM --platform=linux/386 debian AS b\nCOPY --from=a / /\n");
  lowering.options.target_platform = Platform::parse("linux/arm64");
  EXPECT_THAT(graph(lowering.run()),
              ElementsAre("0 source docker-image://debian@sha256:1",
                          "1 source docker-image://debian@sha256:1", "2 file 1 0"));
  EXPECT_THAT(lowering.images.asked,
              ElementsAre("docker-image://debian linux/arm64", "docker-image://debian linux/386"));
}

TEST(LowerVariables, TargetStageIsTheTargetsName) {
  const char* text =
      "FROM scratch AS one\nARG TARGETSTAGE\nENV t=$TARGETSTAGE\nFROM one AS two\nFROM one\n";
  const auto with_target = [&](const std::string& target) {
    Lowering lowering(text);
    lowering.options.target = target;
    return lowering.run().config.config.get_env("t");
  };
  EXPECT_EQ(with_target("two"), "two");
  EXPECT_EQ(with_target(""), "default");
  EXPECT_EQ(lowered("FROM scratch AS last\nARG TARGETSTAGE\nENV t=$TARGETSTAGE\n")
                .config.config.get_env("t"),
            "last");
}

TEST(LowerVariables, SourceDateEpochComesFromTheBuildArgOrAGlobalArg) {
  Lowering lowering("FROM scratch\nWORKDIR /a\n");
  EXPECT_EQ(lowering.run().source_date_epoch, std::nullopt);
  lowering.options.build_args = {{"SOURCE_DATE_EPOCH", "1700000000"}};
  const auto image = lowering.run();
  EXPECT_EQ(image.source_date_epoch, 1'700'000'000);
  EXPECT_EQ(std::get<MakeDirAction>(last_file(image).actions[0]).mtime, 1'700'000'000);
  EXPECT_EQ(lowered("ARG SOURCE_DATE_EPOCH=5\nFROM scratch\n").source_date_epoch, 5);
  lowering.options.build_args = {{"SOURCE_DATE_EPOCH", "soon"}};
  EXPECT_EQ(lowering.error(), "invalid SOURCE_DATE_EPOCH: 'soon' is not a number of seconds");
}

// -- ONBUILD

TEST(LowerOnbuild, TriggersOfTheBaseRunFirstAndAreGoneAfterwards) {
  Lowering lowering("FROM base\nRUN own\n");
  ContainerConfig config;
  config.on_build = {"ENV a=trigger", "RUN trigger"};
  lowering.images.add("docker-image://base", config);
  const auto image = lowering.run();
  EXPECT_THAT(image.config.config.on_build, IsEmpty());
  EXPECT_EQ(image.config.config.get_env("a"), "trigger");
  EXPECT_THAT(names(image), ElementsAre(testing::_, "[2/4] ONBUILD RUN trigger", "[3/4] RUN own"));
}

TEST(LowerOnbuild, TriggersOfAStageRunInItsChildrenOnly) {
  const auto image =
      lowered("FROM scratch AS a\nONBUILD RUN trigger\nRUN own\nFROM a\nRUN child\n");
  Words scripts;
  for (const auto& vertex : image.definition.vertices) {
    if (const auto* op = std::get_if<ExecOp>(&vertex.op)) scripts.push_back(op->args.back());
  }
  EXPECT_THAT(scripts, ElementsAre("own", "trigger", "child"));
  EXPECT_THAT(image.config.config.on_build, IsEmpty());
}

TEST(LowerOnbuild, TriggersDoNotReachGrandchildren) {
  const auto image = lowered("FROM scratch AS a\nONBUILD RUN trigger\nFROM a AS b\nFROM b\n");
  EXPECT_THAT(graph(image), ElementsAre("0 source scratch", "1 exec 0"));
}

TEST(LowerOnbuild, TriggersMayReadFromStagesThatNothingElseNeeds) {
  Lowering lowering("FROM debian AS dep\nRUN dep\nFROM base\n");
  ContainerConfig config;
  config.on_build = {"COPY --from=dep /a /b"};
  lowering.images.add("docker-image://base", config);
  const auto image = lowering.run();
  EXPECT_EQ(run_text(image), "dep");
  EXPECT_TRUE(std::holds_alternative<FileOp>(root_vertex(image).op));
}

TEST(LowerOnbuild, TriggersMayReadFromImages) {
  Lowering lowering("FROM base\n");
  ContainerConfig config;
  config.on_build = {"COPY --from=debian /a /b"};
  lowering.images.add("docker-image://base", config);
  EXPECT_EQ(graph(lowering.run()).size(), 3u);
}

TEST(LowerOnbuild, ErrorsInTriggersNameTheFromThatBroughtThemIn) {
  Lowering lowering("FROM scratch AS x\nFROM base\n");
  ContainerConfig config;
  config.on_build = {"STOPSIGNAL NOPE"};
  lowering.images.add("docker-image://base", config);
  EXPECT_EQ(lowering.error(), "Dockerfile:2: invalid signal: NOPE");
}

// -- named contexts

TEST(LowerContexts, ANamedContextTakesAStagesPlace) {
  Lowering lowering("FROM missing AS base\nRUN x\nFROM base\nRUN y\n");
  lowering.options.contexts = {{"base", "docker-image://debian"}};
  EXPECT_THAT(graph(lowering.run()),
              ElementsAre("0 source docker-image://debian@sha256:1", "1 exec 0"));
}

TEST(LowerContexts, ANamedContextTakesAnImagesPlaceInAnySpelling) {
  for (const char* key : {"alpine", "alpine:latest", "docker.io/library/alpine"}) {
    Lowering lowering("FROM alpine\nRUN x\n");
    lowering.options.contexts = {{key, "docker-image://debian"}};
    EXPECT_THAT(graph(lowering.run()),
                ElementsAre("0 source docker-image://debian@sha256:1", "1 exec 0"))
        << key;
  }
}

TEST(LowerContexts, ADirectoryIsCopiedToBecomeARoot) {
  Lowering lowering("FROM dir\nRUN x\n");
  lowering.options.contexts = {{"dir", "/some/where"}};
  EXPECT_THAT(graph(lowering.run()),
              ElementsAre("0 source local://dir", "1 source scratch", "2 file 1 0", "3 exec 2"));
}

TEST(LowerContexts, ADirectoryIsReadByItsContextsNameHoweverItIsSpelled) {
  Lowering lowering("FROM x\nRUN x\n");
  lowering.options.contexts = {{"docker.io/library/x", "/some/where"}};
  EXPECT_THAT(graph(lowering.run()).front(), "0 source local://docker.io/library/x");
}

TEST(LowerContexts, ADirectoryInAStagesPlaceIsARootForItsChildren) {
  // A process never runs on the user's directory itself.
  Lowering lowering("FROM missing AS dir\nFROM dir\nRUN x\n");
  lowering.options.contexts = {{"dir", "/some/where"}};
  const auto image = lowering.run();
  const Vertex& run = root_vertex(image);
  const Vertex& root = image.definition.vertices.at(run.inputs.at(0).vertex);
  ASSERT_TRUE(std::holds_alternative<FileOp>(root.op));
  const auto& source = image.definition.vertices.at(root.inputs.at(1).vertex);
  EXPECT_EQ(std::get<SourceOp>(source.op).identifier, "local://dir");
}

TEST(LowerContexts, CopyReadsADirectoryWithoutTheMainContextsExcludes) {
  Lowering lowering("FROM scratch\nCOPY --from=dir /a /b\nCOPY c /d\n");
  lowering.options.contexts = {{"dir", "/some/where"}};
  lowering.options.ignore_patterns = {"*.o"};
  const auto image = lowering.run();
  EXPECT_THAT(graph(image), ElementsAre("0 source scratch", "1 source local://dir", "2 file 0 1",
                                        "3 source local://context", "4 file 2 3"));
  const auto attrs = [&](size_t vertex) {
    return std::get<SourceOp>(image.definition.vertices[vertex].op).attrs;
  };
  EXPECT_THAT(attrs(1), IsEmpty());
  EXPECT_EQ(attrs(3).size(), 1u);
  EXPECT_EQ(attrs(3).begin()->second, "*.o");
}

TEST(LowerContexts, AMountOfADirectorySeesACopyOfIt) {
  Lowering lowering("FROM scratch\nRUN --mount=from=dir,target=/m x\n");
  lowering.options.contexts = {{"dir", "/some/where"}};
  const auto image = lowering.run();
  const Vertex& run = root_vertex(image);
  ASSERT_EQ(run.inputs.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<FileOp>(image.definition.vertices[run.inputs[1].vertex].op));
}

TEST(LowerContexts, OciLayoutsAreResolvedAsImages) {
  Lowering lowering("FROM base\n");
  lowering.images.add("oci-layout:///dir:tag");
  lowering.options.contexts = {{"base", "oci-layout:///dir:tag"}};
  EXPECT_THAT(graph(lowering.run()), ElementsAre("0 source oci-layout:///dir:tag@sha256:1"));
}

TEST(LowerContexts, WithoutABuildContextCopyIsAnError) {
  Lowering lowering("FROM scratch\nCOPY a b\n");
  lowering.options.main_context = false;
  EXPECT_EQ(lowering.error(), "Dockerfile:2: there is no build context to copy from");
}

TEST(LowerOptionsTest, NoCacheMarksEveryStep) {
  Lowering lowering("FROM debian\nRUN x\nCOPY a b\nWORKDIR /w\n");
  lowering.options.no_cache = true;
  for (const auto& vertex : lowering.run().definition.vertices) {
    EXPECT_EQ(vertex.ignore_cache, !std::holds_alternative<SourceOp>(vertex.op)) << vertex.name;
  }
}

}  // namespace
}  // namespace lade
