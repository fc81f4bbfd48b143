// The scheduler, over graphs made by hand and an executor without processes.
#include "solver/solve.hpp"

#include <atomic>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "solve_fixture.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

// -- scheduling

TEST_F(SolveTest, IndependentStepsOverlap) {
  Graph graph;
  const auto base = graph.scratch();
  std::vector<uint32_t> runs;
  for (int i = 0; i < 8; ++i) {
    steps_[fmt::format("s{}", i)].takes = 300ms;
    runs.push_back(graph.run(base, fmt::format("s{}", i)));
  }
  const Build build = solve(graph, graph.merge(runs));
  EXPECT_EQ(build.error, "");
  EXPECT_EQ(build.started.size(), 8u);
  EXPECT_EQ(build.most_running, 8u);
}

TEST_F(SolveTest, MaxParallelismBoundsRunningSteps) {
  Graph graph;
  const auto base = graph.scratch();
  std::vector<uint32_t> runs;
  for (int i = 0; i < 7; ++i) {
    steps_[fmt::format("s{}", i)].takes = 20ms;
    runs.push_back(graph.run(graph.run(base, fmt::format("s{}", i)), fmt::format("t{}", i)));
  }
  SolveOptions options;
  options.max_parallelism = 2;
  const Build build = solve(graph, graph.merge(runs), options);
  EXPECT_EQ(build.error, "");
  EXPECT_EQ(build.started.size(), 14u);
  EXPECT_EQ(build.most_running, 2u);
}

TEST_F(SolveTest, OnlyWhatTheRootNeedsRuns) {
  Graph graph;
  const auto base = graph.scratch();
  graph.run(base, "unneeded");
  EXPECT_THAT(solve(graph, graph.run(base, "needed")).started, ElementsAre("needed"));
}

TEST_F(SolveTest, IdenticalVerticesOfAGraphRunOnce) {
  Graph graph;
  const auto base = graph.scratch();
  steps_["same"].takes = 30ms;
  steps_["same"].files["f"] = "x";
  const auto first = graph.run(base, "same");
  const auto second = graph.run(base, "same");
  const Build build = solve(graph, graph.merge({first, second}));
  EXPECT_THAT(build.started, ElementsAre("same"));
  ASSERT_EQ(build.result.layers.size(), 2u);
  EXPECT_EQ(build.result.layers[0], build.result.layers[1]);
}

TEST_F(SolveTest, MergeConcatenatesLayers) {
  Graph graph;
  const auto base = graph.file(graph.scratch(), "/base", "1");
  const auto linked = graph.file(graph.scratch(), "/linked", "2");
  const Build build = solve(graph, graph.merge({base, linked}));
  ASSERT_EQ(build.result.layers.size(), 2u);
  EXPECT_THAT(view(build.result.layers), ElementsAre("f 644 0:0 base = 1", "f 644 0:0 linked = 2"));
}

TEST_F(SolveTest, AChainOfThousandsOfVerticesNeedsNoStack) {
  Graph graph;
  auto top = graph.file(graph.scratch(), "/f", "x");
  for (int i = 0; i < 3000; ++i) top = graph.merge({top});
  const Build first = solve(graph, top);
  EXPECT_EQ(first.error, "");
  EXPECT_EQ(first.result.layers.size(), 1u);
  EXPECT_EQ(solve(graph, top).result.layers, first.result.layers);
}

TEST_F(SolveTest, OnLayerIsCalledOnceForEachNewLayerAndKnowsThoseOfTheResult) {
  Graph graph;
  const auto other = graph.file(graph.scratch(), "/other", "0");
  const auto base = graph.run(graph.scratch(), "base");
  const auto copied = graph.copy(base, other, "/other");
  const auto linked = graph.file(graph.scratch(), "/linked", "1");
  const auto root = graph.merge({copied, linked});
  std::mutex mutex;
  std::vector<LayerId> seen;
  std::vector<LayerId> others;
  SolveOptions options;
  options.on_layer = [&](LayerId id, bool of_result) {
    const std::lock_guard lock(mutex);
    (of_result ? seen : others).push_back(id);
  };
  const Build build = solve(graph, root, options);
  ASSERT_EQ(build.result.layers.size(), 3u);
  EXPECT_THAT(seen, testing::UnorderedElementsAreArray(build.result.layers));
  EXPECT_THAT(others, testing::SizeIs(1));
  seen.clear();
  solve(graph, root, options);
  EXPECT_THAT(seen, IsEmpty());
}

TEST_F(SolveTest, FailuresOfOnLayerDoNotEndTheBuild) {
  Graph graph;
  SolveOptions options;
  options.on_layer = [](LayerId, bool) { throw Error("no"); };
  EXPECT_EQ(solve(graph, graph.run(graph.scratch(), "x"), options).error, "");
}

// -- failures

TEST_F(SolveTest, AFailingStepCancelsTheOthersAndIsReported) {
  Graph graph;
  const auto base = graph.scratch();
  steps_["bad"].takes = 50ms;
  steps_["bad"].output = "line one\nline two\n";
  steps_["bad"].result.exit_code = 3;
  steps_["other"].hangs = true;
  const auto bad = graph.run(base, "bad");
  const auto other = graph.run(base, "other");
  graph.at(bad).range = SourceRange{nullptr, 7, 8};
  const Build build = solve(graph, graph.run(graph.merge({other, bad}), "never"));
  EXPECT_THAT(build.error, EndsWith("process \"bad\" did not complete successfully: exit code: 3"));
  EXPECT_THAT(build.error, HasSubstr(":7-8: "));
  ASSERT_TRUE(build.failure);
  EXPECT_EQ(build.failure->vertex_name, fmt::format("v{}", bad));
  EXPECT_EQ(build.failure->range.first_line, 7);
  EXPECT_EQ(build.failure->log_tail, "line one\nline two\n");
  EXPECT_THAT(build.killed, ElementsAre("other"));
  EXPECT_THAT(build.started, UnorderedElementsAre("bad", "other"));
  EXPECT_EQ(build.still_running, 0u);
  EXPECT_THAT(build.events, Contains(fmt::format("failed v{}", bad)));
  EXPECT_THAT(build.events, Contains(fmt::format("canceled v{}", other)));
  EXPECT_EQ(files_in(state_->tmp()), 0u);
}

TEST_F(SolveTest, AFailedStepIsNotRemembered) {
  Graph graph;
  const auto root = graph.run(graph.scratch(), "flaky");
  steps_["flaky"].result.exit_code = 1;
  EXPECT_NE(solve(graph, root).error, "");
  steps_["flaky"].result.exit_code = 0;
  EXPECT_EQ(solve(graph, root).error, "");
}

TEST_F(SolveTest, SetUpErrorsAndLackOfMemoryAreNamed) {
  Graph graph;
  const auto root = graph.run(graph.scratch(), "x");
  steps_["x"].result.exit_code = 127;
  steps_["x"].result.setup_error = "'x': not found";
  EXPECT_EQ(solve(graph, root).error,
            "process \"x\" did not complete successfully: 'x': not found");
  steps_["x"].result.exit_code = 137;
  steps_["x"].result.setup_error.clear();
  steps_["x"].result.out_of_memory = true;
  EXPECT_EQ(solve(graph, root).error,
            "process \"x\" did not complete successfully: out of memory: exit code: 137");
}

TEST_F(SolveTest, OnlyTheEndOfALongLogIsKept) {
  Graph graph;
  steps_["x"].output = std::string(100'000, 'a') + "the end\n";
  steps_["x"].result.exit_code = 1;
  const Build build = solve(graph, graph.run(graph.scratch(), "x"));
  ASSERT_TRUE(build.failure);
  EXPECT_LT(build.failure->log_tail.size(), 64'000u);
  EXPECT_THAT(build.failure->log_tail, EndsWith("the end\n"));
}

TEST_F(SolveTest, AMissingFileFailsTheCopyWithAHint) {
  Graph graph;
  const auto root = graph.copy(graph.scratch(), graph.source("local://context"), "/mian.c");
  const Build build = solve(graph, root, with_context(context({{.path = "main.c"}})));
  EXPECT_EQ(build.error, "\"/mian.c\" not found in the build context\nhint: did you mean /main.c?");
  ASSERT_TRUE(build.failure);
  EXPECT_EQ(build.failure->vertex_name, fmt::format("v{}", root));
}

TEST_F(SolveTest, AnUnknownContextIsAnError) {
  Graph graph;
  const auto root = graph.copy(graph.scratch(), graph.source("local://nowhere"), "/a");
  EXPECT_EQ(solve(graph, root).error, "no directory was given for the context 'nowhere'");
}

TEST_F(SolveTest, WithoutAnExecutorStepsFailAndFilesDoNot) {
  Graph graph;
  const auto file = graph.file(graph.scratch(), "/f", "x");
  const auto run = graph.run(file, "x");
  EventLoop loop;
  ImageSources images(*state_, {});
  NullProgress progress;
  EXPECT_EQ(Solver(*state_, loop, nullptr, images, progress, {})
                .solve(graph.definition, Edge{file, 0})
                .layers.size(),
            1u);
  EXPECT_EQ(
      error_of([&] {
        Solver(*state_, loop, nullptr, images, progress, {}).solve(graph.definition, Edge{run, 0});
      }),
      "this machine cannot run steps");
}

// -- cancellation

TEST_F(SolveTest, CancelKillsStepsAndLeavesNothing) {
  Graph graph;
  const auto base = graph.scratch();
  steps_["a"].hangs = true;
  steps_["b"].hangs = true;
  const auto root = graph.merge({graph.run(base, "a"), graph.run(base, "b")});
  cancel_after_ = 200ms;
  const Build build = solve(graph, root);
  EXPECT_EQ(build.kind, ErrorKind::canceled);
  EXPECT_FALSE(build.failure);
  EXPECT_EQ(build.still_running, 0u);
  EXPECT_EQ(build.killed.size(), build.started.size());
  EXPECT_EQ(files_in(state_->tmp()), 0u);
  EXPECT_EQ(count_layers(), 0);
  // The steps are free for the next build.
  cancel_after_.reset();
  steps_.clear();
  EXPECT_EQ(solve(graph, root).error, "");
}

TEST_F(SolveTest, CancelReachesStepsThatWaitForASlot) {
  Graph graph;
  const auto base = graph.scratch();
  std::vector<uint32_t> runs;
  for (int i = 0; i < 5; ++i) {
    steps_[fmt::format("s{}", i)].hangs = true;
    runs.push_back(graph.run(base, fmt::format("s{}", i)));
  }
  SolveOptions options;
  options.max_parallelism = 1;
  cancel_after_ = 200ms;
  const Build build = solve(graph, graph.merge(runs), options);
  EXPECT_EQ(build.kind, ErrorKind::canceled);
  EXPECT_LE(build.started.size(), 1u);
}

// -- two builds at once

class TwoBuildsTest : public SolveTest {
 protected:
  /// Solves the same graph in two builds at once, each with a state directory and loop of its own.
  std::pair<Build, Build> solve_twice(const Graph& graph, uint32_t root) {
    Build builds[2];
    std::atomic<int> ready = 0;
    const auto body = [&](int which) {
      const auto state = StateDir::open(state_->root());
      ++ready;
      while (ready < 2) std::this_thread::yield();
      builds[which] = solve_in(*state, graph, Edge{root, 0}, {}, steps_);
    };
    std::thread first(body, 0);
    std::thread second(body, 1);
    first.join();
    second.join();
    return {builds[0], builds[1]};
  }
};

TEST_F(TwoBuildsTest, AStepThatBothNeedRunsOnce) {
  Graph graph;
  steps_["slow"].takes = 200ms;
  steps_["slow"].files["f"] = "x";
  const auto root = graph.run(graph.scratch(), "slow");
  const auto [first, second] = solve_twice(graph, root);
  EXPECT_EQ(first.error, "");
  EXPECT_EQ(second.error, "");
  EXPECT_EQ(first.started.size() + second.started.size(), 1u);
  EXPECT_EQ(first.result.layers, second.result.layers);
}

TEST_F(TwoBuildsTest, AStepThatFailsFailsForBoth) {
  Graph graph;
  steps_["bad"].takes = 200ms;
  steps_["bad"].result.exit_code = 4;
  const auto root = graph.run(graph.scratch(), "bad");
  const auto [first, second] = solve_twice(graph, root);
  EXPECT_THAT(first.error, EndsWith("exit code: 4"));
  EXPECT_EQ(second.error, first.error);
  EXPECT_EQ(first.started.size() + second.started.size(), 1u);
}

// -- what a step is given

TEST_F(SolveTest, StepsGetProxiesSecretsAndHosts) {
  Graph graph;
  ExecOp op;
  op.args = {"x"};
  op.env = {"A=1"};
  op.proxy_env = {{"http_proxy", "http://p"}};
  op.extra_hosts = {{"db", "10.1.2.3"}};
  op.user = "12:34";
  ExecMount secret;
  secret.type = ExecMountType::secret;
  secret.id = "token";
  secret.target = "/run/secrets/token";
  secret.env = "TOKEN";
  secret.mode = 0400;
  op.mounts = {secret};
  const auto root = graph.add(op, {graph.scratch()});
  SolveOptions options;
  options.secrets = {{"token", "s3cret"}};
  EventLoop loop;
  FakeExecutor executor;
  ImageSources images(*state_, {});
  NullProgress progress;
  Solver solver(*state_, loop, &executor, images, progress, options);
  const SolveResult result = solver.solve(graph.definition, Edge{root, 0});
  ASSERT_EQ(executor.specs.size(), 1u);
  const ExecSpec& spec = executor.specs[0];
  EXPECT_THAT(spec.env, testing::IsSupersetOf({"A=1", "http_proxy=http://p", "TOKEN=s3cret"}));
  EXPECT_EQ(spec.uid, 12u);
  EXPECT_EQ(spec.gid, 34u);
  std::map<std::string, std::string> files;
  for (const auto& file : spec.files) files[file.target] = file.content;
  EXPECT_EQ(files["/run/secrets/token"], "s3cret");
  EXPECT_THAT(files["/etc/hosts"], HasSubstr("10.1.2.3"));
  EXPECT_TRUE(files.contains("/etc/resolv.conf"));
  // The stubs of all that are not in the layer.
  EXPECT_THAT(view(result.layers), ElementsAre("d 755 0:0 dev", "d 755 0:0 proc", "d 755 0:0 sys"));
}

TEST_F(SolveTest, ARequiredSecretThatIsMissingIsAnError) {
  Graph graph;
  ExecOp op;
  op.args = {"x"};
  ExecMount secret;
  secret.type = ExecMountType::secret;
  secret.id = "token";
  secret.target = "/t";
  op.mounts = {secret};
  auto root = graph.add(op, {graph.scratch()});
  EXPECT_EQ(solve(graph, root).error, "");
  op.mounts[0].required = true;
  root = graph.add(op, {0});
  EXPECT_THAT(solve(graph, root).error,
              testing::StartsWith("secret \"token\" was not given to the build\nhint: "));
}

}  // namespace
}  // namespace lade
