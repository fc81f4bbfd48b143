// Why steps ran: what is said of a build compared with those before it.
#include "solver/explain.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "solver/cache_store.hpp"
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

TEST(BuildLog, WhatIsWrittenIsReadAndTornOnesAreRefused) {
  BuildLog log;
  log.dockerfile = "Dockerfile";
  log.steps = {{"FROM", 1, StepOutcome::source, false, {}, {}, "docker-image://x", {}},
               {"RUN", 2, StepOutcome::ran, true, Digest::of("op"), Digest::of("r"), "", {0}}};
  const std::string bytes = log.serialize();
  const BuildLog read = BuildLog::parse(bytes);
  EXPECT_EQ(read.serialize(), bytes);
  EXPECT_EQ(read.steps[1].record, Digest::of("r"));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(BuildLog::parse(bytes.substr(0, size)), Error) << size;
  }
}

}  // namespace
}  // namespace lade
