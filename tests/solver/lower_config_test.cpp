// The instructions that change the image's config, and what history says of them (BuildKit's
// words).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;
using testing::Pair;

using Words = std::vector<std::string>;

constexpr const char* kDefaultPath =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct HistoryCase {
  const char* instructions;
  Words history;
};

TEST(LowerConfig, HistoryHasBuildKitsTexts) {
  const HistoryCase cases[] = {
      {"ENV a=1 b=\"x y\"", {"ENV a=1 b=x y (empty)"}},
      {"ENV a 1  2", {"ENV a=1  2 (empty)"}},
      {"LABEL a=1 b='x y'", {"LABEL a=1 b=x y (empty)"}},
      {"MAINTAINER me <me@x>", {"MAINTAINER me <me@x> (empty)"}},
      {"CMD [\"a\", \"b c\"]", {"CMD [\"a\" \"b c\"] (empty)"}},
      {"CMD echo \"hi\"", {"CMD [\"/bin/sh\" \"-c\" \"echo \\\"hi\\\"\"] (empty)"}},
      {"ENTRYPOINT [\"/e\"]", {"ENTRYPOINT [\"/e\"] (empty)"}},
      {"ENTRYPOINT run it", {"ENTRYPOINT [\"/bin/sh\" \"-c\" \"run it\"] (empty)"}},
      {"EXPOSE 80 443/udp", {"EXPOSE [443/udp 80/tcp] (empty)"}},
      {"USER me:us", {"USER me:us (empty)"}},
      {"VOLUME /a /b", {"VOLUME [/a /b] (empty)"}},
      {"VOLUME [\"/a b\"]", {"VOLUME [/a b] (empty)"}},
      {"STOPSIGNAL SIGTERM", {"STOPSIGNAL SIGTERM (empty)"}},
      {"SHELL [\"/bin/bash\", \"-c\"]", {"SHELL [/bin/bash -c] (empty)"}},
      {"WORKDIR /a", {"WORKDIR /a"}},
      {"WORKDIR /", {"WORKDIR / (empty)"}},
      {"ARG a", {"ARG a (empty)"}},
      {"ARG a=1 b c=", {"ARG a=1 b c= (empty)"}},
      {"ONBUILD RUN x", {}},
      {"HEALTHCHECK NONE",
       {"HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s "
        "Retries:0} (empty)"}},
      {"HEALTHCHECK --interval=90s --timeout=1m30.5s --start-period=1h --start-interval=15ms "
       "--retries=3 "
       "CMD curl -f x",
       {"HEALTHCHECK {Test:[CMD-SHELL curl -f x] Interval:1m30s Timeout:1m30.5s StartPeriod:1h0m0s "
        "StartInterval:15ms Retries:3} (empty)"}},
      {"RUN make all", {"RUN /bin/sh -c make all # buildkit"}},
      {"RUN [\"a\", \"b c\"]", {"RUN a b c # buildkit"}},
      {"ARG v=1\nRUN x", {"ARG v=1 (empty)", "RUN |1 v=1 /bin/sh -c x # buildkit"}},
      {"ARG v=1\nARG w\nARG v=2\nRUN x",
       {"ARG v=1 (empty)", "ARG w (empty)", "ARG v=2 (empty)",
        "RUN |2 v=2 w= /bin/sh -c x # buildkit"}},
      {"ARG v=1\nENV v=env\nRUN x",
       {"ARG v=1 (empty)", "ENV v=env (empty)", "RUN |1 v=env /bin/sh -c x # buildkit"}},
      {"COPY a b/ /dst/", {"COPY a b/ /dst/ # buildkit"}},
      {"COPY --chown=1:2 --chmod=755 a /b", {"COPY --chown=1:2 --chmod=755 a /b # buildkit"}},
      {"COPY --parents a/b /d/", {"COPY --parents a/b /d/ # buildkit"}},
      {"COPY --link a /b", {"COPY a /b # buildkit"}},
      {"COPY --exclude=*.o a /b", {"COPY a /b # buildkit"}},
      {"ADD a.tar /b", {"ADD a.tar /b # buildkit"}},
      {"COPY <<f <<g /d/\nx\nf\ny\ng", {"COPY <<f <<g /d/ # buildkit"}},
      {"RUN <<E\nx\ny\nE", {"RUN /bin/sh -c x\ny\n # buildkit"}},
      {"RUN <<E\n#!/bin/env x\ny\nE", {"RUN /bin/sh -c /dev/pipes/E # buildkit"}},
      {"RUN cat <<A <<B\nx\nA\ny\nB", {"RUN /bin/sh -c cat <<A <<B\nx\nA\ny\nB # buildkit"}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.instructions);
    const auto image = lowered(std::string("FROM scratch\n") + c.instructions + "\n");
    EXPECT_EQ(history(image), c.history);
    for (const auto& entry : image.config.history)
      EXPECT_EQ(entry.comment, "buildkit.dockerfile.v0");
  }
}

TEST(LowerConfig, HistoryOfTheBaseComesFirst) {
  Lowering lowering("FROM debian\nUSER me\n");
  HistoryEntry base;
  base.created_by = "debuerreotype";
  lowering.images.images["docker-image://debian"].config.history = {base};
  EXPECT_THAT(history(lowering.run()), ElementsAre("debuerreotype", "USER me (empty)"));
}

TEST(LowerConfig, ScratchHasAPathAndTheTargetPlatform) {
  const auto image = lowered("FROM scratch\n");
  EXPECT_THAT(image.config.config.env, ElementsAre(kDefaultPath));
  EXPECT_EQ(image.config.config.working_dir, "/");
  EXPECT_EQ(image.config.platform.str(), "linux/amd64");
  EXPECT_THAT(image.config.history, IsEmpty());
}

TEST(LowerConfig, AMissingPathIsAddedAndAnExistingOneKept) {
  EXPECT_THAT(lowered("FROM debian\n").config.config.env, ElementsAre("PATH=/bin"));
  Lowering without("FROM bare\nRUN x\n");
  ContainerConfig config;
  config.env = {"A=1"};
  without.images.add("docker-image://bare", config);
  const auto image = without.run();
  EXPECT_THAT(image.config.config.env, ElementsAre("A=1", kDefaultPath));
  EXPECT_THAT(last_exec(image).env, ElementsAre("A=1", kDefaultPath));
}

TEST(LowerConfig, FieldsAreSet) {
  const auto image = lowered(
      "FROM scratch\nMAINTAINER me\nENV a=1\nLABEL x=y\nUSER 1:2\nVOLUME /v\nSTOPSIGNAL 9\nEXPOSE "
      "80\n"
      "WORKDIR /w\nENTRYPOINT [\"e\"]\nCMD [\"c\"]\nSHELL [\"s\"]\nHEALTHCHECK --retries=2 CMD "
      "[\"h\"]\n"
      "ONBUILD COPY . /\n");
  const auto& config = image.config.config;
  EXPECT_EQ(image.config.author, "me");
  EXPECT_THAT(config.env, ElementsAre(kDefaultPath, "a=1"));
  EXPECT_THAT(config.labels, ElementsAre(Pair("x", "y")));
  EXPECT_EQ(config.user, "1:2");
  EXPECT_THAT(config.volumes, ElementsAre("/v"));
  EXPECT_EQ(config.stop_signal, "9");
  EXPECT_THAT(config.exposed_ports, ElementsAre("80/tcp"));
  EXPECT_EQ(config.working_dir, "/w");
  EXPECT_THAT(config.entrypoint, Optional(Words{"e"}));
  EXPECT_THAT(config.cmd, Optional(Words{"c"}));
  EXPECT_THAT(config.shell, Optional(Words{"s"}));
  ASSERT_TRUE(config.healthcheck);
  EXPECT_THAT(config.healthcheck->test, ElementsAre("CMD", "h"));
  EXPECT_EQ(config.healthcheck->retries, 2);
  EXPECT_THAT(config.on_build, ElementsAre("COPY . /"));
}

TEST(LowerConfig, AnEmptyExecFormOverridesTheBasesCommand) {
  Lowering lowering("FROM base\nCMD []\nENTRYPOINT []\n");
  ContainerConfig config;
  config.cmd = {"c"};
  config.entrypoint = {"e"};
  lowering.images.add("docker-image://base", config);
  const auto image = lowering.run();
  EXPECT_THAT(image.config.config.cmd, Optional(Words{}));
  EXPECT_THAT(image.config.config.entrypoint, Optional(Words{}));
}

TEST(LowerConfig, EntrypointClearsACommandOfTheBase) {
  Lowering lowering("FROM base\nENTRYPOINT [\"e\"]\n");
  ContainerConfig config;
  config.cmd = {"c"};
  lowering.images.add("docker-image://base", config);
  EXPECT_EQ(lowering.run().config.config.cmd, std::nullopt);
}

TEST(LowerConfig, EntrypointClearsACommandOfTheParentStage) {
  const auto image = lowered("FROM scratch AS a\nCMD [\"c\"]\nFROM a\nENTRYPOINT [\"e\"]\n");
  EXPECT_EQ(image.config.config.cmd, std::nullopt);
}

TEST(LowerConfig, EntrypointKeepsACommandOfItsOwnStage) {
  EXPECT_THAT(lowered("FROM scratch\nCMD [\"c\"]\nENTRYPOINT [\"e\"]\n").config.config.cmd,
              Optional(Words{"c"}));
  EXPECT_THAT(lowered("FROM scratch\nENTRYPOINT [\"e\"]\nCMD [\"c\"]\n").config.config.cmd,
              Optional(Words{"c"}));
}

TEST(LowerConfig, ShellWrapsShellFormsFromThenOnAndInLaterStages) {
  const auto image = lowered(
      "FROM scratch AS a\nRUN one\nSHELL [\"/bin/bash\", \"-ec\"]\nRUN two\nFROM a\nCMD three\n"
      "ENTRYPOINT [\"exec\"]\nRUN four\n");
  Words firsts;
  for (const auto& vertex : image.definition.vertices) {
    if (const auto* op = std::get_if<ExecOp>(&vertex.op))
      firsts.push_back(op->args[0] + " " + op->args[2]);
  }
  EXPECT_THAT(firsts, ElementsAre("/bin/sh one", "/bin/bash two", "/bin/bash four"));
  EXPECT_THAT(image.config.config.cmd, Optional(Words{"/bin/bash", "-ec", "three"}));
  EXPECT_THAT(image.config.config.entrypoint, Optional(Words{"exec"}));
  EXPECT_THAT(image.config.config.shell, Optional(Words{"/bin/bash", "-ec"}));
}

TEST(LowerConfig, RelativeWorkdirsBuildOnEachOther) {
  const std::pair<const char*, const char*> cases[] = {
      {"WORKDIR a\nWORKDIR b", "/a/b"},
      {"WORKDIR /a\nWORKDIR ../b", "/b"},
      {"WORKDIR /a\nWORKDIR ../..", "/"},
      {"WORKDIR /a/\nWORKDIR ./b/.", "/a/b"},
      {"WORKDIR /a\nWORKDIR /b", "/b"},
      {"ENV d=/e\nWORKDIR $d/f", "/e/f"},
      {"WORKDIR /a/b/", "/a/b/"},
      {"WORKDIR /a/b/\nWORKDIR .", "/a/b"},
      {"WORKDIR /a/b/\nWORKDIR $none", "/a/b/"},
  };
  for (const auto& [instructions, expected] : cases) {
    SCOPED_TRACE(instructions);
    const auto image = lowered(std::string("FROM scratch\n") + instructions + "\n");
    EXPECT_EQ(image.config.config.working_dir, expected);
  }
}

TEST(LowerConfig, WorkdirMakesADirectoryOfTheCurrentUser) {
  const auto image = lowered("FROM debian\nUSER me:us\nWORKDIR /a/b\n");
  const auto& action = std::get<MakeDirAction>(last_file(image).actions.at(0));
  EXPECT_EQ(action.path, "/a/b");
  ASSERT_TRUE(action.owner);
  EXPECT_EQ(action.owner->user, "me:us");
  EXPECT_EQ(action.mtime, std::nullopt);
}

TEST(LowerConfig, WorkdirSlashMakesNothing) {
  EXPECT_THAT(graph(lowered("FROM debian\nWORKDIR /\n")),
              ElementsAre("0 source docker-image://debian@sha256:1"));
}

TEST(LowerConfig, AnInheritedWorkdirIsNotMadeButUsed) {
  Lowering lowering("FROM base\nRUN x\n");
  ContainerConfig config;
  config.working_dir = "srv/../app";
  lowering.images.add("docker-image://base", config);
  const auto image = lowering.run();
  EXPECT_EQ(last_exec(image).cwd, "/app");
  EXPECT_EQ(image.config.config.working_dir, "/app");
  EXPECT_THAT(graph(image), ElementsAre("0 source docker-image://base@sha256:1", "1 exec 0"));
}

TEST(LowerConfig, ExposeUnderstandsRangesProtocolsAndHostParts) {
  const auto image = lowered(
      "FROM scratch\nARG p=\"90 91\"\nEXPOSE 8000-8002/udp 127.0.0.1:7:70 80:81/SCTP $p "
      "[::1]::9\n");
  EXPECT_THAT(image.config.config.exposed_ports,
              ElementsAre("70/tcp", "8000/udp", "8001/udp", "8002/udp", "81/sctp", "9/tcp",
                          "90/tcp", "91/tcp"));
}

TEST(LowerConfig, BadPortsAreErrors) {
  const std::pair<const char*, const char*> cases[] = {
      {"x", "invalid containerPort: x"},
      {"70000", "invalid containerPort: 70000"},
      {"9-8", "invalid containerPort: 9-8"},
      {"80/icmp", "invalid port: \"80/icmp\": invalid proto: icmp"},
      {"/tcp", "invalid port: \"/tcp\": no port specified"},
      {"1-2:3-5", "invalid ranges specified for container and host Ports: 3-5 and 1-2"},
      {"z:80", "invalid hostPort: z"},
      {"300.0.0.1:1:80", "invalid IP address: 300.0.0.1"},
  };
  for (const auto& [port, message] : cases) {
    EXPECT_EQ(Lowering(std::string("FROM scratch\nEXPOSE ") + port + "\n").error(),
              std::string("Dockerfile:2: ") + message);
  }
}

TEST(LowerConfig, BadValuesAreErrorsWithTheirLines) {
  const std::pair<const char*, const char*> cases[] = {
      {"STOPSIGNAL SIGFOO", "Dockerfile:2: invalid signal: SIGFOO"},
      {"STOPSIGNAL 0", "Dockerfile:2: invalid signal: 0"},
      {"STOPSIGNAL RTMIN+16", "Dockerfile:2: invalid signal: RTMIN+16"},
      {"STOPSIGNAL -0", "Dockerfile:2: invalid signal: -0"},
      {"STOPSIGNAL +-5", "Dockerfile:2: invalid signal: +-5"},
      {"STOPSIGNAL 99999999999999999999", "Dockerfile:2: invalid signal: 99999999999999999999"},
      {"VOLUME $unset", "Dockerfile:2: VOLUME specified can not be an empty string"},
      {"VOLUME /a \\\n  $unset", "Dockerfile:2-3: VOLUME specified can not be an empty string"},
  };
  for (const auto& [instruction, message] : cases) {
    EXPECT_EQ(Lowering(std::string("FROM scratch\n") + instruction + "\n").error(), message);
  }
}

TEST(LowerConfig, SignalsByNumberNameAndRealTimeOffset) {
  for (const char* signal : {"9", "KILL", "sigkill", "SIGRTMIN+3", "RTMAX-14", "SIGWINCH", "00644",
                             "-1", "+5", "12345678901"}) {
    const auto image = lowered(std::string("FROM scratch\nSTOPSIGNAL ") + signal + "\n");
    EXPECT_EQ(image.config.config.stop_signal, signal);
  }
}

TEST(LowerConfig, ANameThatExpandsToNothingIsKept) {
  const auto image = lowered("FROM scratch\nLABEL ${no}=a\nENV ${no}=b c=d\n");
  EXPECT_THAT(image.config.config.labels, ElementsAre(Pair("", "a")));
  EXPECT_THAT(image.config.config.env, ElementsAre(HasSubstr("PATH="), "=b", "c=d"));
  EXPECT_EQ(Lowering("FROM scratch\nENV ${no}=b\nRUN x\n").error(),
            "Dockerfile:3: environment variable '=b' has no name");
}

TEST(LowerConfig, WindowsImagesHaveTheirOwnSeparatorsShellAndNoPath) {
  Lowering lowering("FROM scratch\nWORKDIR c:\\\\a\\\\b\nWORKDIR c\nCMD dir\n");
  lowering.options.target_platform = Platform::parse("windows/amd64");
  const auto image = lowering.run();
  EXPECT_THAT(image.config.config.env, IsEmpty());
  EXPECT_EQ(image.config.config.working_dir, "\\a\\b\\c");
  EXPECT_THAT(*image.config.config.cmd, ElementsAre("cmd", "/S", "/C", "dir"));
  EXPECT_THAT(history(image), ElementsAre("WORKDIR /a/b", "WORKDIR /a/b/c",
                                          "CMD [\"cmd\" \"/S\" \"/C\" \"dir\"] (empty)"));
}

TEST(LowerConfig, CommandLineLabelsAreAddedWithoutHistory) {
  Lowering lowering("FROM scratch\nLABEL a=file b=file\n");
  lowering.options.labels = {{"a", "flag"}, {"c", "flag"}};
  const auto image = lowering.run();
  EXPECT_THAT(image.config.config.labels,
              ElementsAre(Pair("a", "flag"), Pair("b", "file"), Pair("c", "flag")));
  EXPECT_THAT(history(image), ElementsAre("LABEL a=file b=file (empty)"));
}

TEST(LowerConfig, TheBasesCreationTimeIsNotOurs) {
  Lowering lowering("FROM debian\n");
  lowering.images.images["docker-image://debian"].config.created = Timestamp{1, 0};
  EXPECT_EQ(lowering.run().config.created, std::nullopt);
}

}  // namespace
}  // namespace lade
