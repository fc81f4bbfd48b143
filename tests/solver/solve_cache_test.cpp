// What is cached: definition keys, contents, early cutoff.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "solve_fixture.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

using SolveCacheTest = SolveTest;

TEST_F(SolveCacheTest, ASecondBuildHitsEverythingAndStartsNothing) {
  Graph graph;
  steps_["make"].files["out"] = "binary";
  const auto local = graph.source("local://context");
  const auto copied = graph.copy(graph.scratch(), local, "/a");
  const auto root = graph.run(copied, "make");
  const auto options = with_context(context({{.path = "a", .content = "1"}}));
  const Build first = solve(graph, root, options);
  // A step leaves the directories that every container needs where its root has none.
  EXPECT_THAT(view(first.result.layers),
              ElementsAre("f 644 0:0 a = 1", "d 755 0:0 dev", "f 644 0:0 out = binary",
                          "d 755 0:0 proc", "d 755 0:0 sys"));
  const Build second = solve(graph, root, options);
  EXPECT_THAT(second.started, IsEmpty());
  EXPECT_EQ(second.result.layers, first.result.layers);
  EXPECT_EQ(second.result.created, first.result.created);
  EXPECT_THAT(second.events, Contains(fmt::format("cached v{}", root)));
}

TEST_F(SolveCacheTest, AnotherTimestampIsStillAHitAndAnotherByteIsNot) {
  Graph graph;
  const auto copied = graph.copy(graph.scratch(), graph.source("local://context"), "/a");
  const auto root = graph.run(copied, "make");
  solve(graph, root, with_context(context({{.path = "a", .content = "1", .mtime = 1000}})));
  const auto touched = with_context(context({{.path = "a", .content = "1", .mtime = 2000}}));
  EXPECT_THAT(solve(graph, root, touched).started, IsEmpty());
  const auto changed = with_context(context({{.path = "a", .content = "2", .mtime = 2000}}));
  EXPECT_THAT(solve(graph, root, changed).started, ElementsAre("make"));
}

TEST_F(SolveCacheTest, FilesThatNothingCopiesDoNotMatter) {
  Graph graph;
  const auto copied = graph.copy(graph.scratch(), graph.source("local://context"), "/a");
  const auto root = graph.run(copied, "make");
  solve(graph, root, with_context(context({{.path = "a"}, {.path = "b", .content = "1"}})));
  const auto changed = with_context(context({{.path = "a"}, {.path = "b", .content = "2"}}));
  EXPECT_THAT(solve(graph, root, changed).started, IsEmpty());
}

TEST_F(SolveCacheTest, AChangedSourceThatBuildsTheSameHitsDownstream) {
  Graph graph;
  steps_["build"].files["out"] = "binary";
  const auto source = graph.copy(graph.scratch(), graph.source("local://context"), "/a");
  const auto built = graph.run(source, "build");
  const auto copied = graph.copy(graph.scratch(), built, "/out");
  const auto root = graph.run(copied, "after");
  const Build first = solve(graph, root, with_context(context({{.path = "a", .content = "1"}})));
  const auto changed = with_context(context({{.path = "a", .content = "2"}}));
  const Build second = solve(graph, root, changed);
  EXPECT_THAT(second.started, ElementsAre("build"));
  EXPECT_EQ(second.result.layers, first.result.layers);
  EXPECT_THAT(second.events, Contains(fmt::format("cached v{}", root)));
  // And from then on at once, without asking for the stage.
  const Build third = solve(graph, root, changed);
  EXPECT_THAT(third.started, IsEmpty());
  EXPECT_EQ(third.result.layers, first.result.layers);
}

TEST_F(SolveCacheTest, ARunAfterARunThatCameOutTheSameHits) {
  const auto graph_with = [](const std::string& command, Graph& graph) {
    return graph.run(graph.run(graph.scratch(), command), "after");
  };
  for (const char* command : {"old", "new", "other"}) steps_[command].files["f"] = "same";
  steps_["other"].files["f"] = "different";
  Graph first;
  Graph second;
  Graph third;
  solve(first, graph_with("old", first));
  EXPECT_THAT(solve(second, graph_with("new", second)).started, ElementsAre("new"));
  EXPECT_THAT(solve(third, graph_with("other", third)).started, ElementsAre("other", "after"));
}

/// A RUN that mounts what `command` made.
uint32_t mounting(const std::string& command, Graph& graph) {
  const auto base = graph.scratch();
  ExecOp op;
  op.args = {"user"};
  ExecMount mount;
  mount.target = "/m";
  mount.input = 1;
  op.mounts = {mount};
  return graph.add(op, {base, graph.run(base, command)});
}

TEST_F(SolveCacheTest, ARunThatMountsWhatCameOutTheSameHits) {
  steps_["old"].files["f"] = "same";
  steps_["new"].files["f"] = "same";
  Graph first;
  Graph second;
  EXPECT_EQ(solve(first, mounting("old", first)).error, "");
  EXPECT_THAT(solve(second, mounting("new", second)).started, ElementsAre("new"));
}

TEST_F(SolveCacheTest, ARunThatMountsSomethingElseRuns) {
  steps_["old"].files["f"] = "one";
  steps_["new"].files["f"] = "two";
  Graph first;
  Graph second;
  solve(first, mounting("old", first));
  EXPECT_THAT(solve(second, mounting("new", second)).started, ElementsAre("new", "user"));
}

TEST_F(SolveCacheTest, IgnoringTheCacheRunsAgainAndRecordsAnew) {
  Graph graph;
  const auto root = graph.run(graph.scratch(), "x");
  const Build first = solve(graph, root);
  graph.at(root).ignore_cache = true;
  const Build second = solve(graph, root);
  EXPECT_THAT(second.started, ElementsAre("x"));
  EXPECT_NE(second.result.layers, first.result.layers);
  graph.at(root).ignore_cache = false;
  const Build third = solve(graph, root);
  EXPECT_THAT(third.started, IsEmpty());
  EXPECT_EQ(third.result.layers, second.result.layers);
}

}  // namespace
}  // namespace lade
