// Why steps ran: what is said of a build compared with those before it.
#include "solver/cache/explain.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "solver/cache/cache_store.hpp"
#include "tests/solver/solve_fixture.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ExplainTest : public SolveTest {
 protected:
  /// Builds, and keeps the log as the command line does.
  Build run(const Graph& graph, uint32_t root, SolveOptions options = {}) {
    Build build = solve(graph, root, std::move(options));
    keep_build_log(state_->root(), "id", {"Dockerfile", build.steps});
    return build;
  }

  std::vector<std::string> reasons(uint32_t vertex) {
    const auto logs = last_build_logs(state_->root());
    for (const auto& one : explain(*state_, *logs)) {
      if (one.step == &logs->last.steps[vertex]) return one.reasons;
    }
    return {"not explained"};
  }
};

TEST_F(ExplainTest, ThereIsNothingBeforeTheFirstBuild) {
  EXPECT_FALSE(last_build_logs(state_->root()).has_value());
}

TEST_F(ExplainTest, AStepThatNeverRanBeforeAndOneThatIsCached) {
  Graph graph;
  const auto root = graph.run(graph.scratch(), "a");
  run(graph, root);
  EXPECT_THAT(reasons(root), ElementsAre("no step like it has run before"));
  run(graph, root);
  EXPECT_THAT(reasons(root), IsEmpty());
  EXPECT_EQ(last_build_logs(state_->root())->last.steps[root].outcome, StepOutcome::cached);
}

TEST_F(ExplainTest, TheStepInItsPlaceHadAnotherCommand) {
  Graph first;
  run(first, first.run(first.scratch(), "a"));
  Graph second;
  const auto root = second.run(second.scratch(), "b");
  run(second, root);
  EXPECT_THAT(reasons(root), ElementsAre(HasSubstr("changed: 'a' -> 'b'")));
}

TEST_F(ExplainTest, WhatItIsBuiltOnCameOutDifferently) {
  steps_["a"].files["f"] = "1";
  steps_["b"].files["f"] = "2";
  Graph first;
  run(first, first.run(first.run(first.scratch(), "a"), "same"));
  Graph second;
  const auto base = second.run(second.scratch(), "b");
  const auto root = second.run(base, "same");
  run(second, root);
  EXPECT_THAT(reasons(root), ElementsAre("what it is built on came out differently: v1"));
}

TEST_F(ExplainTest, WhatCameOutTheSameIsSaidToBeSo) {
  Graph first;
  run(first, first.run(first.run(first.scratch(), "a"), "same"));
  Graph second;
  const auto root = second.run(second.run(second.scratch(), "b"), "same");
  run(second, root);
  EXPECT_THAT(reasons(root), ElementsAre(HasSubstr("came out the same")));
}

TEST_F(ExplainTest, FilesOfTheContextThatChanged) {
  Graph graph;
  const auto root = graph.copy(graph.scratch(), graph.source("local://context"), "/d");
  run(graph, root,
      with_context(context({{"d/"}, {"d/changed", "1"}, {"d/gone", "x"}, {"d/mode", "m"}})));
  run(graph, root,
      with_context(context({{"d/"}, {"d/changed", "2"}, {"d/mode", "m", 0755}, {"d/new", "y"}})));
  EXPECT_THAT(
      reasons(root),
      ElementsAre("what it reads of the build context changed", "  changed: /d/changed (content)",
                  "  removed: /d/gone", "  changed: /d/mode (mode 644 -> 755)", "  added: /d/new"));
}

TEST_F(ExplainTest, WhatWasForcedIsSaidToBeSo) {
  Graph graph;
  const auto root = graph.run(graph.scratch(), "a");
  run(graph, root);
  graph.at(root).ignore_cache = true;
  run(graph, root);
  EXPECT_THAT(reasons(root), ElementsAre(HasSubstr("--no-cache")));
}

TEST_F(ExplainTest, AResultThatIsGoneIsSaidToBeSo) {
  Graph graph;
  const auto root = graph.run(graph.scratch(), "a");
  const Build first = run(graph, root);
  run(graph, root);
  CacheStore(state_->database()).remove(first.steps[root].record);
  run(graph, root);
  EXPECT_THAT(reasons(root), ElementsAre(HasSubstr("its earlier result is gone")));
}

TEST_F(ExplainTest, AFailedStepIsExplainedByWhatRanBelowIt) {
  Graph first;
  run(first, first.run(first.run(first.scratch(), "a"), "same"));
  steps_["b"].files["f"] = "2";
  steps_["same"].result.exit_code = 1;
  Graph second;
  const auto root = second.run(second.run(second.scratch(), "b"), "same");
  EXPECT_NE(run(second, root).error, "");
  EXPECT_THAT(reasons(root), ElementsAre("what it is built on came out differently: v1"));
}

TEST_F(ExplainTest, WhatAFailureKeptFromRunningWasNotReached) {
  steps_["bad"].result.exit_code = 1;
  Graph graph;
  const auto bad = graph.run(graph.scratch(), "bad");
  const auto later = graph.run(bad, "later");
  const auto last = graph.run(later, "last");
  EXPECT_NE(run(graph, last).error, "");
  EXPECT_THAT(reasons(later), ElementsAre(HasSubstr("the build ended before")));
  EXPECT_THAT(reasons(last), ElementsAre(HasSubstr("the build ended before")));
}

TEST_F(ExplainTest, WhatIsBelowACachedStepIsNotNeededAlsoWhereTheBuildFails) {
  Graph graph;
  const auto base = graph.run(graph.scratch(), "base");
  const auto top = graph.run(base, "top");
  run(graph, top);
  CacheStore(state_->database()).remove(last_build_logs(state_->root())->last.steps[base].record);
  steps_["bad"].result.exit_code = 1;
  const auto bad = graph.run(top, "bad");
  EXPECT_NE(run(graph, bad).error, "");
  EXPECT_THAT(reasons(base), ElementsAre(HasSubstr("nothing needed it")));
}

TEST_F(ExplainTest, BuildsOfOneSecondAreComparedWithTheOneBefore) {
  // The records of all three have the same time.
  Graph last;
  uint32_t root = 0;
  for (const char* number : {"1", "2", "3"}) {
    Graph graph;
    const auto copied = graph.copy(graph.scratch(), graph.source("local://context"), "/d");
    root = copied;
    run(graph, root,
        with_context(context({{"d/"}, {"d/same", "x"}, {std::string("d/only-") + number, "y"}})));
  }
  EXPECT_THAT(reasons(root), ElementsAre("what it reads of the build context changed",
                                         "  removed: /d/only-2", "  added: /d/only-3"));
}

TEST_F(ExplainTest, NumbersOfOptionsHaveNames) {
  Graph first;
  const auto a = first.run(first.scratch(), "a");
  run(first, a);
  Graph second;
  const auto b = second.run(second.scratch(), "a");
  std::get<ExecOp>(second.at(b).op).network = OpNetwork::none;
  std::get<ExecOp>(second.at(b).op).security = OpSecurity::insecure;
  run(second, b);
  EXPECT_THAT(reasons(b), ElementsAre("network changed: 'default' -> 'none'",
                                      "security changed: 'sandbox' -> 'insecure'"));
}

TEST_F(ExplainTest, OfLongCommandsOnlyWhatDiffersIsShown) {
  const std::string head(300, 'h');
  const std::string tail(300, 't');
  Graph first;
  run(first, first.run(first.scratch(), head + " one " + tail));
  Graph second;
  const auto root = second.run(second.scratch(), head + " two " + tail);
  run(second, root);
  const auto said = reasons(root);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_THAT(said[0], testing::AllOf(HasSubstr("hhh one ttt"), HasSubstr("hhh two ttt")));
  EXPECT_LT(said[0].size(), 200u);
}

TEST(BuildLog, WhatIsWrittenIsReadAndTornOnesAreRefused) {
  BuildLog log;
  log.dockerfile = "Dockerfile";
  log.steps = {{"FROM", 1, 1, StepOutcome::source, false, {}, {}, "docker-image://x", {}},
               {"RUN", 2, 4, StepOutcome::ran, true, Digest::of("op"), Digest::of("r"), "", {0}}};
  const std::string bytes = log.serialize();
  const BuildLog read = BuildLog::parse(bytes);
  EXPECT_EQ(read.serialize(), bytes);
  EXPECT_EQ(read.steps[1].record, Digest::of("r"));
  EXPECT_EQ(read.steps[1].last_line, 4);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(BuildLog::parse(bytes.substr(0, size)), Error) << size;
  }
}

}  // namespace
}  // namespace lade
