// What is said of options that name what the Dockerfile does not have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(UnusedOptions, BuildArgumentsThatNoArgTakes) {
  Lowering lowering(
      "ARG GLOBAL\nFROM debian AS unneeded\nARG ELSEWHERE\nFROM debian\nARG VERSION\n"
      "ONBUILD ARG LATER\nRUN x\n");
  for (const char* name :
       {"GLOBAL", "ELSEWHERE", "VERSION", "LATER", "HTTP_PROXY", "no_proxy", "TARGETARCH",
        "TARGETOSVERSION", "BUILDKIT_INLINE_CACHE", "SOURCE_DATE_EPOCH"}) {
    lowering.options.build_args[name] = "1";
  }
  EXPECT_THAT(lowering.run().unused_options, IsEmpty());
  lowering.options.build_args["VERSON"] = "1";
  EXPECT_THAT(
      lowering.run().unused_options,
      ElementsAre("One or more build-args [VERSON] were not consumed (did you mean VERSION?)"));
  lowering.options.build_args["x"] = "1";
  lowering.options.build_args["version"] = "1";
  EXPECT_THAT(lowering.run().unused_options,
              ElementsAre("One or more build-args [VERSON version x] were not consumed (did you "
                          "mean VERSION?)"));
}

TEST(UnusedOptions, TriggersOfBaseImagesTakeArguments) {
  Lowering lowering("FROM debian\n");
  lowering.images.images["docker-image://debian"].config.config.on_build = {"ARG TRIGGERED"};
  lowering.options.build_args["TRIGGERED"] = "1";
  EXPECT_THAT(lowering.run().unused_options, IsEmpty());
}

TEST(UnusedOptions, ContextsThatNothingReads) {
  Lowering lowering(
      "FROM other AS unneeded\nCOPY --from=copied / /\nFROM debian AS replaced\nFROM "
      "debian:latest\n"
      "RUN --mount=from=mounted,target=/m x\n");
  for (const char* name : {"other", "copied", "replaced", "debian", "mounted"}) {
    lowering.options.contexts[name] = "docker-image://scratch";
  }
  lowering.options.contexts["mounted"] = "dir";
  EXPECT_THAT(lowering.run().unused_options, IsEmpty());
  lowering.options.contexts["copeid"] = "dir";
  EXPECT_THAT(lowering.run().unused_options,
              ElementsAre("--build-context copeid: nothing is FROM it or copied from it (did you "
                          "mean copied?)"));
}

TEST(UnusedOptions, StagesThatAreNotThere) {
  Lowering lowering("FROM debian AS build\nRUN a \\\n  b\nFROM build\nRUN c\n");
  lowering.options.no_cache_filter = {"Build", "stage-1", "2", "3", "5"};
  lowering.options.retries = {{"", 1}, {"build", 2}};
  lowering.options.timeouts = {{"stage-1", std::chrono::seconds(1)}};
  EXPECT_THAT(lowering.run().unused_options, IsEmpty());
  lowering.options.no_cache_filter = {"biuld", "1", "6"};
  lowering.options.retries = {{"nothing", 1}};
  lowering.options.timeouts = {{"stage-2", std::chrono::seconds(1)}};
  EXPECT_THAT(lowering.run().unused_options,
              ElementsAre("--no-cache-filter: there is no stage 'biuld' (did you mean build?)",
                          "--no-cache-filter: there is no instruction in line 1",
                          "--no-cache-filter: there is no instruction in line 6",
                          "--retry: there is no stage 'nothing'",
                          "--timeout: there is no stage 'stage-2' (did you mean stage-1?)"));
}

}  // namespace
}  // namespace lade
