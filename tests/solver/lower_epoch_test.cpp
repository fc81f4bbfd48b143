// SOURCE_DATE_EPOCH that is the name of what has the time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::HasSubstr;

constexpr const char* kStage =
    "ARG SOURCE_DATE_EPOCH=src\n"
    "FROM scratch AS src\n"
    "ARG V=1\n"
    "ADD https://example.com/$V.tar /\n"
    "FROM scratch\n"
    "ARG SOURCE_DATE_EPOCH\n"
    "ENV t=$SOURCE_DATE_EPOCH\n";

/// Tells a time, and which source was asked about.
void answer(Lowering& lowering, std::optional<int64_t> time, std::string& asked) {
  lowering.options.source_time = [time, &asked](const SourceOp& source) {
    asked = source.identifier;
    return time;
  };
}

TEST(LowerEpoch, AStageThatOnlyAddsASourceHasItsTime) {
  Lowering lowering(kStage);
  std::string asked;
  answer(lowering, 17, asked);
  const auto image = lowering.run();
  EXPECT_EQ(asked, "https://example.com/1.tar");
  EXPECT_EQ(image.source_date_epoch, 17);
  EXPECT_EQ(image.config.config.get_env("t"), "17");
}

TEST(LowerEpoch, ASourceWithoutATimeLeavesItUnset) {
  Lowering lowering(kStage);
  std::string asked;
  answer(lowering, std::nullopt, asked);
  const auto image = lowering.run();
  EXPECT_EQ(image.source_date_epoch, std::nullopt);
  EXPECT_EQ(image.config.config.get_env("t").value_or(""), "");
}

TEST(LowerEpoch, AContextHasItsTime) {
  Lowering lowering("FROM scratch\n");
  std::string asked;
  answer(lowering, 18, asked);
  lowering.options.build_args = {{"SOURCE_DATE_EPOCH", "files"}};
  lowering.options.contexts = {{"files", "https://example.com/files.tar"}};
  EXPECT_EQ(lowering.run().source_date_epoch, 18);
  EXPECT_EQ(asked, "https://example.com/files.tar");
  // A directory has none.
  lowering.options.build_args = {{"SOURCE_DATE_EPOCH", "context"}};
  EXPECT_EQ(lowering.run().source_date_epoch, std::nullopt);
}

TEST(LowerEpoch, WhatIsNoSuchStageIsAnError) {
  const auto error = [](const std::string& stage) {
    Lowering lowering("ARG SOURCE_DATE_EPOCH=src\n" + stage + "FROM scratch\n");
    std::string asked;
    answer(lowering, 1, asked);
    return lowering.error();
  };
  EXPECT_EQ(error(""), "invalid SOURCE_DATE_EPOCH: src");
  EXPECT_THAT(error("FROM base AS src\n"), HasSubstr("must use FROM scratch"));
  EXPECT_THAT(error("FROM scratch AS src\nRUN x\n"), HasSubstr("unsupported run instruction"));
  EXPECT_THAT(error("FROM scratch AS src\nADD local /\n"), HasSubstr("single HTTP(S) or Git ADD"));
  EXPECT_THAT(error("FROM scratch AS src\nADD https://a/1 https://a/2 /\n"),
              HasSubstr("exactly one remote ADD"));
}

}  // namespace
}  // namespace lade
