// RUN, COPY and ADD: the ops they become.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ExecOp exec_of(const std::string& instructions) {
  const auto image = lowered("FROM debian AS base\nFROM debian\n" + instructions + "\n");
  return last_exec(image);
}

ExecMount mount_of(const std::string& mount) {
  return exec_of("RUN --mount=" + mount + " x").mounts.at(0);
}

CopyAction copy_of(const std::string& instructions) {
  const auto image = lowered("FROM debian AS base\nFROM debian\n" + instructions + "\n");
  return std::get<CopyAction>(last_file(image).actions.at(0));
}

std::string error_in(const std::string& instruction) {
  return Lowering("FROM debian\n" + instruction + "\n").error();
}

// -- RUN

TEST(LowerRun, TakesUserDirectoryAndArguments) {
  const auto op = exec_of("USER me\nWORKDIR /w\nRUN [\"a\", \"b c\"]");
  EXPECT_THAT(op.args, ElementsAre("a", "b c"));
  EXPECT_EQ(op.user, "me");
  EXPECT_EQ(op.cwd, "/w");
  EXPECT_EQ(op.network, OpNetwork::sandbox);
  EXPECT_EQ(op.security, OpSecurity::sandbox);
}

TEST(LowerRun, TheScriptIsNotExpandedByTheBuilder) {
  EXPECT_THAT(exec_of("ENV v=1\nRUN echo $v").args, ElementsAre("/bin/sh", "-c", "echo $v"));
}

TEST(LowerRun, AHeredocWithAShebangBecomesAFile) {
  const auto op = exec_of("RUN <<EOF\n#!/usr/bin/env python3\nprint(1)\nEOF");
  ASSERT_TRUE(op.script);
  EXPECT_EQ(op.script->path, "/dev/pipes/EOF");
  EXPECT_EQ(op.script->content, "#!/usr/bin/env python3\nprint(1)\n");
  EXPECT_THAT(op.args, ElementsAre("/bin/sh", "-c", "/dev/pipes/EOF"));
}

TEST(LowerRun, AHeredocsFirstLineIsInTheName) {
  const auto image = lowered("FROM debian\nRUN <<EOF\nset -e\nmake\nEOF\n");
  EXPECT_EQ(root_vertex(image).name, "[2/2] RUN <<EOF (set -e...)");
  EXPECT_EQ(to_string(root_vertex(image).range), "Dockerfile:2-5");
}

TEST(LowerRun, NetworkOfTheCommandLineIsTheDefault) {
  Lowering lowering("FROM debian\nRUN a\nRUN --network=none b\nRUN --network=default c\n");
  lowering.options.network = OpNetwork::host;
  lowering.options.allow_host_network = true;
  std::vector<OpNetwork> networks;
  for (const auto& vertex : lowering.run().definition.vertices) {
    if (const auto* op = std::get_if<ExecOp>(&vertex.op)) networks.push_back(op->network);
  }
  EXPECT_THAT(networks, ElementsAre(OpNetwork::host, OpNetwork::none, OpNetwork::host));
}

TEST(LowerRun, HostNetworkAndInsecureNeedAGrant) {
  EXPECT_EQ(error_in("RUN --network=host x"),
            "Dockerfile:2: the step wants the host's network, which was not granted\n"
            "hint: add --allow network.host if you trust this Dockerfile");
  EXPECT_EQ(error_in("RUN --security=insecure x"),
            "Dockerfile:2: the step wants to run without a sandbox, which was not granted\n"
            "hint: add --allow security.insecure if you trust this Dockerfile");
  Lowering granted("FROM debian\nRUN --network=host --security=insecure x\n");
  granted.options.allow_host_network = true;
  granted.options.allow_insecure = true;
  const auto image = granted.run();
  EXPECT_EQ(last_exec(image).network, OpNetwork::host);
  EXPECT_EQ(last_exec(image).security, OpSecurity::insecure);
}

TEST(LowerRun, ExtraHostsComeFromTheCommandLine) {
  Lowering lowering("FROM debian\nRUN x\n");
  lowering.options.extra_hosts = {{"h", "1.2.3.4"}};
  const auto image = lowering.run();
  EXPECT_EQ(last_exec(image).extra_hosts.at(0).first, "h");
}

// -- mounts

TEST(LowerMounts, BindFromAStageReadsItsRoot) {
  const auto image = lowered(
      "FROM debian AS base\nRUN a\nFROM debian\nRUN --mount=from=base,source=/s,target=m x\n");
  const ExecMount& mount = last_exec(image).mounts.at(0);
  EXPECT_EQ(mount.type, ExecMountType::bind);
  EXPECT_EQ(mount.target, "/m");
  EXPECT_EQ(mount.subpath, "/s");
  EXPECT_TRUE(mount.read_only);
  EXPECT_EQ(mount.input, 1u);
  EXPECT_EQ(graph(image).back(), "2 exec 0 1");
}

TEST(LowerMounts, ReadWriteBindsAreWritable) {
  EXPECT_FALSE(mount_of("from=base,target=/m,rw").read_only);
}

TEST(LowerMounts, TargetsAreRelativeToTheWorkdir) {
  EXPECT_EQ(exec_of("WORKDIR /w\nRUN --mount=type=tmpfs,target=t x").mounts.at(0).target, "/w/t");
}

TEST(LowerMounts, BindOfTheContextMountsACopyOfWhatItShows) {
  Lowering lowering("FROM debian\nRUN --mount=source=src,target=/m x\n");
  lowering.options.ignore_patterns = {"*.o"};
  const auto image = lowering.run();
  EXPECT_THAT(graph(image),
              ElementsAre("0 source docker-image://debian@sha256:1", "1 source local://context",
                          "2 source scratch", "3 file 2 1", "4 exec 0 3"));
  const auto& copy = std::get<CopyAction>(last_file(image).actions.at(0));
  EXPECT_EQ(copy.source, "/src");
  EXPECT_EQ(copy.destination, "/src");
  EXPECT_EQ(last_exec(image).mounts.at(0).subpath, "/src");
}

TEST(LowerMounts, CacheHasAnIdAModeAndASharing) {
  const auto plain = mount_of("type=cache,target=/var/cache/");
  EXPECT_EQ(plain.id, "/var/cache");
  EXPECT_EQ(plain.mode, 0755u);
  EXPECT_EQ(plain.sharing, CacheMountSharing::shared);
  EXPECT_FALSE(plain.read_only);
  EXPECT_EQ(plain.input, std::nullopt);
  const auto full = mount_of("type=cache,id=x,target=/c,sharing=locked,mode=0700,uid=1,gid=2,ro");
  EXPECT_EQ(full.id, "x");
  EXPECT_EQ(full.sharing, CacheMountSharing::locked);
  EXPECT_EQ(full.mode, 0700u);
  EXPECT_EQ(full.uid, 1u);
  EXPECT_EQ(full.gid, 2u);
  EXPECT_TRUE(full.read_only);
  EXPECT_FALSE(plain.own_directory);
  EXPECT_TRUE(full.own_directory);
  for (const char* own : {"uid=0", "gid=0", "mode=0755", "from=base,uid=1"}) {
    EXPECT_TRUE(mount_of(std::string("type=cache,target=/c,") + own).own_directory) << own;
  }
  EXPECT_FALSE(mount_of("type=cache,target=/c,from=base,source=/s,uid=1").own_directory);
  EXPECT_EQ(mount_of("type=cache,target=/c,sharing=private").sharing, CacheMountSharing::exclusive);
  EXPECT_EQ(mount_of("type=cache,target=/c,from=base,source=/s").subpath, "/s");
  EXPECT_EQ(mount_of("type=cache,target=/c,from=base").input, 1u);
}

TEST(LowerMounts, SecretsHaveAPlaceAModeAndMaybeAVariable) {
  const auto file = mount_of("type=secret,id=token");
  EXPECT_EQ(file.target, "/run/secrets/token");
  EXPECT_EQ(file.mode, 0400u);
  EXPECT_FALSE(file.required);
  EXPECT_FALSE(file.env_only);
  const auto variable = mount_of("type=secret,id=token,env=TOKEN,required=true");
  EXPECT_EQ(variable.env, "TOKEN");
  EXPECT_TRUE(variable.env_only);
  EXPECT_TRUE(variable.required);
  const auto both = mount_of("type=secret,id=token,env=TOKEN,target=/t,mode=0440,uid=5");
  EXPECT_FALSE(both.env_only);
  EXPECT_EQ(both.target, "/t");
  EXPECT_EQ(both.mode, 0440u);
  EXPECT_EQ(both.uid, 5u);
  EXPECT_EQ(mount_of("type=secret,target=/a/name").id, "name");
}

TEST(LowerMounts, SshAndTmpfs) {
  const auto ssh = mount_of("type=ssh");
  EXPECT_EQ(ssh.type, ExecMountType::ssh);
  EXPECT_EQ(ssh.id, "default");
  EXPECT_EQ(ssh.mode, 0600u);
  EXPECT_EQ(mount_of("type=tmpfs,target=/t,size=1m").size_bytes, 1u << 20);
}

TEST(LowerMounts, OptionsAreExpanded) {
  EXPECT_EQ(exec_of("ARG id=x\nRUN --mount=type=cache,target=/c,id=$id y").mounts.at(0).id, "x");
}

TEST(LowerMounts, TheRootIsNoTarget) {
  EXPECT_EQ(error_in("RUN --mount=type=tmpfs,target=/ x"),
            "Dockerfile:2: invalid mount target \"/\"");
  EXPECT_EQ(error_in("RUN --mount=type=tmpfs,target=/a/.. x"),
            "Dockerfile:2: invalid mount target \"/\"");
}

// -- COPY and ADD

/// Whether the last COPY's wildcard must match something.
bool must_match(const std::string& instructions) {
  const auto image = lowered("FROM debian AS base\nFROM debian\n" + instructions + "\n");
  return std::get<CopyAction>(last_file(image).actions.back()).must_match;
}

TEST(LowerCopy, AWildcardInADirectoryThatNothingElseNamesMustMatch) {
  for (const char* alone :
       {"COPY d/*.c /x/", "COPY ./d/e/*/f /x/", "ADD d/*.c /x/", "COPY d2 /y\nCOPY d/* /x/",
        "RUN --mount=source=e,target=/m y\nCOPY d/* /x/",
        "RUN --mount=from=base,target=/m y\nCOPY d/* /x/",
        "RUN --mount=type=cache,target=/d y\nCOPY d/* /x/", "COPY --from=base d /y\nCOPY d/* /x/",
        "FROM debian AS unused\nCOPY d /y\nFROM debian\nCOPY d/* /x/"}) {
    EXPECT_TRUE(must_match(alone)) << alone;
  }
  for (const char* named :
       {"COPY *.c /x/", "COPY d/e /x/", "COPY d /y\nCOPY d/* /x/", "COPY . /y\nCOPY d/* /x/",
        "COPY d/f d/* /x/", "COPY d/*.h d/*.c /x/", "COPY $d /y\nCOPY d/* /x/",
        "RUN --mount=target=/m y\nCOPY d/* /x/", "COPY --from=base d/* /x/",
        "COPY --parents d/* /x/", "FROM base AS b\nCOPY d /y\nFROM b\nCOPY d/* /x/"}) {
    EXPECT_FALSE(must_match(named)) << named;
  }
}

TEST(LowerCopy, AMalformedExcludeIsAnErrorWhateverIsCopied) {
  for (const char* sources : {"a /b", "a* /b", "<<a /b\na"}) {
    EXPECT_THAT(error_in("COPY --exclude=[ " + std::string(sources)), HasSubstr("Dockerfile:2"))
        << sources;
  }
}

TEST(LowerCopy, DestinationsAreAbsoluteAndKeepWhatMakesThemDirectories) {
  const std::pair<const char*, const char*> cases[] = {
      {"COPY a /b", "/b"},
      {"COPY a /b/", "/b/"},
      {"COPY a b", "/b"},
      {"COPY a .", "/"},
      {"COPY a ./", "/"},
      {"COPY a /", "/"},
      {"COPY a ../../b", "/b"},
      {"WORKDIR /w\nCOPY a .", "/w/"},
      {"WORKDIR /w\nCOPY a b", "/w/b"},
      {"WORKDIR /w\nCOPY a ../b/", "/b/"},
      {"WORKDIR /w\nCOPY a /w/d/.", "/w/d/"},
      {"ENV d=/e/\nCOPY a $d", "/e/"},
  };
  for (const auto& [instructions, destination] : cases) {
    EXPECT_EQ(copy_of(instructions).destination, destination) << instructions;
  }
}

TEST(LowerCopy, SourcesAreAbsoluteInTheContext) {
  EXPECT_EQ(copy_of("COPY a/../b /x").source, "/b");
  EXPECT_EQ(copy_of("COPY ../../b /x").source, "/b");
  EXPECT_EQ(copy_of("COPY . /x").source, "/");
  EXPECT_EQ(copy_of("ENV s=q\nCOPY $s*.c /x").source, "/q*.c");
}

TEST(LowerCopy, FlagsBecomeFieldsOfTheAction) {
  const auto action = copy_of("COPY --chown=me:us --chmod=u=rwX --exclude=*.o --exclude=t a /b");
  EXPECT_EQ(action.owner->user, "me:us");
  EXPECT_EQ(action.mode, "u=rwX");
  EXPECT_THAT(action.excludes, ElementsAre("*.o", "t"));
  EXPECT_TRUE(action.follow_destination);
  EXPECT_FALSE(action.unpack);
  EXPECT_FALSE(action.parents);
  EXPECT_EQ(action.input, 1u);
}

TEST(LowerCopy, ParentsKeepsThePivotInTheSource) {
  const auto action = copy_of("COPY --parents a/./b /d/");
  EXPECT_TRUE(action.parents);
  EXPECT_EQ(action.source, "/a/./b");
}

TEST(LowerCopy, LinkIsALayerOfItsOwnMergedOntoTheStage) {
  const auto image = lowered("FROM debian\nCOPY --link a /b\n");
  EXPECT_THAT(graph(image),
              ElementsAre("0 source docker-image://debian@sha256:1", "1 source local://context",
                          "2 source scratch", "3 file 2 1", "4 merge 0 3"));
  EXPECT_EQ(names(image).at(3), "[2/2] COPY --link a /b");
  EXPECT_EQ(names(image).at(4), "[2/2] LINK COPY --link a /b");
  EXPECT_FALSE(std::get<CopyAction>(last_file(image).actions[0]).follow_destination);
}

TEST(LowerCopy, LinkWithChmodIsAPlainCopy) {
  const auto image = lowered("FROM debian\nCOPY --link --chmod=755 a /b\n");
  EXPECT_TRUE(std::holds_alternative<FileOp>(root_vertex(image).op));
  EXPECT_TRUE(std::get<CopyAction>(last_file(image).actions[0]).follow_destination);
}

TEST(LowerCopy, HeredocsBecomeFilesAndNeedNoContext) {
  Lowering lowering("FROM scratch\nARG v=1\nCOPY <<a <<\"b\" /d/\n$v\na\n$v\nb\n");
  lowering.options.main_context = false;
  const auto image = lowering.run();
  const auto& actions = last_file(image).actions;
  ASSERT_EQ(actions.size(), 2u);
  EXPECT_EQ(std::get<MakeFileAction>(actions[0]).content, "1\n");
  EXPECT_EQ(std::get<MakeFileAction>(actions[1]).content, "$v\n");
  EXPECT_EQ(std::get<MakeFileAction>(actions[1]).name, "b");
  EXPECT_EQ(std::get<MakeFileAction>(actions[1]).destination, "/d/");
  EXPECT_THAT(graph(image), ElementsAre("0 source scratch", "1 file 0"));
}

TEST(LowerCopy, AddUnpacksUnlessToldNotTo) {
  EXPECT_TRUE(copy_of("ADD a /b").unpack);
  EXPECT_FALSE(copy_of("ADD --unpack=false a /b").unpack);
}

TEST(LowerCopy, ChmodIsOctalOrSymbolic) {
  for (const char* good :
       {"755", "0755", "7777", "u+x", "u=rwX,go=rX", "a-w", "+x", "u=g", "g+s,o+t"}) {
    EXPECT_EQ(copy_of(std::string("COPY --chmod=") + good + " a /b").mode, good);
  }
  for (const char* bad : {"999", "10000", "77777777777777", "u+y", "755x", "u", "rwx", "u=rw,"}) {
    EXPECT_THAT(error_in(std::string("COPY --chmod=") + bad + " a /b"),
                HasSubstr("Dockerfile:2: invalid chmod parameter: '" + std::string(bad) + "'"))
        << bad;
  }
}

TEST(LowerCopy, WhatCannotBeCopiedIsAnError) {
  const std::pair<const char*, const char*> cases[] = {
      {"COPY https://x/y /", "source can't be a URL for COPY"},
      {"COPY https://x/y.git /", "source can't be a git ref for COPY"},
      {"COPY git@github.com:a/b.git /", "source can't be a git ref for COPY"},
      {"ADD --checksum=sha256:1 a /", "checksum requires HTTP(S) or Git sources"},
      {"ADD --checksum=sha256:1 a b /", "checksum can't be specified for multiple sources"},
      {"RUN --device=a/b=c x", "RUN --device is not supported: lade has no CDI devices"},
  };
  for (const auto& [instruction, message] : cases) {
    EXPECT_EQ(error_in(instruction), std::string("Dockerfile:2: ") + message);
  }
}

}  // namespace
}  // namespace lade
