#include "daemon/build/history.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "daemon/proto/control.pb.h"
#include "tests/support/error_of.hpp"

namespace lade {
namespace {

namespace api = moby::buildkit::v1;

class HistoryTest : public testing::Test {
 protected:
  static api::BuildHistoryRecord record(const std::string& ref, int64_t second = 1) {
    api::BuildHistoryRecord out;
    out.set_ref(ref);
    out.mutable_createdat()->set_seconds(second);
    out.mutable_completedat()->set_seconds(second + 1);
    return out;
  }
  static void build(History& history, const std::string& ref, int64_t second = 1) {
    history.start(record(ref, second), false)->finish();
    history.complete(record(ref, second));
  }
  static std::vector<std::string> list(History& history, const std::string& ref = "") {
    std::vector<std::string> out;
    api::BuildHistoryRequest request;
    request.set_earlyexit(true);
    request.set_ref(ref);
    history.listen(
        request,
        [&](const api::BuildHistoryEvent& event) {
          out.push_back(event.record().ref());
          return true;
        },
        [] { return false; });
    return out;
  }

  TempDir dir_ = TempDir::create(testing::TempDir());
};

TEST_F(HistoryTest, KeepsWhatWasBuiltAcrossRestarts) {
  {
    History history(dir_.path());
    build(history, "one", 1);
    build(history, "two", 2);
  }
  History again(dir_.path());
  EXPECT_EQ(list(again), (std::vector<std::string>{"two", "one"}));
  EXPECT_EQ(list(again, "one"), std::vector<std::string>{"one"});
  EXPECT_NE(again.ended_journal("one"), "");
}

TEST_F(HistoryTest, WhatIsToBeSaidOfAFailureStaysAsLongAsItsRecord) {
  const std::string status = "a status";
  {
    History history(dir_.path());
    history.start(record("failed"), false)->finish();
    history.complete(record("failed"), status);
  }
  History history(dir_.path());
  EXPECT_EQ(history.blobs(), std::vector<Digest>{Digest::of(status)});
  EXPECT_FALSE(history.open_blob(Digest::of("another")));
  const auto blob = history.open_blob(Digest::of(status));
  ASSERT_TRUE(blob);
  std::string read(status.size(), ' ');
  sys::pread_exact(blob->get(), read.data(), read.size(), 0);
  EXPECT_EQ(read, status);
  history.update("failed", false, true);
  EXPECT_TRUE(history.blobs().empty());
  EXPECT_FALSE(history.open_blob(Digest::of(status)));
}

TEST_F(HistoryTest, ABuildThatADeadDaemonRanIsForgotten) {
  {
    History history(dir_.path());
    history.start(record("unfinished"), false);
  }
  History again(dir_.path());
  EXPECT_TRUE(list(again).empty());
}

TEST_F(HistoryTest, InternalBuildsLeaveNoTrace) {
  History history(dir_.path());
  history.start(record("inner"), true)->finish();
  history.complete(record("inner"));
  EXPECT_TRUE(list(history).empty());
}

TEST_F(HistoryTest, OldOnesGoUnlessTheyArePinned) {
  History history(dir_.path());
  build(history, "first");
  history.update("first", true, false);
  for (int i = 0; i < 60; ++i) build(history, "build" + std::to_string(i), 10 + i);
  const auto left = list(history);
  EXPECT_EQ(left.size(), 51u);
  EXPECT_EQ(left.back(), "first");
}

TEST_F(HistoryTest, RemovesAndSaysSo) {
  History history(dir_.path());
  build(history, "one");
  history.update("one", false, true);
  EXPECT_TRUE(list(history).empty());
  EXPECT_NE(error_of([&] { history.update("one", false, true); }), "");
}

TEST_F(HistoryTest, ReferencesThatWouldBePathsAreRefused) {
  History history(dir_.path());
  for (const char* ref : {"", "../x", "a/b", ".hidden"}) {
    EXPECT_NE(error_of([&] { history.start(record(ref), false); }), "") << ref;
  }
}

}  // namespace
}  // namespace lade
