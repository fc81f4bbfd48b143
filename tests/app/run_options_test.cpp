#include "app/run/run_options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/run/run_plan.hpp"
#include "base/error.hpp"

namespace lade {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

RunRequest check(const RunFlags& flags, const std::vector<std::string>& words = {"image"}) {
  return check_run_flags(flags, words);
}

void expect_refused(const RunFlags& flags, const char* message) {
  try {
    check(flags);
    ADD_FAILURE() << "accepted; expected: " << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.message(), HasSubstr(message));
  }
}

TEST(RunOptions, WhatFollowsTheImageIsTheCommandsOwn) {
  const auto request = check({}, {"image", "ls", "-l", "--rm"});
  EXPECT_EQ(request.image, "image");
  EXPECT_THAT(request.command, ElementsAre("ls", "-l", "--rm"));
}

TEST(RunOptions, VolumesAreReadInAllTheirForms) {
  RunFlags flags;
  flags.volumes = {"/host:/deep/er:ro", "/only", "/a:/b:z"};
  flags.mounts = {"type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700",
                  "type=bind,src=/x,target=/y,ro"};
  const auto volumes = check(flags).volumes;
  ASSERT_EQ(volumes.size(), 5u);
  EXPECT_EQ(volumes[0].target, "/only");
  EXPECT_EQ(volumes[0].type, RunVolume::Type::anonymous);
  EXPECT_EQ(volumes[1].target, "/b");
  EXPECT_FALSE(volumes[1].read_only);
  EXPECT_EQ(volumes[2].size_bytes, 1u << 20);
  EXPECT_EQ(volumes[2].mode, 0700u);
  EXPECT_TRUE(volumes[3].read_only);
  EXPECT_FALSE(volumes[3].make_source);
  EXPECT_EQ(volumes[4].target, "/deep/er") << "deeper targets come later";
  EXPECT_TRUE(volumes[4].read_only);
  EXPECT_TRUE(volumes[4].make_source);
}

TEST(RunOptions, MistakesNameTheOption) {
  RunFlags flags;
  flags.volumes = {"/a:relative"};
  expect_refused(flags, "--volume: 'relative' is not an absolute path");
  flags.volumes = {"/a:/b:rx"};
  expect_refused(flags, "'rx' is not one of");
  flags.volumes = {"/a:/b", "/c:/b/"};
  expect_refused(flags, "two mounts have the target '/b'");
  flags.volumes = {"/a:/"};
  expect_refused(flags, "nothing can be mounted on /");
  flags = {};
  flags.mounts = {"type=magic,dst=/x"};
  expect_refused(flags, "type=magic");
  flags.mounts = {"type=bind,dst=/x"};
  expect_refused(flags, "needs source=PATH");
  flags = {};
  flags.workdir = "rel";
  expect_refused(flags, "--workdir");
  flags = {};
  flags.network = "bridge2";
  expect_refused(flags, "--network");
  flags = {};
  flags.env = {"=x"};
  expect_refused(flags, "has no name");
}

ImageConfig image() {
  ImageConfig config;
  config.config.entrypoint = {"/entry"};
  config.config.cmd = {"cmd"};
  config.config.env = {"A=image", "PATH=/bin"};
  config.config.user = "seven";
  config.config.working_dir = "/w";
  return config;
}

TEST(RunPlan, EntrypointAndCommandFollowDockersRules) {
  EXPECT_THAT(plan_process(check({}), image()).args, ElementsAre("/entry", "cmd"));
  EXPECT_THAT(plan_process(check({}, {"i", "x"}), image()).args, ElementsAre("/entry", "x"));
  RunFlags flags;
  flags.entrypoint = "/other";
  EXPECT_THAT(plan_process(check(flags), image()).args, ElementsAre("/other"));
  flags.entrypoint = "";
  EXPECT_THAT(plan_process(check(flags, {"i", "x"}), image()).args, ElementsAre("x"));
  EXPECT_THROW(plan_process(check(flags), image()), Error);
}

TEST(RunPlan, OptionsBeatTheImage) {
  RunFlags flags;
  flags.env = {"A=option", "LADE_TEST_UNSET_VARIABLE"};
  flags.user = "root";
  flags.workdir = "/x/../y";
  flags.terminal = true;
  ImageConfig config = image();
  config.config.env.emplace_back("LADE_TEST_UNSET_VARIABLE=image");
  const auto op = plan_process(check(flags), config);
  EXPECT_THAT(op.env, Contains("A=option"));
  EXPECT_THAT(op.env, Contains("PATH=/bin"));
  EXPECT_THAT(op.env, Contains("TERM=xterm"));
  EXPECT_THAT(op.env, Not(Contains(HasSubstr("UNSET"))));
  EXPECT_EQ(op.user, "root");
  EXPECT_EQ(op.cwd, "/y");
  EXPECT_EQ(plan_process(check({}), config).user, "seven");
  EXPECT_EQ(plan_process(check({}), config).cwd, "/w");
}

}  // namespace
}  // namespace lade
