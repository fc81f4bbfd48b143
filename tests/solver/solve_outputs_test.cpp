// Steps with more than one output, and differences, over graphs made by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "solve_fixture.hpp"
#include "solver/cache/cache_store.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::ElementsAre;
using testing::IsEmpty;

class SolveOutputsTest : public SolveTest {
 protected:
  /// A step that writes into its root and into a mount over `input`, which is its output 1.
  uint32_t step(Graph& graph, uint32_t root, uint32_t input, const std::string& command) {
    ExecOp op;
    op.args = {command};
    ExecMount mount;
    mount.target = "/out";
    mount.input = 1;
    mount.read_only = false;
    mount.output = 1;
    op.mounts.push_back(mount);
    steps_[command].files["root"] = "r";
    steps_[command].mounted["/out"]["made"] = "m";
    return graph.add(std::move(op), {root, input});
  }
};

TEST_F(SolveOutputsTest, AMountsTreeIsAnOutput) {
  Graph graph;
  const auto input = graph.file(graph.scratch(), "/in", "1");
  const auto run = step(graph, graph.scratch(), input, "step");
  EXPECT_THAT(view(solve(graph, Edge{run, 1}).result.layers),
              ElementsAre("f 644 0:0 in = 1", "f 644 0:0 made = m"));
  EXPECT_THAT(view(solve(graph, Edge{run, 0}).result.layers),
              testing::Contains("f 644 0:0 root = r"));
}

TEST_F(SolveOutputsTest, AllOutputsAreCached) {
  Graph graph;
  const auto run = step(graph, graph.scratch(), graph.scratch(), "step");
  const Build first = solve(graph, Edge{run, 1});
  EXPECT_THAT(first.started, ElementsAre("step"));
  for (const uint32_t output : {0u, 1u}) {
    const Build again = solve(graph, Edge{run, output});
    EXPECT_THAT(again.started, IsEmpty());
    if (output == 1) {
      EXPECT_EQ(again.result.layers, first.result.layers);
    }
  }
}

TEST_F(SolveOutputsTest, WhatReadsAnotherOutputHasAnotherKey) {
  Graph graph;
  const auto run = step(graph, graph.scratch(), graph.scratch(), "step");
  const auto reader = graph.run(run, "reader");
  solve(graph, reader);
  graph.at(reader).inputs[0].output = 1;
  EXPECT_THAT(solve(graph, reader).started, ElementsAre("reader"));
}

TEST_F(SolveOutputsTest, ALostOutputMakesTheStepRunAgain) {
  Graph graph;
  const auto run = step(graph, graph.scratch(), graph.scratch(), "step");
  const Build first = solve(graph, Edge{run, 1});
  CacheStore(state_->database()).remove_with_layer(first.result.layers.back());
  EXPECT_THAT(solve(graph, Edge{run, 0}).started, ElementsAre("step"));
}

TEST_F(SolveOutputsTest, AReadOnlyMountsOutputIsItsInput) {
  Graph graph;
  const auto input = graph.file(graph.scratch(), "/in", "1");
  const auto run = step(graph, graph.scratch(), input, "step");
  std::get<ExecOp>(graph.at(run).op).mounts[0].read_only = true;
  steps_["step"].mounted.clear();
  EXPECT_THAT(view(solve(graph, Edge{run, 1}).result.layers), ElementsAre("f 644 0:0 in = 1"));
}

TEST_F(SolveOutputsTest, AReadOnlyRootGivesNoLayer) {
  Graph graph;
  const auto base = graph.file(graph.scratch(), "/f", "1");
  const auto run = graph.run(base, "step");
  std::get<ExecOp>(graph.at(run).op).read_only_root = true;
  EXPECT_EQ(solve(graph, run).result.layers, solve(graph, base).result.layers);
}

TEST_F(SolveOutputsTest, OtherExitCodesThanZeroCanBeGood) {
  Graph graph;
  const auto run = graph.run(graph.scratch(), "step");
  steps_["step"].result.exit_code = 3;
  EXPECT_NE(solve(graph, run).error, "");
  std::get<ExecOp>(graph.at(run).op).good_exit_codes = {3, 4};
  EXPECT_EQ(solve(graph, run).error, "");
}

TEST_F(SolveOutputsTest, ADifferenceIsWhatTheUpperOneHasMore) {
  Graph graph;
  const auto lower = graph.file(graph.scratch(), "/f", "1");
  const auto upper = graph.file(lower, "/g", "2");
  const auto diff = graph.add(DiffOp{}, {lower, upper});
  EXPECT_THAT(view(solve(graph, diff).result.layers), ElementsAre("f 644 0:0 g = 2"));
}

TEST_F(SolveOutputsTest, DifferencesAndMergesNest) {
  Graph graph;
  const auto first = graph.file(graph.scratch(), "/f", "1");
  const auto second = graph.file(graph.scratch(), "/g", "2");
  const auto both = graph.merge({first, second});
  const auto without = graph.add(DiffOp{}, {first, second});
  const auto again = graph.merge({both, without, first});
  EXPECT_THAT(view(solve(graph, again).result.layers),
              ElementsAre("f 644 0:0 f = 1", "f 644 0:0 g = 2"));
  const auto taken = graph.merge({both, without});
  EXPECT_THAT(view(solve(graph, taken).result.layers), ElementsAre("f 644 0:0 g = 2"));
}

}  // namespace
}  // namespace lade
